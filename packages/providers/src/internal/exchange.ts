import type { Generation } from "@llm-cache/core/LlmModel"
import { type ProviderErrorReason, UnusableResponse } from "@llm-cache/core/SampleError"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as Failure from "./failure.ts"
import { inTime } from "./inTime.ts"
import type { Protocol } from "./protocol.ts"

/** The longest answer that is read, in bytes. */
const longestAnswer = 32 * 1024 * 1024

/** One request, and its answer to the last byte, in `timeout`. */
export const exchange = (
  client: HttpClient,
  protocol: Protocol,
  request: HttpClientRequest.HttpClientRequest,
  timeout: Duration.Duration,
  sent: Failure.Sent
): Effect.Effect<Generation, ProviderErrorReason> =>
  inTime(ask(client, protocol, request, sent), timeout, () => Failure.timedOut(timeout, sent))

const ask = (
  client: HttpClient,
  protocol: Protocol,
  request: HttpClientRequest.HttpClientRequest,
  sent: Failure.Sent
): Effect.Effect<Generation, ProviderErrorReason> => {
  const responded = Effect.withFiber(({ cache: { span, tracer } }) =>
    // What no one would see of a request is not made: its span, and the headers that tell the server of it.
    span === undefined && tracer === undefined
      ? Effect.provideService(client.execute(request), Tracer.DisablePropagation, true)
      : client.execute(request)
  ).pipe(
    Effect.catch((error) =>
      // A client may come with a filter of its own.
      error.reason._tag === "StatusCodeError"
        ? Effect.succeed(error.reason.response)
        : Effect.fail(Failure.broken(error, sent))
    )
  )
  return Effect.flatMap(responded, (response) => {
    const { status } = response
    const target = redirectOf(response, sent)
    const read = bodyOf(response, sent)
    if (target === undefined && status >= 200 && status < 300) {
      return Effect.flatMap(read, (body) => protocol.generation({ body, status, sent }))
    }
    return Effect.flatMap(Effect.orElseSucceed(read, () => ""), (body) =>
      target === undefined
        ? Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.fail(Failure.refused(response, body, now, sent)))
        : Effect.fail(Failure.redirected(response, target, sent)))
  })
}

// The whole body as text. One that does not say how long it is, or is longer when it is unpacked, is read in pieces, so
// that it does not fill the memory.
const bodyOf = (response: HttpClientResponse, sent: Failure.Sent): Effect.Effect<string, ProviderErrorReason> => {
  const { headers } = response
  return Number(headers["content-length"]) <= longestAnswer && headers["content-encoding"] === undefined
    ? Effect.mapError(response.text, (error) => Failure.broken(error, sent))
    : inPieces(response, sent)
}

const inPieces = (response: HttpClientResponse, sent: Failure.Sent) => {
  const decoder = new TextDecoder()
  let text = ""
  let length = 0
  return Stream.runForEach(Stream.mapError(response.stream, (error) => Failure.broken(error, sent)), (piece) => {
    length += piece.length
    if (length > longestAnswer) return Effect.fail(tooLong(response.status, sent))
    text += decoder.decode(piece, { stream: true })
    return Effect.void
  }).pipe(Effect.map(() => text + decoder.decode()))
}

const tooLong = (status: number, { url }: Failure.Sent) =>
  new UnusableResponse({
    description: `the answer from ${url} is longer than ${longestAnswer / 1024 / 1024} MiB, and was not read to its ` +
      "end: ask for fewer samples at once, or for shorter ones",
    status
  })

// Where a redirect leads, also one that the client has followed by itself, as `fetch` does.
const redirectOf = (
  { headers, request, status, url }: HttpClientResponse,
  sent: Failure.Sent
): string | undefined => {
  const isRedirect = status >= 300 && status < 400
  if (!isRedirect && url === sent.url) return undefined
  const asked = Option.getOrUndefined(HttpClientRequest.toUrl(request))?.href
  const target = (isRedirect ? headers["location"] : url) ?? ""
  if (target === "" || !URL.canParse(target, asked)) return isRedirect ? "another place" : undefined
  const { href, origin, pathname } = new URL(target, asked)
  return isRedirect || href !== asked ? origin + pathname : undefined
}
