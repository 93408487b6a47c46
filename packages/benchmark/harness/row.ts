/**
 * A row of the table: the same work done by the library, by what bounds it from below, and by others.
 */
import type * as Scope from "effect/Scope"
import type { Check } from "./checks.ts"

/** What does the work of a row. */
export interface Case {
  readonly name: string
  /** Who does it: the library, the least that can do it, or another library. */
  readonly role: "ours" | "floor" | "peer"
  /** How many operations one call does. */
  readonly operations: number
  /**
   * Does them, and returns how many characters of samples they brought: those of `operations` samples, or the row is not
   * about this work.
   */
  readonly run: () => number | Promise<number>
}

/** What a row is set up with. */
export interface Setting {
  /** Whether rough figures will do. */
  readonly quick: boolean
  /** A folder that is removed behind the row. */
  readonly folder: string
  /** Ends behind the row. */
  readonly scope: Scope.Closeable
  /** Runs behind the row. */
  readonly onEnd: (end: () => unknown) => void
}

export interface Row {
  readonly name: string
  readonly title: string
  /** What the times are of: "a sample", "a request". */
  readonly operation: string
  /** How many characters one operation brings. @default those of a sample */
  readonly characters?: number | undefined
  /** How many rounds the cases are measured in. @default 12, and 5 where rough figures will do */
  readonly rounds?: number | undefined
  /** Whether a call is measured once a round, because it cannot be repeated on the same state or takes long. */
  readonly once?: boolean | undefined
  readonly setup: (setting: Setting) => Promise<ReadonlyArray<Case>>
  readonly checks: ReadonlyArray<Check>
  /** How many times a ratio may miss its limit before the gate closes. Absent where the row is not gated. */
  readonly slack?: number | undefined
  /** Why it is not run, where it is not. */
  readonly notRun?: (() => string | undefined) | undefined
  /** What bounds it, where it cannot be reached. */
  readonly note?: string | undefined
}
