/**
 * Traces of runs: a file of lines for each run, with its hits, misses and requests.
 *
 * **When to use**
 *
 * Use `layer` (or `LLM_CACHE_TRACE=1` with `Persistent.layerConfig`) to look into a run later: its counts, the
 * causes of its misses, and its part of a cache. `llm-cache stats`, `why-miss` and `slice` read traces.
 *
 * **Details**
 *
 * A trace is `<root>/.runs/<time>-<name>.jsonl`, beside the samples of a directory, which its owner alone can read. It has
 * no text of a sample, no argument and no environment, and the text of a prompt only if the cache does not have it. Beside
 * it, `<time>-<name>.json` is its receipt so far, written about once a second and at the end. At 256 MB the lines end, but for
 * those that a server needs to go on with a run, and the receipt goes on.
 *
 * Lines are written in the background. A process that is killed loses the lines of its last moments.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Events from "./Events.ts"
import { attempt, failure } from "./internal/directory/errors.ts"
import { list as namesIn } from "./internal/directory/files.ts"
import { isRunning as isRunningProcess, newLogOwner } from "./internal/directory/logOwner.ts"
import { UsageCounter } from "./internal/events/usageCounter.ts"
import { Fs, Path } from "./internal/node.ts"
import { Decoder } from "./internal/trace/decode.ts"
import type { Entry, Receipt, Run, TracedKey } from "./internal/trace/entry.ts"
import { toEvent } from "./internal/trace/events.ts"
import {
  fileName,
  markAll,
  markedIds,
  readSummary,
  removeTrace,
  runsIn,
  summaryPath
} from "./internal/trace/folders.ts"
import { readEntries } from "./internal/trace/readEntries.ts"
import { Recorder } from "./internal/trace/recorder.ts"
import type { Key } from "./Key.ts"
import type { StoreError } from "./SampleError.ts"
import type { Usage } from "./Usage.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

export type { Entry, Receipt, Run, TracedKey } from "./internal/trace/entry.ts"

// -----------------------------------------------------------------------------
// writing
// -----------------------------------------------------------------------------

/**
 * Where a trace is written.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The folder that gets the folder `.runs`: that of a directory store, or of the file of a database. A `~` at its start is
   * the home folder.
   *
   * @default `llm-cache` in `$XDG_STATE_HOME`, or in `~/.local/state`
   */
  readonly directory?: string | undefined
  /**
   * A name for the run, in the name of its file.
   *
   * @default "run"
   */
  readonly name?: string | undefined
}

/**
 * The service of a trace that is being written.
 *
 * @category services
 * @since 0.1.0
 */
export class Trace extends Context.Service<Trace, {
  readonly run: Run
  /** Writes an event, as a listener of `Events`. */
  readonly listener: Events.Listener
  /** The receipt so far. */
  readonly receipt: Effect.Effect<Receipt>
  /** Gives the run another exit code than that of the scope. */
  readonly exitWith: (exit: number) => Effect.Effect<void>
  /** Notes that a client asks for samples. */
  readonly ask: (key: Key, n: number) => Effect.Effect<void>
  /**
   * Notes the positions that a client is given. With a `place`, the line is in the file when the effect is done, so that a
   * server that is killed afterwards can go on behind them. It fails if the file cannot be written.
   */
  readonly give: (key: Key, positions: ReadonlyArray<number>, place?: string) => Effect.Effect<void, StoreError>
  /** Notes that a client went away before it had these positions. It fails as `give` does. */
  readonly takeBack: (key: Key, positions: ReadonlyArray<number>, place?: string) => Effect.Effect<void, StoreError>
  /** Notes a request that a server passed on, and the status of its answer. */
  readonly bypass: (method: string, path: string, status: number) => Effect.Effect<void>
  /** Lets the trace close without an end: the run goes on later, in another file. */
  readonly suspend: Effect.Effect<void>
}>()("@llm-cache/core/Trace") {}

