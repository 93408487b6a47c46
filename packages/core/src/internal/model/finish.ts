import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Cache } from "./cache.ts"

/** Waits for the requests in flight, at most `patience` milliseconds, and interrupts those that are left. */
export const finish = (
  { inFlight, settled }: Pick<Cache, "inFlight" | "settled">,
  requestScope: Scope.Closeable,
  patience: number | undefined,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* patience === undefined ? settled : Effect.timeoutOption(settled, patience)
    const left = inFlight()
    if (left > 0) {
      yield* Effect.logWarning(
        `Requests that are interrupted, because they did not end within \`finishWithin\`: ${left}`
      )
    }
    yield* Scope.close(requestScope, exit)
  })
