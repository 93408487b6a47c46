import * as Context from "effect/Context"
import type { Listener } from "../../Events.ts"

/** Listeners of one fiber, beside the `Events` that are provided to it. */
export const Listeners = Context.Reference<ReadonlyArray<Listener>>("@llm-cache/core/Listeners", {
  defaultValue: () => []
})
