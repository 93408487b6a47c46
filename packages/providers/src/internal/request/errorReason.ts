import {
  BadKey,
  BadRequest,
  ContentPolicy,
  ContextTooLong,
  type ProviderErrorReason,
  RateLimited,
  ServerFault,
  Timeout,
  Transport
} from "@llm-cache/core/SampleError"
import * as Duration from "effect/Duration"
import * as Headers from "effect/http/Headers"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Result from "effect/Result"
import { asObject, asString, parseObject } from "../protocol/json.ts"
import type { Excerpt } from "./excerpt.ts"
import { longestRetryAfter } from "./retry.ts"

/** The parts of a request that error messages name. */
export interface RequestDetails {
  readonly url: string
  readonly model: string
  readonly n: number
  /** The option or variable that holds the API key. */
  readonly keyName: string
  readonly excerpt: Excerpt
}

// -----------------------------------------------------------------------------
// the server's words
// -----------------------------------------------------------------------------

/** Ends a message with the server's own words. */
export const quoteServer = (body: string, excerpt: Excerpt): string => {
  const text = errorTextOf(body, excerpt)
  return text === "" ? ". The server says nothing" : `. The server says: ${text}`
}

// Servers send `{"error": {"message"}}`, `{"error"}`, `{"message"}` or `{"detail"}`.
const errorTextOf = (body: string, excerpt: Excerpt): string => {
  const fields = parseObject(body) ?? {}
  const { detail, error } = fields
  const { code, message, type } = typeof error === "string" ? { ...fields, message: error } : asObject(error) ?? fields
  const kinds = [typeof code === "number" ? code : asString(code), asString(type)].filter((kind) => kind !== undefined)
  return excerpt(asString(message) || asString(detail) || body) +
    (kinds.length === 0 ? "" : ` (${excerpt(kinds.join(", "))})`)
}

const anyOf = (...patterns: ReadonlyArray<string>): RegExp => new RegExp(patterns.join("|"), "i")

// Phrases of OpenAI, Azure, vLLM, llama.cpp, Ollama, Fireworks, Anthropic, Gemini, DeepSeek, Qwen, OpenRouter and xAI.
const contextTooLong = anyOf(
  "context[ _](length|window|size)",
  "(prompt|input|messages?) (is|are) too (long|large)",
  "too many (input )?tokens",
  "token count .*exceed",
  "maximum (prompt|input) length",
  "range of input length",
  "string_above_max_length",
  "request_too_large"
)
const contentPolicy = anyOf(
  "content[ _-]?(filter|policy|management|moderation)",
  "content exists risk",
  "data_inspection_failed",
  "inappropriate content",
  "responsible ?ai ?policy",
  "requires moderation"
)

// -----------------------------------------------------------------------------
// reasons
// -----------------------------------------------------------------------------

/** The reason of a status other than success. */
export const fromStatus = (
  response: HttpClientResponse,
  body: string,
  now: number,
  { excerpt, keyName, model, n, url }: RequestDetails
): ProviderErrorReason => {
  const { status } = response
  const text = errorTextOf(body, excerpt)
  const fields = (problem: string, advice: string) => ({
    description: `${problem} (${status}): ${advice}${quoteServer(body, excerpt)}`,
    status
  })
  const retryAfter = retryAfterOf(response, now)
  const wait = retryAfter === undefined
    ? ""
    : `the provider asks to wait ${Duration.format(retryAfter)}${
      Duration.isGreaterThan(retryAfter, longestRetryAfter)
        ? `, longer than the ${Duration.format(longestRetryAfter)} that a retry waits`
        : ""
    }; `
  if (status === 429) {
    return new RateLimited({
      ...fields("too many requests", `${wait}sample less at once, or give \`retry\` a longer schedule`),
      retryAfter
    })
  }
  if (status === 408) {
    return new Timeout({ ...fields("the provider gave up waiting for the request", `${wait}try again`), retryAfter })
  }
  if (status === 409 || status === 425 || status >= 500) {
    return new ServerFault({
      ...fields("the provider failed", `${wait}try again later, or give \`retry\` a longer schedule`),
      retryAfter
    })
  }
  if (status !== 401 && contentPolicy.test(text)) return contentPolicyReason(fields)
  if (status === 401 || status === 403) {
    return new BadKey(
      fields("the provider refuses the API key", `check ${keyName}, and that its account may use ${model}`)
    )
  }
  if ((status === 400 || status === 413 || status === 422) && contextTooLong.test(text)) {
    return contextTooLongReason(fields)
  }
  if (status === 404) {
    return new BadRequest(
      fields(`the provider does not know ${url} or the model ${model}`, "check `baseUrl` and `model`")
    )
  }
  const onePerRequest = n > 1 && (status === 400 || status === 422)
    ? `; if the provider gives one sample per request (this one asked for ${n}), set \`maxBatch: 1\``
    : ""
  return new BadRequest(
    fields("the provider does not accept the request", `check \`model\` and \`parameters\`${onePerRequest}`)
  )
}