/**
 * Begins a trace, which ends with the scope. It hears of nothing by itself: see `layer`.
 *
 * **Details**
 *
 * The exit code is 0 if the scope closes with a success, 130 after an interruption and 1 otherwise.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ directory, name = "run" }: Options = {}): Effect.Effect<
  Trace["Service"],
  StoreError,
  Scope.Scope
> =>
  Effect.uninterruptible(Effect.gen(function*(): Effect.fn.Return<Trace["Service"], StoreError, Scope.Scope> {
    const recorder = yield* begin(directory, name)
    let exitCode: number | undefined
    let isSuspended = false
    yield* Scope.addFinalizerExit(
      yield* Effect.scope,
      (exit) =>
        Effect.sync(() =>
          isSuspended
            ? recorder.suspend()
            : recorder.end(exitCode ?? (Exit.isSuccess(exit) ? 0 : Cause.hasInterruptsOnly(exit.cause) ? 130 : 1))
        )
    )
    const give = (type: "given" | "returned"): Trace["Service"]["give"] => (key, positions, place) =>
      attempt(failure(`trace ${recorder.path}`, "put"), () => recorder.give(type, key, positions, place))
    return {
      run: runOf(recorder.path),
      listener: recorder.listen,
      receipt: Effect.sync(() => recorder.receipt()),
      exitWith: (exit) => Effect.sync(() => void (exitCode = exit)),
      ask: (key, n) => Effect.sync(() => recorder.ask(key, n)),
      give: give("given"),
      takeBack: give("returned"),
      bypass: (method, path, status) => Effect.sync(() => recorder.bypass(method, path, status)),
      suspend: Effect.sync(() => void (isSuspended = true))
    }
  }))

const begin = (directory: string | undefined, name: string): Effect.Effect<Recorder, StoreError> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const folder = runsIn(directory)
    return attempt(
      failure(`trace ${folder}`, "open"),
      () => new Recorder(folder, fileName(now, name), name, now)
    )
  })

/**
 * Writes a trace of all programs that use the same `Events`, until the layer closes.
 *
 * **Example** (A run that can be explained)
 *
 * ```ts
 * import { Events, LlmModel, Trace } from "@llm-cache/core"
 * import { Effect, Layer } from "effect"
 *
 * const program = LlmModel.sampleMany("A number?", 10).pipe(
 *   Effect.provide(Layer.provideMerge(Trace.layer({ directory: "~/.llm_cache", name: "numbers" }), Events.layer))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Trace, StoreError, Events.Events> =>
  Layer.effect(Trace, Effect.tap(make(options), ({ listener }) => Events.listen(listener)))

// -----------------------------------------------------------------------------
// reading
// -----------------------------------------------------------------------------

/**
 * The root of the traces of a cache: the folder itself, or the folder of a database's file. `undefined`, the folder of the
 * user's state, for a server's URL.
 *
 * @category reading
 * @since 0.1.0
 */
