import { longestRetryAfter } from "@llm-cache/core/Retry"
import {
  BadKey,
  BadRequest,
  ContentPolicy,
  ContextTooLong,
  type ProviderErrorReason,
  QuotaExhausted,
  RateLimited,
  ServerFault,
  Timeout,
  Transport,
  UntrustedCertificate
} from "@llm-cache/core/SampleError"
import * as Duration from "effect/Duration"
import type { HttpClientError } from "effect/http/HttpClientError"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import type { Excerpt } from "./excerpt.ts"
import * as Phrases from "./phrases.ts"
import { fromHeaders } from "./retryAfter.ts"
import { readServerWords, type ServerWords } from "./serverWords.ts"

/** The parts of a request that error messages name. */
export interface RequestDetails {
  readonly url: string
  readonly model: string
  readonly n: number
  /** The option or variable that holds the API key. */
  readonly keyName: string
  /** The option that holds the URL. */
  readonly urlOption: string
  readonly excerpt: Excerpt
}

/** Ends a message with the server's own words. */
export const quoteServer = (body: string, excerpt: Excerpt): string => quote(readServerWords(body), excerpt)

const quote = ({ message }: ServerWords, excerpt: Excerpt): string => {
  const text = excerpt(message)
  return text === "" ? ". The server says nothing" : `. The server says: ${text}`
}

/** The reason of a status other than success. */
export const fromStatus = (
  { headers, status }: HttpClientResponse,
  body: string,
  now: number,
  request: RequestDetails
): ProviderErrorReason => {
  const words = readServerWords(body)
  const failure = { status, words, retryAfter: fromHeaders(headers, now) ?? words.retryAfter, request }
  return fromWords(failure) ?? fromStatusAlone(failure)
}

/** The reason of an error in an answer with a success status. `undefined` for an error of an unknown kind. */
export const fromErrorInBody = (
  body: string,
  httpStatus: number,
  request: RequestDetails
): ProviderErrorReason | undefined => {
  const words = readServerWords(body)
  const { retryAfter, status } = words
  if (status === undefined) return fromWords({ status: undefined, httpStatus, words, retryAfter, request })
  const failure = { status, words, retryAfter, request }
  return fromWords(failure) ?? fromStatusAlone(failure)
}

/** The reason of an answer that the server broke off. */
export const fromBrokenAnswer = (body: string, status: number, { excerpt }: RequestDetails): ProviderErrorReason =>
  new ServerFault({
    description: `the provider failed in the middle of its answer: try again${quoteServer(body, excerpt)}`,
    status
  })

interface Failure {
  /** The status of the answer or, for a success status, of its body. */
  readonly status: number | undefined
  readonly httpStatus?: number
  readonly words: ServerWords
  readonly retryAfter: Duration.Duration | undefined
  readonly request: RequestDetails
}

const fieldsOf =
  ({ httpStatus, request: { excerpt }, status, words }: Failure) => (problem: string, advice: string) => ({
    description: `${problem}${status === undefined ? "" : ` (${status})`}: ${advice}${quote(words, excerpt)}`,
    status: status ?? httpStatus
  })

const isTransient = (status: number): boolean =>
  [408, 409, 424, 425, 429, 498].includes(status) || (status >= 500 && status !== 501 && status !== 505)

/** The reasons that the server's words decide. */
const fromWords = (failure: Failure): ProviderErrorReason | undefined => {
  const { request: { keyName, model }, status, words: { all } } = failure
  const fields = fieldsOf(failure)
  if (status === 402 || Phrases.isEmptyAccount(all)) {
    return new QuotaExhausted(
      fields("the account has no credit left", `add credit to the account of ${keyName}, or raise its limit`)
    )
  }
  if (status === 429 && Phrases.neverWithinLimit.test(all)) return contextTooLong(fields)
  if (status !== undefined && isTransient(status)) return undefined
  if (status !== 401 && Phrases.contentPolicy.test(all)) {
    return new ContentPolicy(fields("the provider's content policy refused the prompt", "change the prompt"))
  }
  if (Phrases.regionRefused.test(all)) {
    return new BadRequest(
      fields("the provider does not serve this country or region", "use another provider, or another region")
    )
  }
  if (status !== 404 && Phrases.badKey.test(all)) {
    return new BadKey(
      fields("the provider refuses the API key", `check ${keyName}, and that its account may use ${model}`)
    )
  }
  const isOfLength = status === undefined || status === 400 || status === 413 || status === 422
  if (isOfLength && Phrases.contextTooLong.test(all)) return contextTooLong(fields)
  if (status === 413 && Phrases.bodyTooLarge.test(all)) {
    return new ContextTooLong(
      fields("the server does not take so long a request", "shorten the prompt, or let the server take longer bodies")
    )
  }
  return undefined
}

const contextTooLong = (fields: ReturnType<typeof fieldsOf>) =>
  new ContextTooLong(
    fields(
      "the prompt does not fit the model's context",
      "shorten it, ask for fewer tokens, or use a model with a longer context"
    )
  )

const proxyAdvice = "give the proxy's user and password to the HTTP client"

