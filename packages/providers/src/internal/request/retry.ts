import type { ProviderError } from "@llm-cache/core/SampleError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** The longest `Retry-After` that a retry waits for. */
export const longestRetryAfter = Duration.minutes(5)

/** Waits about 1, 2, 4, 8, 16 and 32 s: together a minute, after which a limit per minute allows requests again. */
export const defaultSchedule: Schedule.Schedule<unknown> = Schedule.exponential("1 second").pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 6 })
)

/** Retries errors that another request can fix, and waits at least as long as the provider asks. */
export const retryWith = (schedule: Schedule.Schedule<unknown, ProviderError>) => {
  const options = { schedule: respectRetryAfter(schedule), while: isTransient }
  return <A, R>(effect: Effect.Effect<A, ProviderError, R>): Effect.Effect<A, ProviderError, R> =>
    // Only a failed request sets up the schedule, which costs the rows `request` and `request-64` of the benchmark.
    effect.pipe(Effect.catch((error) => {
      let isFirst = true
      const attempt = Effect.suspend(() => {
        if (!isFirst) return effect
        isFirst = false
        return Effect.fail(error)
      })
      return Effect.retry(attempt, options)
    }))
}

const isTransient = ({ reason, retryAfter }: ProviderError): boolean =>
  reason.isRetryable &&
  (retryAfter === undefined || Duration.isLessThanOrEqualTo(retryAfter, longestRetryAfter))

const respectRetryAfter = (
  schedule: Schedule.Schedule<unknown, ProviderError>
): Schedule.Schedule<unknown, ProviderError> =>
  Schedule.fromStep(
    Effect.map(Schedule.toStep(schedule), (step) => (now: number, error: ProviderError) =>
      Effect.map(step(now, error), ([output, delay]): [unknown, Duration.Duration] => [
        output,
        error.retryAfter === undefined ? delay : Duration.max(delay, error.retryAfter)
      ]))
  )
