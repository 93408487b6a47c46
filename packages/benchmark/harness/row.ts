/**
 * A row of the table: the same work, done by the library, by the least code that can do it, and by other libraries.
 */
import type * as Scope from "effect/Scope"
import type { Check } from "./checks.ts"

/** A way to do the work of a row. */
export type Case = TimedCase | GaugedCase

interface Named {
  readonly name: string
  /** The library, the least code that can do the work, or another library. */
  readonly role: "ours" | "floor" | "peer"
}

/** A case that is timed. */
export interface TimedCase extends Named {
  /** The number of operations of one call. */
  readonly operations: number
  /**
   * Does the operations, and returns the characters of their samples. The row fails unless they are all the characters
   * of `operations` samples.
   */
  readonly run: () => number | Promise<number>
}

/** A case with another measure than the time of its calls. */
export interface GaugedCase extends Named {
  /** Returns the figure of a round, in the unit of the row. */
  readonly gauge: () => Promise<number>
}

/** The unit of a row's figures. */
export type Unit = "µs" | "MB" | "kB"

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
  /** What a figure is for: "a sample", "a request". */
  readonly operation: string
  /** @default "µs" */
  readonly unit?: Unit | undefined
  /** The characters that one operation brings. @default those of a sample */
  readonly characters?: number | undefined
  /** The number of rounds. @default 12, and 5 for rough figures */
  readonly rounds?: number | undefined
  /** The milliseconds for which each case is warmed up. @default four rounds of it */
  readonly warmUp?: number | undefined
  /**
   * The time of the clock, or that of the processor in this process: other programs on a busy machine have no part in it.
   *
   * @default "clock"
   */
  readonly time?: "clock" | "processor" | undefined
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
