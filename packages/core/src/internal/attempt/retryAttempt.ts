import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type { ProvidedModels, RetryOptions, Succeeded } from "../../Attempt.ts"
import type { IndependentModel } from "../../IndependentModel.ts"
import { asEffect } from "../asEffect.ts"
import { CurrentFork, enterAttempt } from "../model/currentFork.ts"
import { AttemptsExhausted, isProviderFailure, isRetryable } from "./errors.ts"
import { withFreshModel } from "./freshModel.ts"
import { resumption } from "./resumption.ts"

/** Makes attempts until one succeeds or the options allow no more. */
export const retryAttempt = <A, E, R, E2, R2>(
  attempt: Effect.Effect<A, E, R>,
  options: RetryOptions<E, E2, R2>
): Effect.Effect<
  Succeeded<A, E>,
  E | AttemptsExhausted<E> | E2,
  Exclude<R, ProvidedModels> | IndependentModel | R2
> => {
  const { schedule = Schedule.forever, times = Infinity } = options
  const limited = Schedule.while(schedule, ({ attempt }) => attempt <= times)
  return Effect.suspend(() => {
    const errors: Array<E> = []
    // The final result succeeds here, an error too: `Effect.retryOrElse` only sees errors that it has to retry.
    type End = Result.Result<Succeeded<A, E>, E | AttemptsExhausted<E> | E2>
    type Ended = Effect.Effect<Effect.Effect<End, E>, E, R2>
    const end = (result: End): Ended => Effect.succeed(Effect.succeed(result))
    const judge = (error: E): Ended =>
      Effect.matchEffect(isRetried(options, error), {
        onFailure: (error) => end(Result.fail(error)),
        onSuccess: (yes) =>
          !yes
            ? end(Result.fail(error))
            : isProviderFailure(error)
            ? Effect.fail(error)
            : Effect.succeed(Effect.suspend(() => {
              errors.push(error)
              return Effect.fail(error)
            }))
      })
    const next = withFreshModel(attempt, (run) =>
      Effect.matchEffect(run, {
        onFailure: judge,
        onSuccess: (value) => end(Result.succeed({ value, attempts: errors.length + 1, lastError: errors.at(-1) }))
      }).pipe(
        // A cache does not record failures of the provider. In a replay the attempt goes on, so it has to do so here.
        Effect.retryOrElse(
          resumption(limited, errors.length + 1),
          (error) => end(Result.fail(new AttemptsExhausted({ errors: [...errors, error] })))
        ),
        Effect.catch((error) => end(Result.fail(error)))
      ))
    return Effect.suspend(() => Effect.updateService(next, CurrentFork, enterAttempt(errors.length + 1))).pipe(
      Effect.flatten,
      Effect.retryOrElse(limited, () => Effect.fail(new AttemptsExhausted({ errors }))),
      Effect.flatMap(Effect.fromResult)
    )
  })
}

const isRetried = Effect.fnUntraced(function*<E, E2, R2>(options: RetryOptions<E, E2, R2>, error: E) {
  if (!isRetryable(error)) return false
  if (options.while !== undefined && !(yield* asEffect("while", options.while(error)))) return false
  return options.until === undefined || !(yield* asEffect("until", options.until(error)))
})
