/**
 * Retries of requests: after which failures a request is sent again, and when.
 *
 * **When to use**
 *
 * The models of `@llm-cache/providers` retry by their option `retry`, and `LlmModel.retry` retries the requests of any other
 * model. Use this module in a provider of your own.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type { RetryWait } from "./LlmModel.ts"
import { ProviderError, type SampleError } from "./SampleError.ts"

/**
 * The longest `retryAfter` that a retry waits for: five minutes.
 *
 * @category constants
 * @since 0.1.0
 */
export const longestRetryAfter: Duration.Duration = Duration.minutes(5)

/**
 * Waits about 1, 2, 4, 8, 16 and 32 s: together a minute, after which a limit per minute allows requests again.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultSchedule: Schedule.Schedule<unknown> = Schedule.exponential("1 second").pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 6 })
)

/** How long waits are silent in the log. */
const silentMillis = 10_000

/**
 * Sleeps, and after `silent` milliseconds tells how much is left.
 *
 * @category waiting
 * @since 0.1.0
 */
export const sleepAndTell = (
  millis: number,
  tell: (rest: string) => Effect.Effect<void>,
  silent: number = silentMillis
): Effect.Effect<void> => {
  if (millis <= silent) return Effect.sleep(millis)
  const rest = millis - silent
  return Effect.sleep(silent).pipe(Effect.andThen(tell(inSeconds(rest))), Effect.andThen(Effect.sleep(rest)))
}

const inSeconds = (millis: number): string =>
  Duration.format(Duration.millis(millis < 1000 ? Math.ceil(millis) : Math.ceil(millis / 1000) * 1000))

/**
 * Interrupts an effect after a time, and fails once it has ended.
 *
 * **When to use**
 *
 * Use it around each request of a provider of your own. It takes a third of the time of `Effect.timeoutOrElse`, as the rows
 * `request-64` and `server-miss` of the benchmark show.
 *
 * @category waiting
 * @since 0.1.0
 */
export const within = <A, E>(
  self: Effect.Effect<A, E>,
  duration: Duration.Input,
  onTimeout: () => E
): Effect.Effect<A, E> =>
  Effect.withFiber(({ context }) =>
    Effect.callback<A, E>((resume) => {
      const fork = Effect.runForkWith(context)
      const fiber = fork(self)
      const timer = fork(Effect.sleep(duration))
      timer.addObserver((exit) => {
        if (Exit.isSuccess(exit)) resume(Effect.andThen(Fiber.interrupt(fiber), Effect.fail(onTimeout())))
      })
      fiber.addObserver((exit) => {
        timer.interruptUnsafe()
        resume(exit)
      })
      return Fiber.interrupt(fiber)
    })
  )

type OnRetry = (wait: RetryWait) => Effect.Effect<void>

/**
 * Sends a request again after a failure that another request can fix. `onRetry` runs before each wait.
 *
 * @category models
 * @since 0.1.0
 */
export type Retry = <A, R>(
  request: Effect.Effect<A, SampleError, R>,
  onRetry?: OnRetry
) => Effect.Effect<A, SampleError, R>

/**
 * Makes the retries of a model.
 *
 * **Details**
 *
 * It retries each `ProviderError` that is retryable, as long as the schedule allows, and waits at least as long as its
 * `retryAfter`. If that is longer than `longestRetryAfter`, it does not retry. The last error says how many times the request
 * was sent, and for how long.
 *
 * The log warns of the first retry, unless another request of the same model is being retried already, and after ten
 * seconds of waiting tells how much is left.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (schedule: Schedule.Schedule<unknown, ProviderError> = defaultSchedule): Retry => {
  const ofTransient = Schedule.while(schedule, ({ input }) => Effect.succeed(isTransient(input)))
  let retrying = 0
  return (request, onRetry = () => Effect.void) =>
    Effect.flatMap(Clock.currentTimeMillis, (start) => {
      const retryAfterFailure = (first: ProviderError) => {
        let tries = 1
        const attempt = Effect.suspend(() => tries === 1 ? Effect.fail(first) : onlyProviderErrors(request))
        const beforeWait: OnRetry = (wait) =>
          Effect.suspend(() => {
            const isFirst = tries++ === 1 && retrying++ === 0
            return isFirst ? Effect.andThen(onRetry(wait), warn(wait)) : onRetry(wait)
          })
        return Effect.retry(attempt, waiting(ofTransient, beforeWait)).pipe(
          Effect.catch((last) =>
            Effect.flatMap(
              Clock.currentTimeMillis,
              (now) => Effect.fail(tries === 1 ? last : afterTries(last, tries, now - start))
            )
          ),
          Effect.flatMap(Effect.fromResult),
          Effect.ensuring(Effect.sync(() => {
            if (tries > 1) retrying--
          }))
        )
      }
      // Only a failed request sets up the schedule, which costs the rows `request` and `request-64` of the benchmark.
      return Effect.catchTag(request, "ProviderError", retryAfterFailure)
    })
}

/** Lets an effect fail only with errors that a schedule may retry. */
const onlyProviderErrors = <A, R>(
  self: Effect.Effect<A, SampleError, R>
): Effect.Effect<Result.Result<A, SampleError>, ProviderError, R> =>
  Effect.matchEffect(self, {
    onFailure: (error) => error._tag === "ProviderError" ? Effect.fail(error) : Effect.succeed(Result.fail(error)),
    onSuccess: (value) => Effect.succeed(Result.succeed(value))
  })

const warn = ({ delay, error }: RetryWait) => {
  const millis = Duration.toMillis(delay)
  const when = millis === 0 ? "at once" : `in ${inSeconds(millis)}`
  return Effect.logWarning(`A request failed, and is sent again ${when}: ${error.message}`)
}

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
          (rest) => Effect.logInfo(`Waits ${rest} for a retry: ${error.message}`),
          Math.max(0, speaksAt - now)
        )
        const waited: [unknown, Duration.Duration] = [output, Duration.zero]
        return Effect.as(Effect.andThen(onRetry({ error, delay }), wait), waited)
      })
  }))
