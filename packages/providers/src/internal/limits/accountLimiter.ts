import type { Generation } from "@llm-cache/core/LlmModel"
import type { ProviderErrorReason } from "@llm-cache/core/SampleError"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import type * as RateLimiter from "effect/persistence/RateLimiter"
import * as Semaphore from "effect/Semaphore"
import type { Options } from "../../Limits.ts"
import { makeLeakyBucket } from "./leakyBucket.ts"
import { makeRateLimitPause } from "./rateLimitPause.ts"

/** Sends a request of an account once its limits allow it. */
export type AccountLimiter = <A extends Partial<Generation>>(
  estimatedTokens: number,
  request: Effect.Effect<A, ProviderErrorReason>
) => Effect.Effect<A, ProviderErrorReason>

/** Makes the limiter of one account. Its requests queue, first come, first served. */
export const makeAccountLimiter = (
  host: string,
  name: string,
  { inFlight, requestsPerMinute, tokensPerMinute }: Options,
  rateLimiter: RateLimiter.RateLimiter
): AccountLimiter => {
  const limitInFlight = inFlight === undefined ? identity : Semaphore.makeUnsafe(inFlight).withPermits(1)
  const takeRequest = makeLeakyBucket(rateLimiter, `${name}:requests`, requestsPerMinute)
  const takeTokens = makeLeakyBucket(rateLimiter, `${name}:tokens`, tokensPerMinute)
  const pause = makeRateLimitPause(host)

  // Only the head of the queue waits for these times.
  const headOfQueue = Semaphore.makeUnsafe(1)
  let tokensAllowedAt = -Infinity
  let requestAllowedAt = -Infinity
  let tokensCorrected = Deferred.makeUnsafe<void>()

  const fromNow = (millis: number) => Effect.map(Clock.currentTimeMillis, (now) => now + millis)
  const waitUntil = (time: () => number): Effect.Effect<void> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const millis = Math.ceil(time() - now)
      return millis <= 0
        ? Effect.void
        : Deferred.await(tokensCorrected).pipe(
          Effect.timeoutOrElse({ duration: millis, orElse: () => Effect.void }),
          Effect.andThen(waitUntil(time))
        )
    })

  const correctTokens = (difference: number) =>
    Effect.suspend(() => {
      if (tokensPerMinute !== undefined) tokensAllowedAt += difference * 60_000 / tokensPerMinute
      Deferred.doneUnsafe(tokensCorrected, Exit.void)
      tokensCorrected = Deferred.makeUnsafe()
      // A failure to count must not cost an answer that was paid for.
      return Effect.ignoreCause(takeTokens(difference))
    })

  const waitForTokensAndRequest = (tokens: number) =>
    Effect.gen(function*() {
      tokensAllowedAt = yield* Effect.flatMap(takeTokens(tokens), fromNow)
      yield* Effect.onError(
        Effect.gen(function*() {
          // Tokens come first: a request's time that passes unused would fall beside that of the next request.
          yield* waitUntil(() => tokensAllowedAt)
          // An interrupted request leaves its time to the next one.
          if (requestAllowedAt < (yield* Clock.currentTimeMillis)) {
            requestAllowedAt = yield* Effect.flatMap(takeRequest(1), fromNow)
          }
          yield* waitUntil(() => requestAllowedAt)
        }),
        () => correctTokens(-tokens)
      )
    })

  const waitAtHeadOfQueue = (tokens: number) =>
    Effect.gen(function*() {
      while (true) {
        yield* pause.wait
        yield* waitForTokensAndRequest(tokens)
        if ((yield* pause.remainingMillis) <= 0) {
          requestAllowedAt = -Infinity
          return
        }
        // A 429 came in the meantime.
        yield* correctTokens(-tokens)
      }
    })

  const hasRates = requestsPerMinute !== undefined || tokensPerMinute !== undefined
  let queued = 0
  const waitInQueue = (tokens: number) =>
    Effect.suspend(() => {
      // The queue costs the benchmark's rows `request` and `request-64`, which have no limits.
      if (!hasRates && queued === 0 && !pause.isPending()) return Effect.void
      queued++
      return Effect.ensuring(headOfQueue.withPermit(waitAtHeadOfQueue(tokens)), Effect.sync(() => queued--))
    })

  return (estimatedTokens, request) =>
    limitInFlight(Effect.flatMap(waitInQueue(estimatedTokens), () => {
      const countWhenSent = pause.count()
      return request.pipe(
        Effect.tap(({ inputTokens, outputTokens }) => {
          pause.onSuccess(countWhenSent)
          return inputTokens === undefined || outputTokens === undefined
            ? Effect.void
            : correctTokens(inputTokens + outputTokens - estimatedTokens)
        }),
        Effect.tapError((reason) =>
          reason._tag === "RateLimited" ? pause.onRateLimited(reason.retryAfter, countWhenSent) : Effect.void
        )
      )
    }))
}
