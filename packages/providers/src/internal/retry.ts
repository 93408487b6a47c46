import type { ProviderError } from "@llm-cache/core/SampleError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

/** The longest wait that a provider may ask for. */
export const longestWait = Duration.minutes(5)

/** Waits about 1, 2, 4, 8, 16 and 32 s, so that it outlasts a limit of requests per minute. */
export const defaultSchedule: Schedule.Schedule<unknown> = Schedule.exponential("1 second").pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 6 })
)

/** Retries what another request may mend, and waits at least as long as the provider asks. */
export const retry = (
  schedule: Schedule.Schedule<unknown, ProviderError>
) => {
  const options = { schedule: honourRetryAfter(schedule), while: isTransient }
  // The schedule is set up by the first failure: most requests have none.
  return <A, R>(effect: Effect.Effect<A, ProviderError, R>): Effect.Effect<A, ProviderError, R> =>
    effect.pipe(Effect.catch((error) => {
      let isFirst = true
      const again = Effect.suspend(() => {
        if (!isFirst) return effect
        isFirst = false
        return Effect.fail(error)
      })
      return Effect.retry(again, options)
    }))
}

const isTransient = ({ reason, retryAfter }: ProviderError): boolean =>
  reason.isRetryable && reason._tag !== "UnusableResponse" &&
  (retryAfter === undefined || Duration.isLessThanOrEqualTo(retryAfter, longestWait))

const honourRetryAfter = (
  schedule: Schedule.Schedule<unknown, ProviderError>
): Schedule.Schedule<unknown, ProviderError> =>
  Schedule.fromStep(
    Effect.map(Schedule.toStep(schedule), (step) => (now: number, error: ProviderError) =>
      Effect.map(step(now, error), ([output, delay]): [unknown, Duration.Duration] => [
        output,
        error.retryAfter === undefined ? delay : Duration.max(delay, error.retryAfter)
      ]))
  )
