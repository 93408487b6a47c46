import * as Context from "effect/Context"
import type { Retry } from "../../Retry.ts"

/** How the requests of a fiber's draws are retried. */
export const CurrentRetry = Context.Reference<Retry | undefined>("@llm-cache/core/CurrentRetry", {
  defaultValue: () => undefined
})
