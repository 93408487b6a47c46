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
import type { Quote } from "./quote.ts"
import { longestWait } from "./retry.ts"
import { fieldsOf, parse, stringOf } from "./wire.ts"

/** What messages tell of a request. */
export interface Sent {
  readonly url: string
  readonly model: string
  readonly n: number
  readonly keyName: string
  readonly quote: Quote
}

// -----------------------------------------------------------------------------
// what the server says
// -----------------------------------------------------------------------------

// Servers answer in place of samples: `{"error": {"message"}}`, `{"error"}`, `{"message"}`, `{"detail"}`.
const explain = (body: string, quote: Quote): string => {
  const said = parse(body) ?? {}
  const { detail, error } = said
  const { code, message, type } = typeof error === "string" ? { ...said, message: error } : fieldsOf(error) ?? said
  const kinds = [typeof code === "number" ? code : stringOf(code), stringOf(type)].filter((kind) => kind !== undefined)
  return quote(stringOf(message) || stringOf(detail) || body) +
    (kinds.length === 0 ? "" : ` (${quote(kinds.join(", "))})`)
}

/** The end of a message that quotes a body. */
export const says = (body: string, quote: Quote): string => {
  const text = explain(body, quote)
  return text === "" ? ". The server says nothing" : `. The server says: ${text}`
}

const anyOf = (...patterns: ReadonlyArray<string>): RegExp => new RegExp(patterns.join("|"), "i")

// The words of OpenAI, Azure, vLLM, llama.cpp, Ollama, Fireworks, Anthropic, Gemini, DeepSeek, Qwen, OpenRouter and xAI.
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

/** The reason for a status that is not one of success. */
export const refused = (
  response: HttpClientResponse,
  body: string,
  now: number,
  { keyName, model, n, quote, url }: Sent
): ProviderErrorReason => {
  const { status } = response
  const text = explain(body, quote)
  const fields = (what: string, todo: string) => ({
    description: `${what} (${status}): ${todo}${says(body, quote)}`,
    status
  })
  const retryAfter = retryAfterOf(response, now)
  const wait = retryAfter === undefined
    ? ""
    : `the provider asks to wait ${Duration.format(retryAfter)}${
      Duration.isGreaterThan(retryAfter, longestWait)
        ? `, and no more than ${Duration.format(longestWait)} are waited for`
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
  if (status !== 401 && contentPolicy.test(text)) {
    return new ContentPolicy(fields("the provider's content policy refused the prompt", "change the prompt"))
  }
  if (status === 401 || status === 403) {
    return new BadKey(fields("the key was refused", `check ${keyName}, and that its account may use ${model}`))
  }
  if ((status === 400 || status === 413 || status === 422) && contextTooLong.test(text)) {
    return new ContextTooLong(
      fields("the prompt does not fit the model's context", "shorten it, or take a model with a longer context")
    )
  }
  if (status === 404) {
    return new BadRequest(fields(`nothing is at ${url}, or there is no model ${model}`, "check `baseUrl` and `model`"))
  }
  const perRequest = n > 1 && (status === 400 || status === 422)
    ? `; if it takes no more than one sample per request (${n} were asked for), set \`maxBatch: 1\``
    : ""
  return new BadRequest(
    fields("the provider does not take the request", `check \`model\` and \`parameters\`${perRequest}`)
  )
}

/** The reason for an error that came in place of the rest of an answer, after a status of success. */
export const inStream = (body: string, status: number, { quote }: Sent): ProviderErrorReason => {
  const text = explain(body, quote)
  const fields = (what: string, todo: string) => ({ description: `${what}: ${todo}${says(body, quote)}`, status })
  if (contentPolicy.test(text)) {
    return new ContentPolicy(fields("the provider's content policy refused the prompt", "change the prompt"))
  }
  if (contextTooLong.test(text)) {
    return new ContextTooLong(
      fields("the prompt does not fit the model's context", "shorten it, or take a model with a longer context")
    )
  }
  return new ServerFault(fields("the provider failed in the middle of its answer", "try again"))
}

/** How long a provider asks to wait, in seconds or until a date. */
const retryAfterOf = ({ headers }: HttpClientResponse, now: number): Duration.Duration | undefined => {
  const value = headers["retry-after"]
  return value === undefined ? undefined : Result.getOrUndefined(
    Result.map(Headers.parseRetryAfter(value), (retryAfter) => Headers.retryAfterDelay(retryAfter, now))
  )
}

/** The reason for an answer that came, or was to come, from elsewhere. */
export const redirected = ({ status }: HttpClientResponse, target: string, { quote }: Sent): ProviderErrorReason =>
  new BadRequest({
    description: `the provider redirects to ${quote(target)}, and redirects are not followed: ` +
      "set `baseUrl` to where the API is",
    status
  })

/** The reason for an answer that did not come whole. */
export const broken = ({ reason }: HttpClientError, { quote, url }: Sent): ProviderErrorReason => {
  const why = "cause" in reason ? quote(causes(reason.cause).join(", ")) : ""
  const because = why === "" ? "" : ` (${why})`
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

// Errors of clients hold the request, and with it the key: only their codes and messages are taken.
const causes = (cause: unknown): ReadonlyArray<string> => {
  if (!(cause instanceof Error)) return []
  const said = "code" in cause && typeof cause.code === "string" ? cause.code : cause.message
  return [said, ...causes(cause.cause)].filter((text) => text !== "")
}

/** The reason for an answer that took too long. */
export const timedOut = (timeout: Duration.Duration, { url }: Sent): ProviderErrorReason =>
  new Timeout({
    description: `no whole answer from ${url} in ${Duration.format(timeout)}: give a longer \`timeout\`, ` +
      "or ask for fewer samples at once by `maxBatch`"
  })
