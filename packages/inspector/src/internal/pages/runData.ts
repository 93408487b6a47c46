import type { Explanation } from "@llm-cache/core/Explain"
import type { Draw, Prompt, State } from "@llm-cache/core/TraceIndex"
import type { RunInfo } from "../runInfo.ts"
import type { ForkNode } from "./forks.ts"

/** A draw with the text of its prompt. */
export interface DrawRow extends Draw {
  readonly excerpt: string | undefined
}

/** Two draws that raced. */
export interface Race {
  readonly one: DrawRow | undefined
  readonly other: DrawRow
}

export interface RunData {
  readonly info: RunInfo
  readonly file: string
  readonly now: number
  readonly state: State
  /** Whether all of the trace is read. */
  readonly isComplete: boolean
  readonly forks: ForkNode
  readonly prompts: ReadonlyArray<Prompt & { readonly excerpt: string | undefined }>
  readonly races: ReadonlyArray<Race>
  readonly firstMiss:
    | {
      readonly draw: DrawRow
      readonly explanation: Explanation | undefined
      /** Why there will be no explanation. */
      readonly problem: string | undefined
    }
    | undefined
  readonly query: RunQuery
  readonly draws: ReadonlyArray<DrawRow>
  readonly total: number
  readonly from: number
  /** The run before with the same name, or else the run before. */
  readonly before: string | undefined
  /** A filter that cannot be applied. */
  readonly problem: string | undefined
  /** Why the cache cannot be read. */
  readonly problems: ReadonlyArray<string>
}

export interface RunQuery {
  readonly outcome: string
  readonly fork: string
  readonly model: string
  readonly prompt: string
}
