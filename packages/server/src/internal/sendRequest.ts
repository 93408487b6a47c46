import type { Generation } from "@llm-cache/core/LlmModel"
import * as Retry from "@llm-cache/core/Retry"
import type { JsonObject } from "@llm-cache/core/Sample"
import {
  type ProviderErrorReason,
  ServerFault,
  Timeout,
  Transport,
  UntrustedCertificate,
  UnusableResponse
} from "@llm-cache/core/SampleError"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import { RequestInit } from "effect/http/FetchHttpClient"
import * as HttpBody from "effect/http/HttpBody"
import type * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { Endpoint } from "../Protocol.ts"
import { type Api, keyHeader, type Route, type Upstream } from "../Upstream.ts"
import { asObject, objectOf, parseJson } from "./json.ts"
import type { ClientCall } from "./source.ts"
import { unpacked } from "./unpacked.ts"
import { isUnknownPath, reasonOf, type UpstreamAnswer, upstreamAnswerOf, withAnswer } from "./upstreamAnswer.ts"

/** The longest answer, in bytes. */
const longestAnswer = 32 * 1024 * 1024

export interface UpstreamRequest {
  readonly route: Route
  readonly current: ClientCall
  readonly n: number
  readonly timeout: Duration.Duration
}

/** Sends a request to an upstream and reads its answer. The pieces of a stream go to the client as they come. */
export const sendRequest = (
  client: HttpClient.HttpClient,
  { current, n, route: { model, upstream }, timeout }: UpstreamRequest
): Effect.Effect<Generation, ProviderErrorReason> =>
  Effect.suspend(() => {
    const { call, headers, onPieces, protocol, query } = current
    const isStreamed = onPieces !== undefined && n === 1
    const body = JSON.stringify(protocol.requestBody(call, { model, n, isStreamed }))
    const request = HttpClientRequest.post(`${upstream.url}${protocol.path}${query}`, {
      headers: {
        ...withKey(headers, upstream, protocol.api),
        "cache-control": "no-cache",
        // Pieces that are packed wait for others.
        "accept-encoding": "identity"
      },
      body: HttpBody.text(body, "application/json")
    })
    const redact = (text: string) =>
      redactor([...secretsOf(headers, query), upstream.key && Redacted.value(upstream.key)])(text)
    let hasForwarded = false
    const answered = Effect.gen(function*() {
      const response = yield* Effect.mapError(
        execute(client, request),
        (error) => fromClientError(error, upstream.url)
      )
      const type = response.headers["content-type"] ?? ""
      // Some servers stream whether they are asked to or not.
      if (response.status === 200 && n === 1 && protocol.makeJoiner !== undefined && type.includes("event-stream")) {
        const joiner = protocol.makeJoiner(call)
        let isDone = false
        yield* readEvents(response, upstream.url, (event) => {
          const events = joiner.add(event)
          isDone ||= event.data === "[DONE]"
          if (events.length === 0) return isDone || event.data.trim() === "" || objectOf(event.data) !== undefined
          if (onPieces === undefined) return true
          hasForwarded = true
          onPieces(events)
          return true
        })
        const whole = joiner.end()
        if (whole === undefined) return yield* new Transport({ description: "the upstream's stream broke off" })
        return yield* readAnswer(whole)
      }
      const text = yield* readText(response, upstream.url)
      if (response.status < 200 || response.status > 299) {
        const told = { status: response.status, body: redact(text), headers: keptHeaders(response.headers) }
        const explained = isUnknownPath(told) ? unknownPath(told, protocol, upstream.name) : told
        return yield* Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.fail(reasonOf(explained, now)))
      }
      const parsed = yield* Effect.try({
        try: () => asObject(parseJson(text)),
        catch: () => new UnusableResponse({ description: `the upstream ${upstream.name} answers with no JSON` })
      })
      return yield* readAnswer(parsed ?? {})
    })

    const readAnswer = (answer: JsonObject) => {
      const { error, type } = answer
      if (!error) return Effect.fromResult(protocol.generation(answer, n))
      const body = redact(JSON.stringify({ type: type === "error" ? type : undefined, error }))
      const status = protocol.statusOf?.(asObject(error) ?? {})
      return Effect.fail(
        status === undefined
          ? errorInBody({ status: 502, body, headers: {} })
          : reasonOf({ status, body, headers: {} }, 0)
      )
    }

    return Effect.mapError(
      Retry.within(
        answered,
        timeout,
        () => new Timeout({ description: `no whole answer of ${upstream.name} in ${Duration.format(timeout)}` })
      ),
      // The client has seen a part of the sample, so no other one may follow.
      (reason) => hasForwarded && reason.isRetryable ? notAgain(reason) : reason
    )
  })

const execute = (client: HttpClient.HttpClient, request: HttpClientRequest.HttpClientRequest) =>
  Effect.withFiber(({ cache: { span, tracer } }) => {
    const executed = Effect.provideService(client.execute(request), RequestInit, { redirect: "manual" })
    // Nobody sees the client's span then: it is a third of its time in the row `server-miss` of the benchmark.
    return span === undefined && tracer === undefined
      ? Effect.provideService(executed, Tracer.DisablePropagation, true)
      : executed
  })

const errorInBody = (told: UpstreamAnswer) =>
  withAnswer(new UnusableResponse({ description: "the upstream answers with an error in a success" }), told)