/** The reasons that the status decides. */
const fromStatusAlone = (failure: Failure & { readonly status: number }): ProviderErrorReason => {
  const { request: { keyName, model, n, url, urlOption }, retryAfter, status } = failure
  const fields = fieldsOf(failure)
  const wait = retryAfter === undefined
    ? ""
    : `the provider asks to wait ${Duration.format(retryAfter)}${
      Duration.isGreaterThan(retryAfter, longestRetryAfter)
        ? `, longer than the ${Duration.format(longestRetryAfter)} that a retry waits`
        : ""
    }; `
  if (status === 429 || (status === 403 && retryAfter !== undefined)) {
    return new RateLimited({
      ...fields("too many requests", `${wait}sample less at once, or give \`retry\` a longer schedule`),
      retryAfter
    })
  }
  if (status === 408) {
    return new Timeout({ ...fields("the provider gave up waiting for the request", `${wait}try again`), retryAfter })
  }
  if (isTransient(status)) {
    return new ServerFault({
      ...fields("the provider failed", `${wait}try again later, or give \`retry\` a longer schedule`),
      retryAfter
    })
  }
  switch (status) {
    case 401:
    case 403:
      return new BadKey(
        fields("the provider refuses the API key", `check ${keyName}, and that its account may use ${model}`)
      )
    case 404:
      return new BadRequest(
        fields(`the provider does not know ${url} or the model ${model}`, `check \`${urlOption}\` and \`model\``)
      )
    case 405:
      return new BadRequest(fields(`${url} takes no such request`, `check \`${urlOption}\`, and its path above all`))
    case 407:
      return new BadRequest(
        fields(
          "a proxy before the provider asks for a password",
          proxyAdvice
        )
      )
    case 451:
      return new BadRequest(
        fields("the provider may not answer here for legal reasons", "use another provider, or another region")
      )
    case 501:
    case 505:
      return new BadRequest(fields(`${url} cannot answer such a request`, `check \`${urlOption}\` and \`model\``))
  }
  const onePerRequest = n > 1 && (status === 400 || status === 422)
    ? `; if the provider gives one sample per request (this one asked for ${n}), set \`maxBatch: 1\``
    : ""
  return new BadRequest(
    fields("the provider does not accept the request", `check \`model\` and \`parameters\`${onePerRequest}`)
  )
}

/** The reason of a redirect, followed or not. */
export const fromRedirect = (
  { status }: HttpClientResponse,
  target: string,
  { excerpt, urlOption }: RequestDetails
): ProviderErrorReason =>
  new BadRequest({
    description: `the provider redirects to ${excerpt(target)}, and redirects are not followed: ` +
      `set \`${urlOption}\` to the URL of the API itself`,
    status
  })

/** The reason of a request or an answer that did not arrive whole. */
export const fromClientError = (
  { reason }: HttpClientError,
  { excerpt, url, urlOption }: RequestDetails
): ProviderErrorReason => {
  const causes = "cause" in reason ? excerpt(causesOf(reason.cause).join(", ")) : ""
  const because = causes === "" ? "" : ` (${causes})`
  switch (reason._tag) {
    case "EncodeError":
    case "InvalidUrlError":
      return new BadRequest({
        description: `the request to ${url} could not be made${because}: check \`${urlOption}\``
      })
    case "TransportError":
      if (Phrases.untrustedCertificate.test(causes)) {
        return new UntrustedCertificate({
          description:
            `the certificate of ${url} is not trusted${because}: check \`${urlOption}\`, and give the certificate ` +
            "of your network's authority to Node in NODE_EXTRA_CA_CERTS"
        })
      }
      if (Phrases.proxyPassword.test(causes)) {
        return new BadRequest({ description: `no answer from ${url}${because}: ${proxyAdvice}` })
      }
      if (Phrases.noTls.test(causes)) {
        return new BadRequest({
          description:
            `${url} does not speak TLS${because}: check \`${urlOption}\`, and give it with http:// for a server without TLS`
        })
      }
      return new Transport({ description: `no answer from ${url}${because}: check \`${urlOption}\` and the network` })
    case "DecodeError":
    case "EmptyBodyError":
    case "StatusCodeError":
      return new Transport({
        description: `the connection to ${url} broke in the middle of the answer${because}: try again`,
        status: reason.response.status
      })
  }
}

/** The reason of a body that ends before its end, although the connection did not break. */
export const fromCutBody = (status: number, { url }: RequestDetails): ProviderErrorReason =>
  new Transport({ description: `the answer from ${url} broke off before its end: try again`, status })

// Takes only codes and messages: errors of HTTP clients hold the request, and with it the key.
const causesOf = (cause: unknown): ReadonlyArray<string> => {
  if (!(cause instanceof Error)) return []
  const code = "code" in cause && !Phrases.proxyAnswer.test(cause.message) ? cause.code : undefined
  const text = typeof code === "string" ? code : cause.message
  return [text, ...causesOf(cause.cause)].filter((text) => text !== "")
}

/** The reason of an answer that took too long. */
export const fromTimeout = (timeout: Duration.Duration, { url }: RequestDetails): ProviderErrorReason =>
  new Timeout({
    description: `no whole answer from ${url} within ${Duration.format(timeout)}: give a longer \`timeout\`, ` +
      "or a smaller `maxBatch`"
  })
