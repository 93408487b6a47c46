import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Attempt from "../../Attempt.ts"
import type { IndependentModel } from "../../IndependentModel.ts"
import type { QueryOptions, Verdict } from "../../Output.ts"
import { asEffect } from "../asEffect.ts"
import { type OutputError, OutputRefused, OutputRejected, OutputsExhausted } from "./errors.ts"

/** Draws samples until one can be parsed and its value is accepted. */
export const drawUntilAccepted = <
  A,
  E,
  R,
  V extends Verdict | Effect.Effect<Verdict, unknown, unknown>,
  S extends Schedule.Schedule<unknown, OutputRejected, unknown, unknown>
>(
  draw: Effect.Effect<string, E, R>,
  parse: (sample: string) => Effect.Effect<A, OutputError>,
  options: QueryOptions<A, V, S>
): Effect.Effect<
  A,
  E | OutputsExhausted | Effect.Error<V> | Schedule.Error<S>,
  Exclude<R | Effect.Services<V>, Attempt.ProvidedModels> | IndependentModel | Schedule.Env<S>
> =>
  Effect.suspend(() => {
    type Failure = E | OutputRejected | Effect.Error<V>
    const { schedule = Schedule.recurs(3), validate } = options
    // `validate` may query too, so rejections of this query are known by identity.
    const rejected: Array<OutputRejected> = []
    const reject = (sample: string) => (error: OutputError | OutputRefused) => {
      const rejection = new OutputRejected({ sample, error })
      rejected.push(rejection)
      return rejection
    }
    const attempt = Effect.gen(function*(): Effect.fn.Return<A, Failure, R | Effect.Services<V>> {
      const sample = yield* draw
      const value = yield* Effect.mapError(parse(sample), reject(sample))
      const verdict: Verdict = validate === undefined ? true : yield* asEffect("validate", validate(value))
      if (verdict === true || verdict === undefined) return value
      return yield* reject(sample)(new OutputRefused({ reason: verdict === false ? undefined : verdict }))
    })
    return Attempt.retry(attempt, {
      schedule: schedule as Schedule.Schedule<unknown, Failure, Schedule.Error<S>, Schedule.Env<S>>,
      while: (error) => error === rejected.at(-1)
    }).pipe(
      Effect.map(({ value }) => value),
      Effect.mapError((error) =>
        error instanceof Attempt.AttemptsExhausted && error.lastError === rejected.at(-1)
          ? new OutputsExhausted({ attempts: rejected })
          : error as Exclude<typeof error, OutputRejected | Attempt.AttemptsExhausted>
      )
    )
  })
