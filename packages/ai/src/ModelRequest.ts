/**
 * The text of a request to a `LanguageModel`: the prompt under which a cache keeps its answers.
 *
 * **Details**
 *
 * The first line has the version, the tools, the choice of tools, the format of the answer and the settings of the call; a
 * line of its own follows for each message. Two requests have one text exactly if the model is asked the same.
 *
 * - Messages keep their provider options: item ids, signatures and encrypted reasoning come from recorded answers.
 * - A file is its count of bytes and the SHA-256 of its base64, so that bytes and base64 are one key. A URL is itself.
 * - The order of fields is kept in JSON Schemas, and in the parameters and results of tools, because the model sees it.
 *   Elsewhere names are sorted.
 * - Ids of tool calls and of approvals are numbered by their first use, so that one answer that is drawn again does not
 *   change all later requests.
 * - Not in it: spans, ids of previous responses, concurrency, handlers, the schemas of results, and the random ids that
 *   `Chat.Persistence` gives to messages.
 *
 * The keys of a replaying HTTP server are those of HTTP requests. They are not these.
 *
 * @since 0.1.0
 */
import * as Identity from "@llm-cache/core/Identity"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import { Key } from "@llm-cache/core/Key"
import * as Chat from "effect/ai/Chat"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import { NoJson, write } from "./internal/json.ts"

/**
 * The version of the encoding. It is part of the identity of every model of requests.
 *
 * @category constants
 * @since 0.1.0
 */
export const version = "effect/ai/1"

/**
 * A request: the options that `LanguageModel.make` gives to a provider, as far as the model sees them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request
  extends Pick<LanguageModel.ProviderOptions, "prompt" | "tools" | "toolChoice" | "responseFormat">
{
  /** Settings of the call, by the names of their services. @default none */
  readonly settings?: { readonly [name: string]: unknown } | undefined
}

/**
 * Makes the function that encodes requests. It encodes the JSON Schema of each tool and of each format once.
 *
 * **Details**
 *
 * The function fails with an `InvalidInput` for a value that JSON cannot hold, such as a `bigint`, a `Map`, a number that
 * is not finite, or a `Redacted`. The message says where it is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeEncoder = (): (request: Request) => Effect.Effect<string, InvalidInput> => {
  const tools = new WeakMap<object, string>()
  const schemas = new WeakMap<object, string>()
  const cached = (cache: WeakMap<object, string>, of: object, encode: () => string) => {
    let text = cache.get(of)
    if (text === undefined) cache.set(of, text = encode())
    return text
  }
  const schemaOf = (schema: Parameters<typeof Tool.getJsonSchemaFromSchema>[0]) =>
    cached(schemas, schema, () => write(Tool.getJsonSchemaFromSchema(schema), "the schema of the object", false))

  const header = ({ responseFormat, settings, toolChoice, tools: given }: Request): string => {
    const fields = [`"request":${JSON.stringify(version)}`]
    if (given.length > 0) {
      fields.push(`"tools":[${given.map((tool) => cached(tools, tool, () => toolText(tool))).join(",")}]`)
      if (toolChoice !== "auto") fields.push(`"toolChoice":${write(toolChoice, "toolChoice", true)}`)
    }
    if (responseFormat.type === "json") {
      fields.push(`"object":${JSON.stringify(responseFormat.objectName)}`)
      fields.push(`"schema":${schemaOf(responseFormat.schema)}`)
    }
    if (settings !== undefined && Object.keys(settings).length > 0) {
      fields.push(`"settings":${write(settings, "the settings", true)}`)
    }
    return `{${fields.join(",")}}`
  }

  return (request) =>
    Effect.suspend(() => {
      try {
        const ids = new Ids()
        return Effect.succeed(
          [
            header(request),
            ...request.prompt.content.map((message, i) => messageText(message, `message ${i + 1}`, ids))
          ]
            .join("\n")
        )
      } catch (error) {
        return Effect.fail(
          new InvalidInput({
            module: "ModelRequest",
            description: error instanceof NoJson
              ? error.message
              : `a schema has no JSON Schema: ${error instanceof Error ? error.message : String(error)}`
          })
        )
      }
    })
}

const toolText = (tool: Tool.Any): string => {
  const place = `the tool ${tool.name}`
  return Tool.isProviderDefined(tool)
    ? write({ id: tool.id, name: tool.name, args: tool.args }, place, false)
    : write(
      {
        name: tool.name,
        description: Tool.getDescription(tool),
        schema: Tool.getJsonSchema(tool),
        strict: Tool.getStrictMode(tool)
      },
      place,
      false
    )
}

/** Numbers ids by their first use. */
class Ids {
  readonly #numbers = new Map<string, number>()

