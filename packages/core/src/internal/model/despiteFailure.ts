import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"

/** Continues with `fallback` if an effect fails or dies: a response that is paid for has to be stored. */
export const despiteFailure = <A, E>(evaluate: () => Effect.Effect<A, E>, fallback: A): Effect.Effect<A> =>
  Effect.catchCause(
    Effect.suspend(evaluate),
    (cause) =>
      Effect.as(Cause.hasDies(cause) ? Effect.ignoreCause(Effect.logError(died, cause)) : Effect.void, fallback)
  )

const died = "A check of a response died. Its samples are stored all the same"
