import * as Identity from "@llm-cache/core/Identity"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as Effect from "effect/Effect"
import type { JsonObject } from "../protocol/json.ts"

/** Fields of a request that the model sets by itself, each with advice for the error message. */
const reserved: Record<string, string> = {
  messages: "pass the prompt when you generate",
  n: "leave it out, and generate more than once",
  stream: "leave it out, and call `streamText`",
  stream_options: "leave it out, and give the option `streamUsage`",
  tools: "pass a toolkit when you generate",
  tool_choice: "pass `toolChoice` when you generate"
}

const optionNames = [
  "apiKey",
  "baseUrl",
  "config",
  "headers",
  "idleTimeout",
  "limits",
  "model",
  "query",
  "retry",
  "streamUsage",
  "strictJsonSchema",
  "structuredOutput",
  "temperature",
  "timeout",
  "vendor"
]

const structuredOutputs = ["json_schema", "json_object", "tool", "prompt"]

const invalid = (description: string) => new InvalidInput({ module: "ChatCompletionsModel.make", description })

/** Fails for options that no model has. Types exclude them, but not in JavaScript and in objects with more fields. */
export const checkOptions = (options: object): Effect.Effect<void, InvalidInput> => {
  const unknown = Object.entries(options).find(([name, value]) => value !== undefined && !optionNames.includes(name))
  if (unknown !== undefined) {
    return Effect.fail(invalid(`there is no option \`${unknown[0]}\`: give fields of the request in \`config\``))
  }
  const { baseUrl, config, structuredOutput, vendor } = options as { readonly [name: string]: unknown }
  if (vendor !== undefined && baseUrl !== undefined) {
    return Effect.fail(invalid("`baseUrl` is that of the vendor already: leave one of the two out"))
  }
  if (config !== undefined && (typeof config !== "object" || config === null)) {
    return Effect.fail(invalid("`config` is no object: give the fields of the request by their names"))
  }
  if (config !== undefined && Object.hasOwn(config, "model")) {
    return Effect.fail(invalid("`config` has `model`: give the option `model`"))
  }
  return structuredOutput === undefined || structuredOutputs.some((name) => name === structuredOutput)
    ? Effect.void
    : Effect.fail(invalid(`\`structuredOutput\` is none of ${structuredOutputs.join(", ")}`))
}

/** Fails for fields of the request that the model sets by itself, or that JSON cannot hold. */
export const checkConfig = ({ model, ...fields }: JsonObject): Effect.Effect<void, InvalidInput> => {
  const name = Object.keys(reserved).find((name) => fields[name] !== undefined)
  if (name !== undefined) return Effect.fail(invalid(`\`config\` has \`${name}\`: ${reserved[name]}`))
  if (typeof model !== "string" || model.trim() === "") {
    return Effect.fail(invalid("`model` is no name of a model: give one like `gpt-4o`"))
  }
  return Effect.asVoid(Effect.mapError(
    Identity.make({ model: "any", parameters: fields as Identity.Options["parameters"] }),
    () => invalid("`config` has a value that JSON cannot hold: give texts, finite numbers, booleans, arrays, objects")
  ))
}
