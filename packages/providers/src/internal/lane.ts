import type { Generation } from "@llm-cache/core/LlmModel"
import { type ProviderErrorReason, RateLimited, Transport } from "@llm-cache/core/SampleError"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import type * as RateLimiter from "effect/persistence/RateLimiter"
import * as Semaphore from "effect/Semaphore"
import type { Options } from "../Limits.ts"
import { longestWait } from "./retry.ts"

/** Runs a request of an account when its limits let it. */
export type Lane = (
  tokens: number,
  request: Effect.Effect<Generation, ProviderErrorReason>
) => Effect.Effect<Generation, ProviderErrorReason>

/** The lane of one account. Requests go through it one behind the other, in the order in which they came. */
export const makeLane = (
  name: string,
  { inFlight, requestsPerMinute, tokensPerMinute }: Options,
  limiter: RateLimiter.RateLimiter
): Lane => {
  const turnstile = Semaphore.makeUnsafe(1)
  const seats = inFlight === undefined ? identity : Semaphore.makeUnsafe(inFlight).withPermits(1)

  // Effect's bucket of one millisecond: what is taken is a time for which no one else may go, and it is empty until that
  // is over. Gives how long it still was before.
  const bucket = (what: string, perMinute: number | undefined) => {
    if (perMinute === undefined) return () => Effect.succeed(0)
    // It holds whole milliseconds. How much more was taken than it should be, in parts of them: the next takes less.
    let over = 0
    return (amount: number): Effect.Effect<number, Transport> =>
      Effect.suspend(() => {
        const time = amount * 60_000 - over
        const millis = Math.ceil(time / perMinute)
        over = millis * perMinute - time
        return limiter.consume({
          key: `${name}:${what}`,
          algorithm: "token-bucket",
          onExceeded: "delay",
          limit: 1,
          window: Duration.millis(1),
          tokens: millis
        }).pipe(
          Effect.map(({ resetAfter }) => Math.max(0, Duration.toMillis(resetAfter) - millis)),
          Effect.mapError(({ message }) =>
            new Transport({ description: `no answer from the rate limiter: ${message}` })
          )
        )
      })
  }
  const takeRequest = bucket("requests", requestsPerMinute)
  const takeTokens = bucket("tokens", tokensPerMinute)

  // When the request that waits may go, by its tokens, which moves when what is before it is settled, and by its turn, which
  // is left to the next one where it was not sent.
  let madeUpFor = -Infinity
  let moved = Deferred.makeUnsafe<void>()
  let turn = -Infinity
  const until = (time: () => number): Effect.Effect<void> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const millis = Math.ceil(time() - now)
      return millis <= 0
        ? Effect.void
        : Effect.andThen(Effect.raceFirst(Effect.sleep(millis), Deferred.await(moved)), until(time))
    })
  const inFuture = (wait: number) => Effect.map(Clock.currentTimeMillis, (now) => now + wait)
  // A turn is one only when the tokens are there: else it would be used behind its time, and so beside the next one.
  const waitFor = (tokens: number) =>
    Effect.gen(function*() {
      madeUpFor = yield* Effect.flatMap(takeTokens(tokens), inFuture)
      yield* Effect.onError(
        Effect.gen(function*() {
          yield* until(() => madeUpFor)
          if (turn < (yield* Clock.currentTimeMillis)) turn = yield* Effect.flatMap(takeRequest(1), inFuture)
          yield* until(() => turn)
        }),
        () => settle(-tokens)
      )
    })
  // What was paid for is not given up for a count, whatever becomes of that.
  const settle = (tokens: number) =>
    Effect.suspend(() => {
      if (tokensPerMinute !== undefined) madeUpFor += tokens * 60_000 / tokensPerMinute
      Deferred.doneUnsafe(moved, Exit.void)
      moved = Deferred.makeUnsafe()
      return Effect.ignoreCause(takeTokens(tokens))
    })

  // Until when the vendor wants to hear nothing (0 once that is over), how often in a row it said so without a time, and how often at all: of
  // several requests that it refuses at once, the first is counted.
  let pausedUntil = 0
  let refusals = 0
  let pauses = 0
  const refused = (retryAfter: Duration.Duration | undefined, sentAfter: number) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      // no time may be one that is over by the clock of this machine
      const wait = retryAfter === undefined ? 0 : Duration.toMillis(retryAfter)
      if (wait > 0) pausedUntil = Math.max(pausedUntil, now + wait)
      else if (sentAfter === pauses) pausedUntil = Math.max(pausedUntil, now + Math.min(60, 2 ** refusals++) * 1000)
      pauses++
    })
  const left = Effect.map(Clock.currentTimeMillis, (now) => pausedUntil - now)
  const silence: Effect.Effect<void, RateLimited> = Effect.flatMap(left, (millis) => {
    if (millis <= 0) {
      pausedUntil = 0
      return Effect.void
    }
    const retryAfter = Duration.millis(millis)
    return Duration.isGreaterThan(retryAfter, longestWait)
      ? Effect.fail(
        new RateLimited({
          description: `the provider has asked for silence, of which ${Duration.format(retryAfter)} are left: ` +
            "try again then, or ask another provider",
          retryAfter
        })
      )
      : Effect.andThen(Effect.sleep(retryAfter), silence)
  })

  const waitTurn = (tokens: number) =>
    turnstile.withPermit(Effect.gen(function*() {
      do {
        yield* silence
        yield* waitFor(tokens)
        if ((yield* left) <= 0) {
          turn = -Infinity
          return
        }
        yield* settle(-tokens)
      } while (true)
    }))

  // Where no one counts and no one waits, there is no turn to wait for.
  const isCounted = requestsPerMinute !== undefined || tokensPerMinute !== undefined
  let waiting = 0
  const pass = (tokens: number) =>
    Effect.suspend(() => {
      if (!isCounted && waiting === 0 && pausedUntil === 0) return Effect.void
      waiting++
      return Effect.ensuring(waitTurn(tokens), Effect.sync(() => waiting--))
    })

  return (tokens, request) =>
    seats(Effect.flatMap(pass(tokens), () => {
      const sentAfter = pauses
      return request.pipe(
        Effect.tap(({ inputTokens, outputTokens }) => {
          if (sentAfter === pauses) refusals = 0
          return inputTokens === undefined || outputTokens === undefined
            ? Effect.void
            : settle(inputTokens + outputTokens - tokens)
        }),
        Effect.tapError((reason) => reason._tag === "RateLimited" ? refused(reason.retryAfter, sentAfter) : Effect.void)
      )
    }))
}

/** The tokens that a request is estimated to take. */
export const estimate = (
  { n, outputTokens = 500, texts }: {
    readonly texts: ReadonlyArray<string>
    readonly n: number
    readonly outputTokens: number | undefined
  }
): number => Math.ceil(texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 4) + n * outputTokens
