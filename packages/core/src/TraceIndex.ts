/**
 * An index over the trace of a run, by the places of its lines in the file: it gives the draws of a run by pages, prompts and
 * forks, in little memory, also while the run goes on.
 *
 * **When to use**
 *
 * Use it to show a run of any size, as the inspector does. `Trace.read` is simpler for a program that reads all lines.
 *
 * **Details**
 *
 * `advance` reads the lines that were added, a part at a time, so that other work goes on between two parts. A draw takes
 * 9 to 17 bytes and a key some 30: a million draws take 11 MB with a thousand keys, and 27 MB with 500,000. The texts of lines
 * stay in the file.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Identity } from "./Identity.ts"
import { LineIndex } from "./internal/trace/lineIndex.ts"
import type { StoreError } from "./SampleError.ts"
import type { Receipt, TracedKey } from "./Trace.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * How a draw ended.
 *
 * - `replayed`: a cache had the sample.
 * - `reread`: the run drew it before.
 * - `bought`: the run requested it.
 * - `requested`: a request was sent, and has not brought it so far.
 * - `missed`: a replication did not have it.
 * - `failed`: its request failed.
 * - `bypassed`: no cache was asked.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "replayed" | "reread" | "bought" | "requested" | "missed" | "failed" | "bypassed"

/**
 * Counts of draws, and of the tokens of requests.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  readonly asked: number
  /** Draws of samples that a cache had, repeated draws among them. */
  readonly replayed: number
  readonly bought: number
  readonly missed: number
  readonly racing: number
  readonly failed: number
  /** Prompt and completion tokens of the run's requests. */
  readonly spentTokens: number
  /** Prompt and completion tokens of the past requests behind replayed samples. */
  readonly replayedTokens: number
}

/**
 * A draw of a run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Draw {
  /** Its place among the rows of the index, from 0. */
  readonly row: number
  /** Which draw of a cache it was, from 1, as `Explain.Miss` counts them; `undefined` for a request that went by all caches. */
  readonly number: number | undefined
  /** In milliseconds since the epoch. */
  readonly at: number
  readonly key: TracedKey
  readonly position: number
  readonly outcome: Outcome
  /** Whether it raced with another draw, see `Events.Raced`. */
  readonly isRacing: boolean
  /** The row of the draw of the same key before it, which it raced with if it raced. */
  readonly before: number | undefined
  /** The id of the cache's store, or `Repeatable`. */
  readonly store: string | undefined
  /** The number of the `Repeatable` that had it. */
  readonly reader: number | undefined
  /** The number of the `Independent` that drew it, as `Taken` has it. */
  readonly independent: number | undefined
  /** The name of the sample's request. */
  readonly request: string | undefined
}

/**
 * Which draws are meant. All parts have to hold.
 *
 * @category options
 * @since 0.1.0
 */
export interface Filter {
  /** `racing` and outcomes; `replayed` includes `reread`. */
  readonly outcome?: Outcome | "racing" | undefined
  /** The draws of this fork and those inside. */
  readonly fork?: ReadonlyArray<string> | undefined
  readonly identity?: Identity | undefined
  /** Prompts, by the first digits of their hashes. */
  readonly promptHashes?: ReadonlyArray<string> | undefined
}

/**
 * A prompt of an identity, with the draws of all forks.
 *
 * @category models
 * @since 0.1.0
 */
export interface Prompt extends Counts {
  readonly identity: Identity
  readonly promptHash: string
  /** How many forks drew it. */
  readonly forks: number
}

/**
 * A fork, without the forks inside.
 *
 * @category models
 * @since 0.1.0
 */
export interface ForkCounts extends Counts {
  readonly path: ReadonlyArray<string>
}

/**
 * A sample that a reader of the run took.
 *
 * @category models
 * @since 0.1.0
 */
export interface Taken {
  readonly path: ReadonlyArray<string>
  readonly position: number
  /**
   * The reader: an attempt or a vote by the number of its `Repeatable`, or the place of a server's client. `undefined` for a
   * draw outside of attempts.
   */
  readonly reader: number | string | undefined
  /** The number of the `Independent` that drew it, from 1; `undefined` for a draw of none, and in traces of earlier versions. */
  readonly independent: number | undefined
  readonly outcome: Outcome
  readonly isRacing: boolean
}

/**
 * The contents of an index so far.
 *
 * @category models
 * @since 0.1.0
 */
export interface State {
  readonly name: string
  /** In milliseconds since the epoch. */
  readonly startedAt: number
  /** The time of the last line. */
  readonly lastAt: number
  /** How many bytes of the file are read, and how many it has. */
  readonly read: number
  readonly size: number
  readonly draws: number
  readonly prompts: number
  readonly keys: number
  readonly forks: number
  readonly identities: ReadonlyArray<Identity>
  /** The receipt of the lines that are read. */
  readonly receipt: Receipt
  /** Whether a server wrote the trace, for the clients of a run. */
  readonly isOfServer: boolean
  /** The requests that a server passed on, by path and status: the first hundred kinds. */
  readonly passed: ReadonlyArray<
    { readonly method: string; readonly path: string; readonly status: number; readonly count: number }
  >
  /** The first row that missed. */
  readonly firstMissed: number | undefined
  /** Spent and replayed tokens, and draws, over the time of the run, in parts of `width` milliseconds. */
  readonly series: {
    readonly width: number
    readonly buckets: ReadonlyArray<{ readonly spent: number; readonly replayed: number; readonly asked: number }>
  }
}

/**
 * An index over a trace.
 *
 * @category models
 * @since 0.1.0
 */
export interface TraceIndex {
  readonly file: string
  /** Reads some of the lines that were added, and returns whether there are more. */
  readonly advance: Effect.Effect<boolean, StoreError>
  readonly state: () => State
  /** The draws of a filter, by pages: `total` counts all of them. */
  readonly draws: (
    filter: Filter,
    from: number,
    count: number
  ) => Effect.Effect<{ readonly total: number; readonly draws: ReadonlyArray<Draw> }, StoreError>
  readonly draw: (row: number) => Effect.Effect<Draw | undefined, StoreError>
  /** The text of a prompt, if the trace has it. */
  readonly promptText: (key: TracedKey) => Effect.Effect<string | undefined, StoreError>
  /** The prompts with most draws, or with most tokens spent; of equals, with most tokens replayed. The greatest comes first. */
  readonly prompts: (
    by: "tokens" | "asked",
    count: number
  ) => Effect.Effect<ReadonlyArray<Prompt>, StoreError>
  readonly prompt: (identity: Identity, promptHash: string) => Effect.Effect<Prompt | undefined, StoreError>
  readonly forks: () => ReadonlyArray<ForkCounts>
  /** The samples of a prompt at some positions and their readers, in the order of the draws. */
  readonly taken: (identity: Identity, promptHash: string, from: number, count: number) => ReadonlyArray<Taken>
  /** A number of a draw, which is the same in all runs for the same key and position, and differs for others. */
  readonly signature: (row: number) => number
  /** The place of a draw's fork in `forks`. */
  readonly forkOf: (row: number) => number
}

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * An index over the trace in a file, which has read nothing so far.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (file: string): TraceIndex => new LineIndex(file)
