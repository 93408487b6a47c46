import type { RetryWait } from "@llm-cache/core/LlmModel"
import { ProviderError } from "@llm-cache/core/SampleError"
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
  return Effect.sleep(silent).pipe(Effect.andThen(log(inSeconds(rest))), Effect.andThen(Effect.sleep(rest)))
}

const inSeconds = (millis: number): string => Duration.format(Duration.seconds(Math.ceil(millis / 1000)))

type OnRetry = (wait: RetryWait) => Effect.Effect<void>

/**
 * Retries errors that another request can fix, and waits at least as long as the provider asks. The log warns of the first
 * retry, unless another request of the same model is being retried already.
 */
export const retryWith = (schedule: Schedule.Schedule<unknown, ProviderError>) => {
  const ofTransient = Schedule.while(schedule, ({ input }) => Effect.succeed(isTransient(input)))
  let retrying = 0
  return <A, R>(
    request: Effect.Effect<A, ProviderError, R>,
    onRetry: OnRetry = () => Effect.void
  ): Effect.Effect<A, ProviderError, R> =>
    Effect.flatMap(Clock.currentTimeMillis, (start) => {
      const retryAfterFailure = (error: ProviderError) => {
        let tries = 1
        const attempt = Effect.suspend(() => tries === 1 ? Effect.fail(error) : request)
        const beforeWait: OnRetry = (wait) =>
          Effect.suspend(() => {
            const isFirst = tries++ === 1 && retrying++ === 0
            return isFirst ? Effect.andThen(onRetry(wait), warn(wait)) : onRetry(wait)
          })
        return Effect.retry(attempt, waiting(ofTransient, beforeWait)).pipe(
          Effect.catchTag("ProviderError", (error) =>
            Effect.flatMap(
              Clock.currentTimeMillis,
              (now) => Effect.fail(tries === 1 ? error : afterTries(error, tries, now - start))
            )),
          Effect.ensuring(Effect.sync(() => {
            if (tries > 1) retrying--
          }))
        )
      }
      // Only a failed request sets up the schedule, which costs the rows `request` and `request-64` of the benchmark.
      return Effect.catch(retryAfterFailure)(request)
    })
}

const warn = ({ delay, error }: RetryWait) =>
  Effect.logWarning(
    `A request failed, and is sent again in ${inSeconds(Duration.toMillis(delay))}: ${error.message}`
  )

const afterTries = ({ provider, reason }: ProviderError, tries: number, elapsed: number): ProviderError =>
  new ProviderError({ provider, reason, tries, elapsed: Duration.millis(elapsed) })

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
