import type { Generation } from "@llm-cache/core/LlmModel"
import { type ProviderErrorReason, UnusableResponse } from "@llm-cache/core/SampleError"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Failure from "./failure.ts"
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
  Effect.timeoutOrElse(ask(client, protocol, request, sent), {
    duration: timeout,
    orElse: () => Effect.fail(Failure.timedOut(timeout, sent))
  })

const ask = Effect.fnUntraced(function*(
  client: HttpClient,
  protocol: Protocol,
  request: HttpClientRequest.HttpClientRequest,
  sent: Failure.Sent
): Effect.fn.Return<Generation, ProviderErrorReason> {
  const response = yield* client.execute(request).pipe(
    // A client may come with a filter of its own.
    Effect.catchReason("HttpClientError", "StatusCodeError", ({ response }) => Effect.succeed(response)),
    Effect.mapError((error) => Failure.broken(error, sent))
  )
  const { status } = response
  const target = redirectOf(response)
  const isSuccess = target === undefined && status >= 200 && status < 300
  const read = bodyOf(response, sent)
  if (isSuccess) return yield* protocol.generation({ body: yield* read, status, sent })
  const body = yield* Effect.orElseSucceed(read, () => "")
  return yield* target === undefined
    ? Failure.refused(response, body, yield* Clock.currentTimeMillis, sent)
    : Failure.redirected(response, target, sent)
})

// The whole body as text, read in pieces, so that one without an end does not fill the memory.
const bodyOf = (response: HttpClientResponse, sent: Failure.Sent) => {
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
const redirectOf = ({ headers, request, status, url }: HttpClientResponse): string | undefined => {
  const isRedirect = status >= 300 && status < 400
  const asked = Option.getOrUndefined(HttpClientRequest.toUrl(request))?.href
  const target = (isRedirect ? headers["location"] : url) ?? ""
  if (target === "" || !URL.canParse(target, asked)) return isRedirect ? "another place" : undefined
  const { href, origin, pathname } = new URL(target, asked)
  return isRedirect || href !== asked ? origin + pathname : undefined
}