/** Servers without an API seldom say so. */
const unknownPath = (told: UpstreamAnswer, protocol: Endpoint, name: string): UpstreamAnswer => {
  const { body, headers, status } = told
  const message =
    `the upstream ${name} answers ${status} to POST ${protocol.path}: ${JSON.stringify(body.slice(0, 200))}. ` +
    "If it does not have this API, call one that it has, such as /v1/chat/completions, or give another upstream; if it has, " +
    "check its URL"
  return {
    status,
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify(protocol.failure({ status, message, code: "upstream_error" }))
  }
}

const notAgain = (reason: ProviderErrorReason) => {
  const broken = new UnusableResponse({ description: `${reason.message}, in the middle of a sample` })
  const told = upstreamAnswerOf(reason)
  return told === undefined ? broken : withAnswer(broken, told)
}

/** Headers, and fields of a query, that hold a key, of vendors and of gateways. Without a request's own key, it is done twice. */
const isSecret = (name: string): boolean =>
  /(?:^|[-_])(?:apikey|auth|authorization|(?<!idempotency[-_])key|secret|sig|signature|token)$/i.test(name)

export const secretsOf = (headers: { readonly [name: string]: string }, query: string): ReadonlyArray<string> => [
  ...Object.entries(headers).flatMap(([name, value]) => isSecret(name) ? [value] : []),
  // An upstream may echo its URL as well as the key.
  ...[...new URLSearchParams(query)].flatMap(([name, value]) =>
    isSecret(name) ? [value, encodeURIComponent(value), `${new URLSearchParams({ "": value })}`.slice(1)] : []
  )
]

/** The headers of a client, with the upstream's key in place of the client's if it has one. */
export const withKey = (
  headers: { readonly [name: string]: string },
  { key }: Upstream,
  api: Api
): { readonly [name: string]: string } =>
  key === undefined
    ? headers
    : { ...Object.fromEntries(Object.entries(headers).filter(([name]) => !isSecret(name))), ...keyHeader(api, key) }

/** Headers of a failure that tell a client when to try again. */
const keptHeaders = (headers: { readonly [name: string]: string | undefined }): { readonly [name: string]: string } =>
  Object.fromEntries(
    ["content-type", "retry-after", "retry-after-ms", "x-should-retry", "x-request-id", "request-id"].flatMap(
      (name) => {
        const value = headers[name]
        return value === undefined ? [] : [[name, value]]
      }
    )
  )

/** Takes keys out of an upstream's words, which may echo them with or without their scheme, such as `Bearer`. */
export const redactor = (values: ReadonlyArray<string | undefined>) => {
  const secrets = values.flatMap((value) => value === undefined ? [] : [value.replace(/^[\w-]+\s+/, "")])
    .filter((secret) => secret.length >= 8)
  return (text: string): string => secrets.reduce((text, secret) => text.replaceAll(secret, "<redacted>"), text)
}

/** Reads a stream. It fails at an event that `onEvent` cannot read: without its piece, a sample would only look whole. */
const readEvents = (
  response: HttpClientResponse,
  url: string,
  onEvent: (event: Sse.Event) => boolean
): Effect.Effect<void, ProviderErrorReason> => {
  let isReadable = true
  const parser = Sse.makeParser((event) => {
    if (event._tag === "Event" && isReadable) isReadable = onEvent(event)
  }, { maxEventSize: longestAnswer })
  return Stream.runForEach(Stream.decodeText(bounded(response, url)), (text) => {
    const error = parser.feed(text)
    if (error !== undefined) return Effect.fail(new UnusableResponse({ description: error.message }))
    return isReadable ? Effect.void : Effect.fail(
      new UnusableResponse({ description: `the stream of ${url} has an event that is no JSON object` })
    )
  })
}

export const readText = (response: HttpClientResponse, url: string): Effect.Effect<string, ProviderErrorReason> =>
  Number(response.headers["content-length"]) <= longestAnswer && response.headers["content-encoding"] === undefined
    ? Effect.mapError(response.text, (error) => fromClientError(error, url))
    : Stream.mkString(Stream.decodeText(bounded(response, url)))

/** The bytes of an answer, which is not packed. */
export const readBytes = (response: HttpClientResponse, url: string): Stream.Stream<Uint8Array, ProviderErrorReason> =>
  Stream.mapError(
    unpacked(response),
    (error) => error._tag === "HttpClientError" ? fromClientError(error, url) : error
  )

const bounded = (response: HttpClientResponse, url: string) => {
  let length = 0
  return readBytes(response, url).pipe(
    Stream.tap((piece) => {
      length += piece.length
      return length <= longestAnswer ? Effect.void : Effect.fail(
        new UnusableResponse({ description: `the answer of ${url} is longer than ${longestAnswer / 1024 / 1024} MiB` })
      )
    })
  )
}

export const fromClientError = ({ reason }: HttpClientError, url: string): ProviderErrorReason => {
  const codes = "cause" in reason ? codesOf(reason.cause) : []
  const because = codes.length === 0 ? "" : ` (${codes.join(", ")})`
  if (codes.some((code) => /CERT|SIGNATURE|SELF_SIGNED/.test(code))) {
    return new UntrustedCertificate({ description: `the certificate of ${url} is not trusted${because}` })
  }
  return reason._tag === "TransportError"
    ? new Transport({ description: `no answer from ${url}${because}: check the upstream's URL and the network` })
    : new ServerFault({ description: `the answer of ${url} broke off${because}` })
}

// Only codes: errors of HTTP clients hold the request, and with it the key.
const codesOf = (cause: unknown): ReadonlyArray<string> =>
  cause instanceof Error
    ? ["code" in cause && typeof cause.code === "string" ? cause.code : undefined, ...codesOf(cause.cause)]
      .filter((code) => code !== undefined)
    : []
