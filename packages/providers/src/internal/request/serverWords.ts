import * as Duration from "effect/Duration"
import { asObject, asObjects, asString, type JsonObject, parseJson, parseObject } from "../protocol/json.ts"
import { parseDelay } from "./retryAfter.ts"

/** The words of a server about a failure. */
export interface ServerWords {
  /** Its message and codes, for people. */
  readonly message: string
  /** All texts of the body, whole, to judge the failure by. */
  readonly all: string
  /** The HTTP status that the body names. */
  readonly status: number | undefined
  /** The wait that the body asks for. */
  readonly retryAfter: Duration.Duration | undefined
}

export const readServerWords = (body: string): ServerWords => {
  const json = parseJson(body)
  const fields = asObject(json) ?? asObjects(json)?.find(({ error }) => error)
  const found: Found = { texts: [], retryDelay: undefined }
  if (typeof json === "object" && json !== null) collect(json, 0, found)
  return {
    message: fields === undefined ? body : messageOf(fields, body),
    all: typeof json === "object" && json !== null ? found.texts.join("\n") : body,
    status: fields === undefined ? undefined : statusOf(fields),
    retryAfter: found.retryDelay === undefined ? undefined : parseDelay(found.retryDelay)
  }
}

// -----------------------------------------------------------------------------
// the message
// -----------------------------------------------------------------------------

// Servers send `{"error": {"message"}}`, `{"error"}`, `{"message"}`, `{"msg"}` or `{"detail"}`.
const errorOf = (fields: JsonObject): JsonObject =>
  typeof fields["error"] === "string" ? { ...fields, message: fields["error"] } : asObject(fields["error"]) ?? fields

const messageOf = (fields: JsonObject, body: string): string => {
  const { code, message, metadata, msg, status, type } = errorOf(fields)
  const kinds = [typeof code === "number" ? code : asString(code), asString(type) ?? asString(status)]
    .filter((kind) => kind !== undefined && kind !== "")
  const behind = rawMessageOf(asObject(metadata)?.["raw"])
  return (asString(message) || asString(msg) || asString(fields["detail"]) || body) +
    (behind === undefined ? "" : `: ${behind}`) +
    (kinds.length === 0 ? "" : ` (${kinds.join(", ")})`)
}

// OpenRouter puts there the words of the provider behind it: https://openrouter.ai/docs/api-reference/errors
const rawMessageOf = (raw: unknown): string | undefined => {
  if (raw === undefined || raw === null) return undefined
  const text = asString(raw) ?? JSON.stringify(raw)
  const fields = parseObject(text)
  return fields === undefined ? text : messageOf(fields, text)
}

// -----------------------------------------------------------------------------
// all texts
// -----------------------------------------------------------------------------

interface Found {
  readonly texts: Array<string>
  /** `RetryInfo` of Gemini: https://cloud.google.com/apis/design/errors */
  retryDelay: string | undefined
}

/** Fields in which servers send the request back: a prompt may speak of a content policy. */
const echoes = ["input", "messages", "prompt", "request"]

const deepest = 20

const collect = (value: unknown, depth: number, found: Found): void => {
  if (depth > deepest) return
  if (typeof value === "string") {
    const nested = value.startsWith("{") ? parseObject(value) : undefined
    if (nested === undefined) found.texts.push(value)
    else collect(nested, depth + 1, found)
  } else if (Array.isArray(value)) {
    for (const item of value) collect(item, depth + 1, found)
  } else {
    for (const [name, item] of Object.entries(asObject(value) ?? {})) {
      if (name === "retryDelay" && typeof item === "string") found.retryDelay = item
      if (name === "blockReason") found.texts.push(name)
      if (!echoes.includes(name)) collect(item, depth + 1, found)
    }
  }
}

// -----------------------------------------------------------------------------
// the status
// -----------------------------------------------------------------------------

/** The status of an error of a server that names none. */
const statuses: Record<string, number> = {
  // https://platform.claude.com/docs/en/api/errors
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
  // https://platform.openai.com/docs/guides/error-codes
  rate_limit_exceeded: 429,
  server_error: 500,
  // https://cloud.google.com/apis/design/errors
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  RESOURCE_EXHAUSTED: 429,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504
}

const statusOf = (fields: JsonObject): number | undefined => {
  const { code, status, type } = errorOf(fields)
  const named = [code, status, type]
  const number = named.map((value) => typeof value === "string" && /^\d{3}$/.test(value) ? Number(value) : value)
    .find((value) => typeof value === "number" && value >= 400 && value <= 599)
  return typeof number === "number"
    ? number
    : named.flatMap((name) => typeof name === "string" && Object.hasOwn(statuses, name) ? [statuses[name]] : [])[0]
}
