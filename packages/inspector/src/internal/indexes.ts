import type { StoreError } from "@llm-cache/core/SampleError"
import type { Run } from "@llm-cache/core/Trace"
import * as Trace from "@llm-cache/core/Trace"
import * as TraceIndex from "@llm-cache/core/TraceIndex"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"

/** The most traces that have an index at once. */
const most = 4

/** How long a request waits for an index, in milliseconds. Reading goes on behind it. */
const patience = 150

/** A trace that is read. */
export interface OpenTrace {
  readonly run: Run
  readonly index: TraceIndex.TraceIndex
  /** Reads added lines, for a short time; the rest is read in the background. Returns whether all is read. */
  readonly refresh: Effect.Effect<boolean, StoreError>
  /** Whether the file was deleted, replaced or cut, also since it could not be read. */
  readonly isGone: () => boolean
  /** Whether some of it could be read. */
  readonly wasRead: () => boolean
}

/** The traces of a folder, and indexes of the last ones that were opened. */
export interface Indexes {
  readonly list: Effect.Effect<ReadonlyArray<Run>, StoreError>
  /** `undefined` if there is no such run. */
  readonly open: (id: string) => Effect.Effect<OpenTrace | undefined, StoreError>
  /**
   * Lets the next look at a file read it from its start, after an error in the midst of it. Returns `false` if the next look fails in the
   * same way.
   */
  readonly forget: (error: StoreError) => boolean
}

/** Indexes that are read in the background until the scope closes. */
export const makeIndexes = Effect.fnUntraced(function*(
  directory: string | undefined
): Effect.fn.Return<Indexes, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const traces = new Map<string, OpenTrace>()
  const list = Trace.list(directory)

  const openTrace = (run: Run): OpenTrace => {
    const index = TraceIndex.make(run.file)
    let isReading = false
    let failedAt: string | undefined
    let wasRead = false
    const inode = Fs.statSync(run.file, { throwIfNoEntry: false })?.ino
    const version = () => {
      const stats = Fs.statSync(run.file, { throwIfNoEntry: false })
      return stats && `${stats.ino} ${stats.size} ${stats.mtimeMs}`
    }
    const readRest: Effect.Effect<void> = Effect.gen(function*() {
      while (yield* index.advance) yield* nextTurn
    }).pipe(
      // The next look at it fails in the same way.
      Effect.ignore,
      Effect.ensuring(Effect.sync(() => void (isReading = false)))
    )
    const refresh = Effect.gen(function*() {
      const end = (yield* Clock.currentTimeMillis) + patience
      while (yield* index.advance) {
        if ((yield* Clock.currentTimeMillis) < end) continue
        if (!isReading) {
          isReading = true
          yield* Effect.forkIn(readRest, scope)
        }
        return false
      }
      return wasRead = true
    }).pipe(
      Effect.tapError(() => Effect.sync(() => void (failedAt = version())))
    )
    const isGone = () => {
      const stats = Fs.statSync(run.file, { throwIfNoEntry: false })
      return stats === undefined || stats.ino !== inode || stats.size < index.state().read
        || failedAt !== undefined && version() !== failedAt
    }
    return { run, index, refresh, isGone, wasRead: () => wasRead }
  }

  const opened = (id: string) => {
    const trace = traces.get(id)
    if (trace?.isGone() !== true) return trace
    traces.delete(id)
    return undefined
  }

  return {
    list,
    open: Effect.fnUntraced(function*(id) {
      let trace = opened(id)
      if (trace === undefined) {
        const run = (yield* list).find((run) => run.id === id)
        if (run === undefined) return undefined
        // Another look may have opened it since.
        trace = opened(id) ?? openTrace(run)
      }
      traces.delete(id)
      traces.set(id, trace)
      if (traces.size > most) traces.delete(traces.keys().next().value!)
      return trace
    }),
    forget: ({ store }) => {
      const found = [...traces].find(([, { run, wasRead }]) => store === `trace ${run.file}` && wasRead())
      return found !== undefined && traces.delete(found[0])
    }
  }
})

// Other requests are answered between two parts.
const nextTurn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
