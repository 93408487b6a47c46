import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { ProvidedModels } from "../../Attempt.ts"
import * as Independent from "../../Independent.ts"
import { IndependentModel } from "../../IndependentModel.ts"
import * as Repeatable from "../../Repeatable.ts"
import { repeatableContext } from "../model/repeatableContext.ts"
import { isProviderFailure, isRetryable } from "./errors.ts"

/** An attempt with its models. Each run after the first repeats the draws of the runs before, and then goes on. */
type Run<A, E, R> = Effect.Effect<A, E, Exclude<R, ProvidedModels>>

/** Lets `use` run an attempt with a `Repeatable` of its own, and in the scope of the caller. */
export const withFreshModel = <A, E, R, B, E2, R2>(
  attempt: Effect.Effect<A, E, R>,
  use: (run: Run<A, E, R>) => Effect.Effect<B, E2, R2>
): Effect.Effect<B, E2, R2 | IndependentModel> =>
  Effect.scopedWith((scope) =>
    Effect.gen(function*() {
      const source = yield* IndependentModel
      const models = repeatableContext(yield* Scope.provide(Repeatable.make(source), scope))
      // Attempts and votes inside the attempt draw from it, so it repeats too. Each run reads it from the start.
      const independent = yield* Scope.provide(Repeatable.make(source), scope)
      const run = Effect.flatMap(
        Scope.provide(Independent.make(independent), scope),
        (model) => Effect.provideContext(attempt, Context.add(models, IndependentModel, model)) as Run<A, E, R>
      )
      return yield* use(Effect.catchCause(run, (cause) => Effect.failCause(decisive(cause))))
    })
  )

// Of several errors, first one that nothing can fix, then a failure that kept the attempt from a draw.
const decisive = <E>(cause: Cause.Cause<E>): Cause.Cause<E> => {
  const errors = cause.reasons.filter(Cause.isFailReason)
  const first = errors.find(({ error }) => !isRetryable(error)) ?? errors.find(({ error }) => isProviderFailure(error))
  return first === undefined ? cause : Cause.fromReasons([first])
}
