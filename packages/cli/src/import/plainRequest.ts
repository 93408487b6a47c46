import type * as Identity from "@llm-cache/core/Identity"
import { asArray, asObject, asString, isObject, type JsonObject } from "./json.ts"

/** A request that `LlmModel.sample` sends too: one text of the user, with a system text or without. */
export interface PlainRequest {
  readonly model: string
  readonly temperature: number | undefined
  readonly system: string | undefined
  readonly parameters: { readonly [name: string]: Identity.Json | undefined }
  readonly prompt: string
}

/** Ollama's own protocol, and logs with the parts of a chat. */
type Kind = "chat" | "ollama"

/** The plain request of a body, or why it is none. */
export const plainRequest = (protocol: Kind, body: unknown): PlainRequest | string => {
  if (!isObject(body)) return "its request is not JSON"
  const { messages, model, options, temperature, ...others } = withoutNull(body)
  if (typeof model !== "string" || model === "") return "its request names no model"
  const asked = extras.find((name) => isAsked(others[name]))
  if (asked !== undefined) return `it has \`${asked}\``
  const sampling = protocol === "ollama" ? withoutNull(asObject(options)) : {}
  const heat = protocol === "ollama" ? sampling["temperature"] : temperature
  if (heat !== undefined && typeof heat !== "number") return "its temperature is not a number"
  const texts = textsOf(messages)
  if (typeof texts === "string") return texts
  const parameters: Record<string, Identity.Json> = {}
  for (const [name, value] of Object.entries({ ...others, ...sampling })) {
    if (name !== "temperature" && !isOutsideOfKey(name, protocol)) parameters[name] = value as Identity.Json
  }
  return { model, temperature: heat, parameters, ...texts }
}

const withoutNull = (fields: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))

/** What makes an answer more than a text. */
const extras = [
  "tools",
  "tool_choice",
  "functions",
  "function_call",
  "logprobs",
  "top_logprobs",
  "modalities",
  "audio",
  "web_search_options"
]

const isAsked = (value: unknown): boolean =>
  value !== undefined && value !== false && !(Array.isArray(value) && (value.length === 0 || value.join() === "text"))

/** Fields that do not change the samples, and secrets that gateways take in the body. */
const outsideOfKey =
  /^(?:stream|stream_options|user|safety_identifier|metadata|store|service_tier|prompt_cache_.*|cache_control|tools|functions|modalities|api[-_]?key|access_token|authorization)$/i

const isOutsideOfKey = (name: string, protocol: Kind): boolean =>
  outsideOfKey.test(name) || (protocol === "ollama" ? name === "keep_alive" : protocol === "chat" && name === "n")

const textsOf = (
  messages: unknown
): { readonly prompt: string; readonly system: string | undefined } | string => {
  const list = asArray(messages).map(asObject)
  const roles = list.map(({ role }) => asString(role) ?? "?").join(", ")
  if (roles !== "user" && roles !== "system, user") {
    return list.length === 0 ? "its request has no messages" : `its messages are a conversation`
  }
  const [first, last] = [list[0]!, list.at(-1)!]
  const inner = list.length === 2 ? first["content"] : undefined
  const system = inner === undefined ? undefined : textOf(inner)
  const prompt = textOf(last["content"])
  const hasMore = list.some((message) =>
    Object.entries(message).some(([name, value]) => value !== null && !known.has(name))
  )
  if (prompt === undefined || hasMore || (inner !== undefined && system === undefined)) {
    return "its messages have more than one text each"
  }
  return { prompt, system }
}

const known = new Set(["role", "content", "cache_control", "id", "type"])

/** The text of a content: the text itself, or that of its only part. */
const textOf = (content: unknown): string | undefined => {
  if (!Array.isArray(content)) return asString(content)
  const { cache_control: _, text, type, ...others } = asObject(content[0])
  return content.length === 1 && type === "text" && Object.keys(others).length === 0 ? asString(text) : undefined
}
