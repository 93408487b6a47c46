import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { ProvidedModels } from "../../Attempt.ts"
import { IndependentModel } from "../../IndependentModel.ts"
import * as Repeatable from "../../Repeatable.ts"
import { repeatableContext } from "../model/repeatableContext.ts"
import { isRetryable } from "./errors.ts"

/**
 * Runs an attempt with a `Repeatable` of its own, and leaves it the caller's scope. Of several errors, it fails with the
 * error that no other attempt can fix.
 */
export const withFreshModel = <A, E, R>(
  attempt: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, ProvidedModels> | IndependentModel> =>
  Effect.scopedWith((scope) =>
    Effect.flatMap(
      Effect.flatMap(IndependentModel, (model) => Scope.provide(Repeatable.make(model), scope)),
      (model) => Effect.provideContext(attempt, repeatableContext(model))
    )
  ).pipe(Effect.catchCause((cause) => {
    const final = cause.reasons.find((reason) => Cause.isFailReason(reason) && !isRetryable(reason.error))
    return Effect.failCause(final === undefined ? cause : Cause.fromReasons([final]))
  }))
