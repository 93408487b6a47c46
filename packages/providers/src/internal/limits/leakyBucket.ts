import { Transport } from "@llm-cache/core/SampleError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as RateLimiter from "effect/persistence/RateLimiter"

/** Takes an amount from the bucket, and gives the milliseconds until the amounts before it have leaked out. */
export type LeakyBucket = (amount: number) => Effect.Effect<number, Transport>

/**
 * Makes a bucket that leaks `perMinute`. It counts time in Effect's token bucket of one token per millisecond, so that
 * machines can share it through a `RateLimiterStore`.
 */
export const makeLeakyBucket = (
  rateLimiter: RateLimiter.RateLimiter,
  key: string,
  perMinute: number | undefined
): LeakyBucket => {
  if (perMinute === undefined) return () => Effect.succeed(0)
  // The bucket counts whole milliseconds, so the next amount makes up for the rounding of this one.
  let roundedUp = 0
  return (amount) =>
    Effect.suspend(() => {
      const time = amount * 60_000 - roundedUp
      const millis = Math.ceil(time / perMinute)
      roundedUp = millis * perMinute - time
      return rateLimiter.consume({
        key,
        algorithm: "token-bucket",
        onExceeded: "delay",
        limit: 1,
        window: Duration.millis(1),
        tokens: millis
      }).pipe(
        Effect.map(({ resetAfter }) => Math.max(0, Duration.toMillis(resetAfter) - millis)),
        Effect.mapError(({ message }) =>
          new Transport({ description: `no answer from the rate limiter: ${message}: check its store` })
        )
      )
    })
}