/** The reason of an error in the body of an answer with a success status. */
export const fromErrorInBody = (body: string, status: number, { excerpt }: RequestDetails): ProviderErrorReason => {
  const text = errorTextOf(body, excerpt)
  const fields = (problem: string, advice: string) => ({
    description: `${problem}: ${advice}${quoteServer(body, excerpt)}`,
    status
  })
  if (contentPolicy.test(text)) return contentPolicyReason(fields)
  if (contextTooLong.test(text)) return contextTooLongReason(fields)
  return new ServerFault(fields("the provider failed in the middle of its answer", "try again"))
}

type MakeFields = (problem: string, advice: string) => { readonly description: string; readonly status: number }

const contentPolicyReason = (fields: MakeFields) =>
  new ContentPolicy(fields("the provider's content policy refused the prompt", "change the prompt"))

const contextTooLongReason = (fields: MakeFields) =>
  new ContextTooLong(
    fields("the prompt does not fit the model's context", "shorten it, or use a model with a longer context")
  )

/** The wait that the provider asks for, in seconds or as a date. */
const retryAfterOf = ({ headers }: HttpClientResponse, now: number): Duration.Duration | undefined => {
  const value = headers["retry-after"]
  return value === undefined ? undefined : Result.getOrUndefined(
    Result.map(Headers.parseRetryAfter(value), (retryAfter) => Headers.retryAfterDelay(retryAfter, now))
  )
}

/** The reason of a redirect, followed or not. */
export const fromRedirect = (
  { status }: HttpClientResponse,
  target: string,
  { excerpt }: RequestDetails
): ProviderErrorReason =>
  new BadRequest({
    description: `the provider redirects to ${excerpt(target)}, and redirects are not followed: ` +
      "set `baseUrl` to the URL of the API itself",
    status
  })

/** The reason of a request or an answer that did not arrive whole. */
export const fromClientError = (
  { reason }: HttpClientError,
  { excerpt, url }: RequestDetails
): ProviderErrorReason => {
  const causes = "cause" in reason ? excerpt(causesOf(reason.cause).join(", ")) : ""
  const because = causes === "" ? "" : ` (${causes})`
  switch (reason._tag) {
    case "EncodeError":
    case "InvalidUrlError":
      return new BadRequest({ description: `the request to ${url} could not be made${because}: check \`baseUrl\`` })
    case "TransportError":
      return new Transport({ description: `no answer from ${url}${because}: check \`baseUrl\` and the network` })
    case "DecodeError":
    case "EmptyBodyError":
    case "StatusCodeError":
      return new Transport({
        description: `the connection to ${url} broke in the middle of the answer${because}: try again`,
        status: reason.response.status
      })
  }
}

// Takes only codes and messages: errors of HTTP clients hold the request, and with it the key.
const causesOf = (cause: unknown): ReadonlyArray<string> => {
  if (!(cause instanceof Error)) return []
  const text = "code" in cause && typeof cause.code === "string" ? cause.code : cause.message
  return [text, ...causesOf(cause.cause)].filter((text) => text !== "")
}

/** The reason of an answer that took too long. */
export const fromTimeout = (timeout: Duration.Duration, { url }: RequestDetails): ProviderErrorReason =>
  new Timeout({
    description: `no whole answer from ${url} within ${Duration.format(timeout)}: give a longer \`timeout\`, ` +
      "or a smaller `maxBatch`"
  })
