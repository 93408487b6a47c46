import { longestRetryAfter, sleepAndTell } from "@llm-cache/core/Retry"
import { RateLimited } from "@llm-cache/core/SampleError"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** The pause that an account makes after a 429. */
export interface RateLimitPause {
  /** The number of 429s so far. A request notes it when it is sent. */
  readonly count: () => number
  /** Whether requests must queue: from a 429 on, until the first request has waited for its end. */
  readonly isPending: () => boolean
  readonly onRateLimited: (retryAfter: Duration.Duration | undefined, countWhenSent: number) => Effect.Effect<void>
  readonly onSuccess: (countWhenSent: number) => void
  readonly remainingMillis: Effect.Effect<number>
  /** Waits for the end of the pause. Fails if it is longer than a retry waits. */
  readonly wait: Effect.Effect<void, RateLimited>
}

export const makeRateLimitPause = (host: string): RateLimitPause => {
  let until = 0
  let count = 0
  let withoutTimeInARow = 0

  const logPause = (rest: string) => Effect.logInfo(`Waits ${rest}, because ${host} had too many requests (429)`)
  const remainingMillis = Effect.map(Clock.currentTimeMillis, (now) => until - now)
  const wait: Effect.Effect<void, RateLimited> = Effect.flatMap(remainingMillis, (millis) => {
    if (millis <= 0) {
      until = 0
      return Effect.void
    }
    const retryAfter = Duration.millis(millis)
    return Duration.isGreaterThan(retryAfter, longestRetryAfter)
      ? Effect.fail(
        new RateLimited({
          description: `the provider has asked for a pause, which lasts another ${Duration.format(retryAfter)}: ` +
            "try again after it, or use another provider",
          retryAfter
        })
      )
      : Effect.andThen(sleepAndTell(millis, logPause), wait)
  })

  return {
    count: () => count,
    isPending: () => until !== 0,
    onRateLimited: (retryAfter, countWhenSent) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        // A date may be over by this machine's clock, and then counts as absent.
        const asked = retryAfter === undefined ? 0 : Duration.toMillis(retryAfter)
        if (asked > 0) until = Math.max(until, now + asked)
        // Of requests that were refused together, only the first doubles the wait.
        else if (countWhenSent === count) until = Math.max(until, now + Math.min(60, 2 ** withoutTimeInARow++) * 1000)
        count++
      }),
    onSuccess: (countWhenSent) => {
      if (countWhenSent === count) withoutTimeInARow = 0
    },
    remainingMillis,
    wait
  }
}
