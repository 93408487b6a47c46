import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"

/** With `"fail"`, a scope that closes after a success dies if a part of the script is unused. */
export const failUnused = (
  model: { readonly unused: ReadonlyArray<string> },
  ifUnused: "fail" | "ignore" = "ignore"
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.addFinalizer((exit) => {
    const { unused } = model
    return ifUnused === "fail" && Exit.isSuccess(exit) && unused.length > 0
      ? Effect.die(new Error(`The program did not use all of the test model's script: ${unused.join(", ")} is left`))
      : Effect.void
  })
