/**
 * A row of the table: the same work, done by the library, by the least code that can do it, and by other libraries.
 */
import type * as Scope from "effect/Scope"
import type { Check } from "./checks.ts"

/** A way to do the work of a row. */
export interface Case {
  readonly name: string
  /** The library, the least code that can do the work, or another library. */
  readonly role: "ours" | "floor" | "peer"
  /** The number of operations of one call. */
  readonly operations: number
  /**
   * Does the operations, and returns the characters of their samples. The row fails unless they are all the characters
   * of `operations` samples.
   */
  readonly run: () => number | Promise<number>
}

/** The surroundings of a row. */
export interface Setting {
  /** Whether rough figures suffice. */
  readonly quick: boolean
  /** A folder that exists as long as the row. */
  readonly folder: string
  /** Closes after the row. */
  readonly scope: Scope.Closeable
  /** Runs after the row. */
  readonly onEnd: (end: () => unknown) => void
}

export interface Row {
  readonly name: string
  readonly title: string
  /** The unit of the times: "a sample", "a request". */
  readonly operation: string
  /** The characters that one operation brings. @default those of a sample */
  readonly characters?: number | undefined
  /** The number of rounds. @default 12, and 5 for rough figures */
  readonly rounds?: number | undefined
  /** Whether a round has one call, because the call changes the state or takes long. */
  readonly once?: boolean | undefined
  readonly setup: (setting: Setting) => Promise<ReadonlyArray<Case>>
  readonly checks: ReadonlyArray<Check>
  /** The factor by which a ratio may miss its limit in the gate. Without it, the row is not in the gate. */
  readonly slack?: number | undefined
  /** A reason not to run the row now. */
  readonly notRun?: (() => string | undefined) | undefined
  /** Explains a limit that the row misses. */
  readonly note?: string | undefined
}