  of(id: string): number {
    let number = this.#numbers.get(id)
    if (number === undefined) this.#numbers.set(id, number = this.#numbers.size + 1)
    return number
  }
}

const messageText = (message: Prompt.Message, place: string, ids: Ids): string => {
  const content = typeof message.content === "string"
    ? JSON.stringify(message.content)
    : `[${message.content.map((part, i) => partText(part, `${place}, part ${i + 1}`, ids)).join(",")}]`
  return `{"role":"${message.role}","content":${content}${optionsText(message.options, place)}}`
}

const partText = (part: Prompt.Part, place: string, ids: Ids): string => {
  const fields = partFields(part, place, ids).map(([name, text]) => `,"${name}":${text}`)
  return `{"type":"${part.type}"${fields.join("")}${optionsText(part.options, place)}}`
}

const partFields = (part: Prompt.Part, place: string, ids: Ids): ReadonlyArray<readonly [string, string]> => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return [["text", JSON.stringify(part.text)]]
    case "file":
      return [
        ["mediaType", JSON.stringify(part.mediaType)],
        ...part.fileName === undefined ? [] : [["fileName", JSON.stringify(part.fileName)] as const],
        ["data", fileText(part.data)]
      ]
    case "tool-call":
      return [
        ["call", `${ids.of(part.id)}`],
        ["name", JSON.stringify(part.name)],
        ["params", write(part.params, `${place}.params`, false)],
        ...part.providerExecuted ? [["providerExecuted", "true"] as const] : []
      ]
    case "tool-result":
      return [
        ["call", `${ids.of(part.id)}`],
        ["name", JSON.stringify(part.name)],
        ...part.isFailure ? [["isFailure", "true"] as const] : [],
        ["result", write(part.result, `${place}.result`, false)],
        ...part.modelOutput === undefined ? [] : [
          [
            "modelOutput",
            `[${part.modelOutput.map((output, i) => partText(output, `${place}.modelOutput[${i}]`, ids)).join(",")}]`
          ] as const
        ],
        ...part.providerExecuted ? [["providerExecuted", "true"] as const] : []
      ]
    case "tool-approval-request":
      return [["approval", `${ids.of(part.approvalId)}`], ["call", `${ids.of(part.toolCallId)}`]]
    case "tool-approval-response":
      return [
        ["approval", `${ids.of(part.approvalId)}`],
        ["approved", `${part.approved}`],
        ...part.reason === undefined ? [] : [["reason", JSON.stringify(part.reason)] as const]
      ]
  }
}

const optionsText = (options: Prompt.ProviderOptions, place: string): string => {
  const { [Chat.Persistence.key]: _, ...kept } = options
  return Object.keys(kept).length === 0 ? "" : `,"options":${write(kept, `${place}.options`, true)}`
}

const fileText = (data: string | Uint8Array | URL): string => {
  if (data instanceof URL) return JSON.stringify(data.href)
  const bytes = typeof data === "string" ? bytesOf(data) : data
  if (bytes === undefined) return JSON.stringify(data)
  return `{"bytes":${bytes.length},"sha256":"${hashOf(bytes)}"}`
}

/** The bytes of base64, also in a `data:` URL; `undefined` for another text, such as a URL. */
const bytesOf = (text: string): Uint8Array | undefined =>
  Result.getOrUndefined(Base64.decode(/^data:[^,]*;base64,/.test(text) ? text.slice(text.indexOf(",") + 1) : text))

// A key has the one hash that core gives: that of a text, on every platform.
const hashOf = (bytes: Uint8Array): string => new Key(file, Base64.encode(bytes), []).promptHash

const file = Effect.runSync(Identity.make({ model: "file" }))
