import type { Identity } from "../../Identity.ts"

/**
 * What a run did, in numbers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Receipt {
  /** Draws that a cache answered or missed, and what went by all caches: see `bypassed`. */
  readonly asked: number
  /** Draws of samples that a cache had, without the first draws of samples that this run requested. */
  readonly replayed: number
  /** Samples that this run requested, stored and drew. */
  readonly bought: number
  /** Draws that a replication could not answer. */
  readonly missed: number
  /** Samples of requests that no cache stored, and requests that a server passed on to its upstream. */
  readonly bypassed: number
  /** Draws of an `Independent` that raced with another draw of the same key, see `Events.Raced`. */
  readonly racing: number
  /** Draws of positions that the run had drawn before, which count as replayed too. */
  readonly reread: number
  /** Requests that brought no sample. */
  readonly failed: number
  /** Prompt tokens of this run's requests. */
  readonly inputTokens: number
  /** Completion tokens of this run's requests. */
  readonly outputTokens: number
  /** Prompt tokens of the past requests behind the replayed samples. */
  readonly replayedInputTokens: number
  /** Completion tokens of the past requests behind the replayed samples. */
  readonly replayedOutputTokens: number
  /** Whether something was asked, and nothing was bought, missed, bypassed, failed or racing. */
  readonly isReplay: boolean
  /** The exit code; `undefined` as long as the run goes on, and if it was killed. */
  readonly exit: number | undefined
  /** Whether the trace reached its greatest size, so that the last lines are missing. The receipt counts them. */
  readonly isCut: boolean
}

/**
 * A run that has a trace.
 *
 * @category models
 * @since 0.1.0
 */
export interface Run {
  /** The name of the file without its ending, which no other run in the folder has. Names sort by time. */
  readonly id: string
  readonly file: string
}

/**
 * The key of a draw. A trace has the hash of the prompt: `SampleStore` finds the prompt by it.
 *
 * @category models
 * @since 0.1.0
 */
export interface TracedKey {
  readonly identity: Identity
  readonly promptHash: string
  readonly path: ReadonlyArray<string>
}

interface At {
  /** In milliseconds since the epoch. */
  readonly at: number
}

interface Draw extends At {
  readonly key: TracedKey
  readonly position: number
}

interface OfStore extends Draw {
  /** The id of the cache's store, or `Repeatable`. */
  readonly store: string
  /** Which `Repeatable` of the run it is, from 1: each attempt and each vote has its own. */
  readonly reader: number | undefined
}

interface OfDraw {
  /** Which `Independent` of the run drew it, from 1; `undefined` for a draw of none, and in traces of earlier versions. */
  readonly independent: number | undefined
}

interface OfSample extends OfStore {
  /** The name of the sample's request, and its index there. */
  readonly request: string | undefined
  readonly index: number | undefined
}

interface OfRequest extends Draw {
  readonly request: string
}

/**
 * A line of a trace. The types of lines with a store or a request are those of `Events`.
 *
 * @category models
 * @since 0.1.0
 */
export type Entry =
  | At & {
    readonly type: "run"
    readonly name: string
    readonly pid: number
    /** The machine, and the start of the process in its words: numbers of processes are used again. */
    readonly host: string
    readonly birth: string
  }
  | OfSample & OfDraw & {
    readonly type: "hit"
    readonly waited: boolean
    /** Of the first hit of a past request alone. */
    readonly tokens:
      | { readonly inputTokens: number; readonly outputTokens: number; readonly elapsed: number }
      | undefined
  }
  | OfStore & OfDraw & { readonly type: "miss"; readonly asks: "cache" | "provider" | "nothing" }
  | OfSample & { readonly type: "stored" | "refused" }
  | Draw & { readonly type: "raced" }
  | OfRequest & {
    readonly type: "sent"
    readonly n: number
    readonly model: string
    readonly provider: string | undefined
  }
  | OfRequest & {
    readonly type: "done"
    readonly samples: number
    readonly failures: number
    readonly inputTokens: number
    readonly outputTokens: number
    readonly elapsed: number
  }
  | OfRequest & { readonly type: "failed"; readonly elapsed: number; readonly error: string }
  /** A client of a server asks for samples. */
  | At & { readonly type: "ask"; readonly key: TracedKey; readonly n: number }
  /** The server gives them. */
  | At & {
    readonly type: "given"
    readonly key: TracedKey
    readonly positions: ReadonlyArray<number>
    /** The layers of the run that drew them, in the words of the server. */
    readonly place: string | undefined
  }
  /** The client went away before it had them. */
  | At & {
    readonly type: "returned"
    readonly key: TracedKey
    readonly positions: ReadonlyArray<number>
    readonly place: string | undefined
  }
  /** The server passes on a request that it does not cache. */
  | At & { readonly type: "bypass"; readonly method: string; readonly path: string; readonly status: number }
  /** The text of a prompt that the cache does not have. */
  | { readonly type: "prompt"; readonly key: TracedKey; readonly text: string }
  | At & { readonly type: "cut" }
  /** The run goes on later, in another trace. */
  | At & { readonly type: "pause" }
  | At & { readonly type: "end"; readonly exit: number }
