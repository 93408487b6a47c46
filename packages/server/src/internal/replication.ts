import * as Context from "effect/Context"

/** Whether a draw may not ask an upstream. */
export const CurrentReplication = Context.Reference<boolean>("@llm-cache/server/CurrentReplication", {
  defaultValue: () => false
})
