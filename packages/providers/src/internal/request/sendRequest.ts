import * as Retry from "@llm-cache/core/Retry"
import { type ProviderErrorReason, UnusableResponse } from "@llm-cache/core/SampleError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { RequestInit } from "effect/http/FetchHttpClient"
import type { HttpClient } from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type { Answer } from "../protocol/protocol.ts"
import * as ErrorReason from "./errorReason.ts"
import { unpack } from "./unpack.ts"

export const longestAnswerInBytes = 32 * 1024 * 1024

/** Reads an answer with a success status. */
export type ReadAnswer<A> = (answer: Answer) => Effect.Effect<A, ProviderErrorReason>

/** Sends a request and reads its answer to the last byte, within `timeout`. */
export const sendRequest = <A>(
  client: HttpClient,
  readAnswer: ReadAnswer<A>,
  request: HttpClientRequest.HttpClientRequest,
  timeout: Duration.Duration,
  details: ErrorReason.RequestDetails
): Effect.Effect<A, ProviderErrorReason> =>
  Retry.within(
    Effect.flatMap(execute(client, request, details), (response) => readResponse(readAnswer, response, details)),
    timeout,
    () => ErrorReason.fromTimeout(timeout, details)
  )

/** Sends a request. Every answer of the server is a success, whatever its status. */
export const execute = (
  client: HttpClient,
  request: HttpClientRequest.HttpClientRequest,
  details: ErrorReason.RequestDetails
): Effect.Effect<HttpClientResponse, ProviderErrorReason> =>
  Effect.withFiber(({ cache: { span, tracer } }) =>
    // Without a tracer there is no span: it is a fifth of the client's time in the benchmark's row `request-64`.
    span === undefined && tracer === undefined
      ? Effect.provideService(client.execute(request), Tracer.DisablePropagation, true)
      : client.execute(request)
  ).pipe(
    Effect.updateContext(withoutRedirects),
    Effect.catch((error) =>
      // The user's client may filter statuses itself, and so hides the answer in an error.
      error.reason._tag === "StatusCodeError"
        ? Effect.succeed(error.reason.response)
        : Effect.fail(ErrorReason.fromClientError(error, details))
    )
  )

// Else `fetch` follows redirects with the prompt, and on Node 22 breaks at a redirect of a POST.
const withoutRedirects = (context: Context.Context<never>): Context.Context<never> =>
  Context.add(context, RequestInit, { ...Context.getOrUndefined(context, RequestInit), redirect: "manual" })

const readResponse = <A>(
  readAnswer: ReadAnswer<A>,
  response: HttpClientResponse,
  details: ErrorReason.RequestDetails
): Effect.Effect<A, ProviderErrorReason> =>
  isSuccess(response, details)
    ? Effect.flatMap(readBody(response, details), (body) =>
      readAnswer({ body, status: response.status, request: details }))
    : failResponse(response, details)

/** Whether the server asked for answers, with a success status. */
export const isSuccess = (response: HttpClientResponse, details: ErrorReason.RequestDetails): boolean =>
  response.status >= 200 && response.status < 300 && redirectTargetOf(response, details) === undefined

/** Fails with the reason of an answer without success. */
export const failResponse = (
  response: HttpClientResponse,
  details: ErrorReason.RequestDetails
): Effect.Effect<never, ProviderErrorReason> => {
  const target = redirectTargetOf(response, details)
  return Effect.flatMap(Effect.orElseSucceed(readBody(response, details), () => ""), (body) =>
    target === undefined
      ? Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.fail(ErrorReason.fromStatus(response, body, now, details)))
      : Effect.fail(ErrorReason.fromRedirect(response, target, details)))
}

// A stream costs more than the rest of a request in the benchmark's row `request-64`, so only bodies of unknown length
// are streamed. That includes packed ones, which may be longer than their header says.
const readBody = (
  response: HttpClientResponse,
  details: ErrorReason.RequestDetails
): Effect.Effect<string, ProviderErrorReason> => {
  const { headers } = response
  const encoding = headers["content-encoding"] ?? "identity"
  if (Number(headers["content-length"]) <= longestAnswerInBytes && encoding === "identity") {
    return Effect.mapError(response.text, (error) => ErrorReason.fromClientError(error, details))
  }
  return readInPieces(response, details).pipe(
    Effect.flatMap((bytes) =>
      Effect.mapError(unpack(bytes, encoding, longestAnswerInBytes), (failure) =>
        failure === "TooLong"
          ? tooLong(response.status, details)
          : ErrorReason.fromCutBody(response.status, details))
    ),
    Effect.map((bytes) => new TextDecoder().decode(bytes))
  )
}

const readInPieces = (response: HttpClientResponse, details: ErrorReason.RequestDetails) => {
  const pieces: Array<Uint8Array> = []
  let length = 0
  const stream = Stream.mapError(response.stream, (error) => ErrorReason.fromClientError(error, details))
  return Stream.runForEach(stream, (piece) => {
    length += piece.length
    if (length > longestAnswerInBytes) return Effect.fail(tooLong(response.status, details))
    pieces.push(piece)
    return Effect.void
  }).pipe(Effect.map(() => Buffer.concat(pieces)))
}

export const tooLong = (status: number, { url }: ErrorReason.RequestDetails) =>
  new UnusableResponse({
    description: `the answer from ${url} is longer than ${longestAnswerInBytes / 1024 / 1024} MiB, and the rest was ` +
      "not read: ask for fewer samples at once, or for shorter ones",
    status
  })

// A client may follow redirects by itself, so the URL of the response is compared, too.
const redirectTargetOf = (
  { headers, request, status, url }: HttpClientResponse,
  details: ErrorReason.RequestDetails
): string | undefined => {
  const isRedirect = status >= 300 && status < 400
  if (!isRedirect && url === details.url) return undefined
  const requested = Option.getOrUndefined(HttpClientRequest.toUrl(request))?.href
  const target = (isRedirect ? headers["location"] : url) ?? ""
  if (target === "" || !URL.canParse(target, requested)) return isRedirect ? "another place" : undefined
  const { href, origin, pathname } = new URL(target, requested)
  return isRedirect || href !== requested ? origin + pathname : undefined
}
