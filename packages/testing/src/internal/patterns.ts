import * as Effect from "effect/Effect"

/** Whether a text has a pattern: a text is contained in it, an expression matches a part of it. */
export const hasPattern = (text: string, pattern: string | RegExp): boolean =>
  typeof pattern === "string" ? text.includes(pattern) : text.search(pattern) !== -1

/** The end of a request that no pattern of a script has an answer for. */
export const noPattern = (kind: "message" | "prompt", text: string, patterns: ReadonlyArray<string | RegExp>) =>
  Effect.die(
    new Error(`The test model has no pattern for the ${kind} ${text}: add one to ${patterns.map(String).join(", ")}`)
  )