export const directoryOf = (cache: string): string | undefined => {
  if (/^[a-z][\w+.-]*:\/\//i.test(cache)) return undefined
  const isFile = Fs.statSync(cache, { throwIfNoEntry: false })?.isFile() ?? /\.(db|sqlite3?)$/i.test(cache)
  return isFile ? Path.dirname(cache) : cache
}

/**
 * The runs that have a trace, the oldest first. None if there is no folder `.runs`.
 *
 * **Details**
 *
 * Given a name, it leaves out files of other names, and takes no longer where there are many of them. Names that are long or
 * have unusual characters may share the names of their files: the line `run` of a trace has the whole name.
 *
 * @category reading
 * @since 0.1.0
 */
export const list = (directory?: string, name?: string): Effect.Effect<ReadonlyArray<Run>, StoreError> =>
  Effect.suspend(() => {
    const folder = runsIn(directory)
    return attempt(
      failure(`trace ${folder}`, "open"),
      () =>
        (name === undefined ? allIds(folder) : markedIds(folder, name)).toSorted()
          .map((id) => runOf(Path.join(folder, `${id}.jsonl`)))
    )
  })

/**
 * Lets `list` find the traces of a folder by name, if they were copied there without its folder `.names`. A server does it when it
 * starts.
 *
 * @category writing
 * @since 0.1.0
 */
export const nameAll = (directory?: string): Effect.Effect<void, StoreError> =>
  Effect.suspend(() => {
    const folder = runsIn(directory)
    return attempt(failure(`trace ${folder}`, "open"), () => markAll(folder, allIds(folder)))
  })

const allIds = (folder: string): ReadonlyArray<string> =>
  namesIn(folder).flatMap((file) => file.endsWith(".jsonl") ? [Path.basename(file, ".jsonl")] : [])

/**
 * Deletes the trace of a run that has ended.
 *
 * @category writing
 * @since 0.1.0
 */
export const remove = (file: string): Effect.Effect<void, StoreError> =>
  attempt(failure(`trace ${file}`, "remove"), () => removeTrace(file))

/**
 * The lines of a trace, in order, without holding them all in memory. A last line that a kill tore is left out. The stream
 * fails if the file cannot be read, or has another line that belongs to no trace.
 *
 * @category reading
 * @since 0.1.0
 */
export const read = (file: string): Stream.Stream<Entry, StoreError> => readEntries(file)

/**
 * Whether the process that began a trace still runs, as far as this machine can tell: processes of other machines and
 * containers count as ended.
 *
 * @category reading
 * @since 0.1.0
 */
export const isRunning = ({ birth, host, pid }: Extract<Entry, { readonly type: "run" }>): boolean =>
  host === newLogOwner().host && isRunningProcess(pid, birth)

/**
 * The receipt of a run. It reads the summary if the trace has no line that the summary does not count.
 *
 * @category reading
 * @since 0.1.0
 */
export const receipt = (file: string): Effect.Effect<Receipt, StoreError> =>
  Effect.flatMap(
    attempt(failure(`trace ${file}`, "open"), () => [Fs.statSync(file).size, readSummary(summaryPath(file))] as const),
    ([size, summary]) =>
      summary !== undefined && summary.bytes === size
        ? Effect.succeed({ ...summary.receipt, exit: summary.receipt.exit })
        : Effect.suspend(() => {
          const decoder = new Decoder()
          return Effect.map(Stream.runDrain(readEntries(file, decoder)), () => decoder.counter.receipt())
        })
  )

/**
 * The receipt that a run wrote last, without reading its lines: of a run that goes on or was killed, it may be a second old.
 * `undefined` if there is none.
 *
 * @category reading
 * @since 0.1.0
 */
export const lastReceipt = (file: string): Effect.Effect<Receipt | undefined> =>
  Effect.sync(() => {
    const receipt = readSummary(summaryPath(file))?.receipt
    return receipt && { ...receipt, exit: receipt.exit }
  })

/**
 * The usage of a run, as `Usage.measure` around it would have given it. Of a cut trace it is the usage up to the cut.
 *
 * @category reading
 * @since 0.1.0
 */
export const usage = (file: string): Effect.Effect<Usage, StoreError> =>
  Effect.suspend(() => {
    const counter = new UsageCounter()
    return Effect.map(
      Stream.runForEach(read(file), (entry) =>
        Effect.sync(() => {
          const event = toEvent(entry)
          if (event !== undefined) counter.add(event)
        })),
      () => counter.usage()
    )
  })

/**
 * The positions of a key in a store that a run drew.
 *
 * @category models
 * @since 0.1.0
 */
export interface Used {
  readonly key: TracedKey
  /** The id of the store, or `Repeatable`. */
  readonly store: string
  /** In ascending order, each once. */
  readonly positions: ReadonlyArray<number>
}

/**
 * The positions that a run drew from its caches, by key and store in the order of the first draws: these are the samples of a slice.
 *
 * @category reading
 * @since 0.1.0
 */
export const used = (file: string): Effect.Effect<ReadonlyArray<Used>, StoreError> =>
  Effect.suspend(() => {
    const all = new Map<string, Map<TracedKey, { readonly drawn: Set<number>; readonly missing: Set<number> }>>()
    const of = (key: TracedKey, store: string) => {
      let keys = all.get(store)
      if (keys === undefined) all.set(store, keys = new Map())
      let positions = keys.get(key)
      if (positions === undefined) keys.set(key, positions = { drawn: new Set(), missing: new Set() })
      return positions
    }
    return Effect.map(
      Stream.runForEach(read(file), (entry) =>
        Effect.sync(() => {
          if (entry.type === "hit") of(entry.key, entry.store).drawn.add(entry.position)
          else if (entry.type === "miss") of(entry.key, entry.store).missing.add(entry.position)
          else if (entry.type === "stored") {
            const { drawn, missing } = of(entry.key, entry.store)
            if (missing.delete(entry.position)) drawn.add(entry.position)
          }
        })),
      () =>
        [...all].flatMap(([store, keys]) =>
          [...keys].flatMap(([key, { drawn }]) =>
            drawn.size === 0 ? [] : [{ key, store, positions: [...drawn].sort((a, b) => a - b) }]
          )
        )
    )
  })

const runOf = (file: string): Run => ({ id: Path.basename(file, ".jsonl"), file })
