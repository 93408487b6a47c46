import { InvalidRequestError, InvalidUserInputError } from "effect/ai/AiError"
import type { ProviderOptions } from "effect/ai/LanguageModel"
import * as Tool from "effect/ai/Tool"
import type { JsonObject } from "../protocol/json.ts"
import { messagesOf } from "./messages.ts"
import type { Schemas } from "./outputSchema.ts"

/** The way of a request to structured output. */
export type StructuredOutput = "json_schema" | "json_object" | "tool" | "prompt"

/** The settings of a model that shape its requests. */
export interface RequestSettings {
  readonly structuredOutput: StructuredOutput
  readonly isStrict: boolean
  readonly streamUsage: boolean
  readonly schemas: Schemas
}

/** The body of a request. */
export interface RequestBody {
  readonly body: JsonObject
  /** The tool whose parameters are the structured output. */
  readonly outputTool: string | undefined
}

/** Makes the body of a request. Throws a reason of an `AiError` for input that the protocol has no form for. */
export const requestBody = (
  config: JsonObject,
  options: ProviderOptions,
  isStream: boolean,
  settings: RequestSettings
): RequestBody => {
  const output = outputOf(options, settings)
  const messages = messagesOf(options.prompt)
  const tools = options.tools.map((tool) => toTool(tool, settings.schemas))
  const all = output.tool === undefined ? tools : [...tools, output.tool]
  return {
    outputTool: output.tool?.function.name,
    body: {
      ...config,
      messages: output.instruction === undefined ? messages : withInstruction(messages, output.instruction),
      ...all.length === 0 ? {} : { tools: all, ...toolChoiceOf(options, output.tool?.function.name) },
      ...output.format === undefined ? {} : { response_format: output.format },
      ...isStream
        ? { stream: true, ...settings.streamUsage ? { stream_options: { include_usage: true } } : {} }
        : {}
    }
  }
}

// -----------------------------------------------------------------------------
// tools
// -----------------------------------------------------------------------------

interface FunctionTool extends JsonObject {
  readonly function: JsonObject & { readonly name: string }
}

const toTool = (tool: Tool.Any, schemas: Schemas): FunctionTool => {
  if (Tool.isProviderDefined(tool)) {
    throw new InvalidUserInputError({
      description: `the tool \`${tool.name}\` is defined by another provider: give a tool of your own with a handler`
    })
  }
  const description = Tool.getDescription(tool)
  const strict = Tool.getStrictMode(tool)
  return {
    type: "function",
    function: {
      name: tool.name,
      ...description === undefined ? {} : { description },
      parameters: schemas.ofTool(tool),
      ...strict === undefined ? {} : { strict }
    }
  }
}

const toolChoiceOf = ({ toolChoice, tools }: ProviderOptions, outputTool: string | undefined): JsonObject => {
  if (outputTool !== undefined && (tools.length === 0 || toolChoice === "none")) return choose(outputTool)
  if (typeof toolChoice === "string") {
    return toolChoice === "auto" && outputTool === undefined
      ? {}
      : { tool_choice: outputTool === undefined ? toolChoice : "required" }
  }
  if ("tool" in toolChoice) return choose(toolChoice.tool)
  // The tools are those of `oneOf` only.
  return toolChoice.mode === "required" || outputTool !== undefined ? { tool_choice: "required" } : {}
}

const choose = (name: string): JsonObject => ({ tool_choice: { type: "function", function: { name } } })

// -----------------------------------------------------------------------------
// structured output
// -----------------------------------------------------------------------------

interface Output {
  readonly format?: JsonObject
  readonly instruction?: string
  readonly tool?: FunctionTool
}

const outputOf = ({ responseFormat, tools }: ProviderOptions, settings: RequestSettings): Output => {
  if (responseFormat.type === "text") return {}
  const schema = settings.schemas.ofObject(responseFormat.schema)
  const name = nameOf(responseFormat.objectName)
  switch (settings.structuredOutput) {
    case "json_schema":
      return { format: { type: "json_schema", json_schema: { name, schema, strict: settings.isStrict } } }
    case "json_object":
      return { format: { type: "json_object" }, instruction: instructionOf(schema) }
    case "prompt":
      return { instruction: instructionOf(schema) }
    case "tool":
      if (tools.some((tool) => tool.name === name)) {
        throw new InvalidRequestError({
          parameter: "objectName",
          description: `\`${name}\` is the name of a tool already: give the object another \`objectName\``
        })
      }
      return {
        tool: { type: "function", function: { name, description: "Gives the answer.", parameters: schema } }
      }
  }
}

// The names that OpenAI takes.
const nameOf = (name: string): string => name.replaceAll(/[^\w-]/g, "_").slice(0, 64)

const instructionOf = (schema: JsonObject): string =>
  "Answer with a JSON object alone, without any other text and without a code fence. Its JSON Schema is:\n" +
  JSON.stringify(schema)

// Some chat templates take a single system message, and only in front.
const withInstruction = (messages: Array<JsonObject>, instruction: string): Array<JsonObject> => {
  const [first, ...rest] = messages
  return first?.["role"] === "system"
    ? [{ ...first, content: `${String(first["content"])}\n\n${instruction}` }, ...rest]
    : [{ role: "system", content: instruction }, ...messages]
}

/** The JSON in an answer, without the code fence that a model may put around it. */
export const withoutFence = (text: string): string => /^\s*```\w*\s*\n(.*?)\n?\s*```\s*$/s.exec(text)?.[1] ?? text
