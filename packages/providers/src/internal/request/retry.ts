import type { RetryWait } from "@llm-cache/core/LlmModel"
import type { ProviderError } from "@llm-cache/core/SampleError"
import * as Clock from "effect/Clock"
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

/** How long waits are silent in the log. */
export const silentMillis = 10_000

/** Sleeps, and after a silent time tells how much is left. */
export const sleepAndTell = (
  millis: number,
  silent: number,
  log: (rest: string) => Effect.Effect<void>
): Effect.Effect<void> => {
  if (millis <= silent) return Effect.sleep(millis)
  const rest = millis - silent
  const inSeconds = Duration.format(Duration.seconds(Math.ceil(rest / 1000)))
  return Effect.sleep(silent).pipe(Effect.andThen(log(inSeconds)), Effect.andThen(Effect.sleep(rest)))
}

type OnRetry = (wait: RetryWait) => Effect.Effect<void>

/** Retries errors that another request can fix, and waits at least as long as the provider asks. */
export const retryWith = (schedule: Schedule.Schedule<unknown, ProviderError>) => {
  const ofTransient = Schedule.while(schedule, ({ input }) => Effect.succeed(isTransient(input)))
  return <A, R>(
    effect: Effect.Effect<A, ProviderError, R>,
    onRetry: OnRetry = () => Effect.void
  ): Effect.Effect<A, ProviderError, R> =>
    // Only a failed request sets up the schedule, which costs the rows `request` and `request-64` of the benchmark.
    effect.pipe(Effect.catch((error) => {
      let isFirst = true
      const attempt = Effect.suspend(() => {
        if (!isFirst) return effect
        isFirst = false
        return Effect.fail(error)
      })
      return Effect.retry(attempt, waiting(ofTransient, onRetry))
    }))
}

const isTransient = ({ reason, retryAfter }: ProviderError): boolean =>
  reason.isRetryable &&
  (retryAfter === undefined || Duration.isLessThanOrEqualTo(retryAfter, longestRetryAfter))

// It waits by itself, because the log speaks in the middle of a wait.
const waiting = (
  schedule: Schedule.Schedule<unknown, ProviderError>,
  onRetry: OnRetry
): Schedule.Schedule<unknown, ProviderError> =>
  Schedule.fromStep(Effect.gen(function*() {
    const step = yield* Schedule.toStep(schedule)
    const speaksAt = (yield* Clock.currentTimeMillis) + silentMillis
    return (now: number, error: ProviderError) =>
      Effect.flatMap(step(now, error), ([output, scheduled]) => {
        const delay = error.retryAfter === undefined ? scheduled : Duration.max(scheduled, error.retryAfter)
        const wait = sleepAndTell(
          Duration.toMillis(delay),
          Math.max(0, speaksAt - now),
          (rest) => Effect.logInfo(`Waits ${rest} for a retry: ${error.message}`)
        )
        const waited: [unknown, Duration.Duration] = [output, Duration.zero]
        return Effect.as(Effect.andThen(onRetry({ error, delay }), wait), waited)
      })
  }))
