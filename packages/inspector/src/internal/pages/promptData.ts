import type { Difference } from "@llm-cache/core/Explain"
import type { Identity } from "@llm-cache/core/Identity"
import type { Drawn } from "@llm-cache/core/Sample"
import type { Taken } from "@llm-cache/core/TraceIndex"
import { forkLabel } from "../format.ts"

/** A sample of a sequence. */
export interface ShownSample {
  readonly position: number
  readonly drawn: Drawn
  /** The number of its text among the different texts of the page. */
  readonly group: number
}

/** A sequence of a prompt, as one fork has it. */
export interface Sequence {
  readonly path: ReadonlyArray<string>
  /** How many samples it has in all. */
  readonly total: number
  readonly samples: ReadonlyArray<ShownSample>
  readonly damaged: ReadonlyArray<string>
}

/** Equal texts. */
export interface Group {
  readonly text: string
  readonly count: number
}

/** The samples that a run took. */
export interface RunTaken {
  readonly id: string
  readonly taken: ReadonlyArray<Taken>
}

export interface PromptData {
  readonly hash: string
  readonly identity: Identity
  readonly identities: ReadonlyArray<Identity>
  /** `undefined` if neither the cache nor a trace has it. */
  readonly prompt: string | undefined
  readonly isStored: boolean
  readonly fork: string | undefined
  readonly forks: number
  readonly sequences: ReadonlyArray<Sequence>
  readonly groups: ReadonlyArray<Group>
  readonly from: number
  /** One more than the last position of all sequences. */
  readonly total: number
  readonly runs: ReadonlyArray<RunTaken>
  readonly now: number
  /** The one sample whose whole text is wanted, or the prompt. */
  readonly whole: string | undefined
  /** Damage of the prompt, and runs that cannot be read. */
  readonly problems: ReadonlyArray<string>
  readonly compared:
    | {
      readonly a: string
      readonly b: string
      readonly differences: ReadonlyArray<Difference>
      readonly isEqual: boolean
    }
    | undefined
}

/** A sample in a query, such as `3` or `3@worker-1`. */
export const nameOf = (path: ReadonlyArray<string>, position: number): string =>
  path.length === 0 ? `${position}` : `${position}@${forkLabel(path)}`
