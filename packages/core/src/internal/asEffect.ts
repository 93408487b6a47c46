import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"

/** The result of a user's function as an effect: the function may return a value or an effect of one. */
export const asEffect = <T>(
  option: string,
  returned: T
): Effect.Effect<Value<T>, Effect.Error<T>, Effect.Services<T>> =>
  (Effect.isEffect(returned)
    ? returned
    // A promise counts as true, and equals every other promise.
    : Predicate.isPromiseLike(returned)
    ? Effect.die(
      new TypeError(`\`${option}\` returned a promise: return an effect, as by \`Effect.promise\`, or a value`)
    )
    : Effect.succeed(returned)) as ReturnType<typeof asEffect<T>>

type Value<T> = T extends Effect.Effect<infer A, infer _E, infer _R> ? A : T
