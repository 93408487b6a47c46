import * as Context from "effect/Context"

/** The fork that a fiber runs in: the names that lead to it, the outermost first. */
export const ForkPath = Context.Reference<ReadonlyArray<string>>("@llm-cache/core/ForkPath", {
  defaultValue: () => []
})
