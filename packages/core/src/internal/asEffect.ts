import * as Effect from "effect/Effect"

/** The result of a user's function as an effect: the function may return a value or an effect of one. */
export const asEffect = <T>(returned: T): Effect.Effect<Value<T>, Effect.Error<T>, Effect.Services<T>> =>
  (Effect.isEffect(returned) ? returned : Effect.succeed(returned)) as ReturnType<typeof asEffect<T>>

type Value<T> = T extends Effect.Effect<infer A, infer _E, infer _R> ? A : T
