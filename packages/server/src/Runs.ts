/**
 * The runs of a server: the readers that give each draw of a run a new sample, and the attempts that repeat their own.
 *
 * **Details**
 *
 * A run is one execution of a client's program. It begins with its first request, or with `start`, and ends by `end` or when it
 * was idle for long. A name that was ended begins a new run, which reads from the first sample again.
 *
 * The trace of a run is its memory: a server that restarts feeds it to the new readers and attempts, so that no draw is handed
 * out twice. Without traces, runs end with the server.
 *
 * @since 0.1.0
 */
import * as Events from "@llm-cache/core/Events"
import * as Independent from "@llm-cache/core/Independent"
import type { Key } from "@llm-cache/core/Key"
import type { Model } from "@llm-cache/core/Model"
import * as Repeatable from "@llm-cache/core/Repeatable"
import type { Entry, Sample } from "@llm-cache/core/Sample"
import type { SampleError, StoreError } from "@llm-cache/core/SampleError"
import * as Trace from "@llm-cache/core/Trace"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { type History, historyOf, keyName } from "./internal/history.ts"
import { Races } from "./internal/races.ts"
import { CurrentReplication } from "./internal/replication.ts"
import * as Place from "./Place.ts"

/**
 * How runs are kept.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The cache beneath the readers of all runs. */
  readonly model: Model
  /** The folder of traces, see `Trace`. `false` for none. */
  readonly trace: Pick<Trace.Options, "directory"> | false
  /**
   * How long a run may have no request before it ends.
   *
   * @default 24 hours
   */
  readonly idle?: Duration.Duration | undefined
}

/**
 * A run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Run {
  readonly name: string
  /** In milliseconds since the epoch. */
  readonly startedAt: number
  readonly lastUsedAt: number
  /** Absent without traces. */
  readonly trace: Trace.Trace["Service"] | undefined
  /** The events of its draws. */
  readonly events: Events.Events["Service"]
  /** Its requests in flight, which may race. */
  readonly races: Races
  /** The model of a place with `independent`, which goes on behind the draws of a server before. */
  readonly model: (place: Place.Place, key: Key) => Effect.Effect<Model, SampleError>
}

/**
 * Another server has the run. Two servers would give the same draws.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunInUse extends Data.TaggedError("RunInUse")<{
  readonly name: string
  /** The process of the other server. */
  readonly pid: number
}> {
  override get message(): string {
    return `the run \`${this.name}\` goes on in the server of process ${this.pid}: ask that one, or name another run`
  }
}

/**
 * The runs of a server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Runs {
  /**
   * The run of this name. Begins it if there is none, or goes on with the run of a server before. It fails if another server
   * with the same traces goes on with it.
   */
  readonly use: (name: string) => Effect.Effect<Run, StoreError | RunInUse>
  /** The run of this name, unless it has yet to begin. */
  readonly get: (name: string) => Effect.Effect<Run | undefined>
  /** The runs that go on, in the order in which they began. */
  readonly list: Effect.Effect<ReadonlyArray<Run>>
  /** Ends a run, and returns its receipt. `undefined` if there is no such run. */
  readonly end: (
    name: string,
    exit?: number
  ) => Effect.Effect<{ readonly receipt: Trace.Receipt | undefined } | undefined>
}

interface OpenRun extends Run {
  lastUsedAt: number
  readonly scope: Scope.Closeable
}

/**
 * Makes the runs of a server. When the scope closes, they pause: a server with the same traces goes on with them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  { idle = Duration.hours(24), model, trace }: Options
): Effect.fn.Return<Runs, never, Scope.Scope> {
  const runs = new Map<string, OpenRun>()
  const opening = Semaphore.makeUnsafe(1)
  const outer = yield* Events.make
  const context = yield* Effect.context()
  const noHistory: History = new Map()
  // A trace without its name in the folder would let its run repeat its draws.
  if (trace !== false) {
    yield* Trace.nameAll(trace.directory).pipe(
      Effect.catch((error) => Effect.logWarning("Runs of copied traces may begin anew", error))
    )
  }
  // A run's models keep the context of their making. That of a request would keep its body and its response.
  const outsideOfRequest = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.updateContext(self, () => context)

  const close = Effect.fnUntraced(function*(run: OpenRun, exit: number) {
    runs.delete(run.name)
    yield* run.trace?.exitWith(exit) ?? Effect.void
    const receipt = run.trace && (yield* run.trace.receipt)
    yield* Scope.close(run.scope, Exit.void)
    return { receipt: receipt && { ...receipt, exit } }
  })

  const pause = (run: Pick<OpenRun, "trace" | "scope">) =>
    Effect.andThen(run.trace?.suspend ?? Effect.void, Scope.close(run.scope, Exit.void))

  yield* Effect.addFinalizer(() => Effect.forEach([...runs.values()], pause, { discard: true }))

  // The run of its name, unless another server has it.
  const begin = Effect.fnUntraced(function*(name: string, directory: string | undefined, scope: Scope.Scope) {
    const before = yield* Trace.list(directory, name)
    const { history, runningIn } = yield* historyOf(before, name)
    if (runningIn !== undefined) return yield* new RunInUse({ name, pid: runningIn })
    const written = yield* Scope.provide(Trace.make({ directory, name }), scope)
    // Each server looks again when its own trace is there, so that one of two sees the other.
    const known = new Set([...before, written.run].map(({ id }) => id))
    const since = (yield* Trace.list(directory, name)).filter(({ id }) => !known.has(id))
    const other = since.length === 0 ? undefined : (yield* historyOf(since, name)).runningIn
    if (other === undefined) return { history, written }
    yield* written.suspend
    return yield* new RunInUse({ name, pid: other })
  })

  const open = Effect.fnUntraced(function*(name: string): Effect.fn.Return<OpenRun, StoreError | RunInUse> {
    const known = runs.get(name)
    if (known !== undefined) return known
    const scope = yield* Scope.make()
    const begun = trace === false ? undefined : yield* Effect.tapError(
      begin(name, trace.directory, scope),
      () => Scope.close(scope, Exit.void)
    )
    const now = yield* Clock.currentTimeMillis
    const events = yield* Effect.provideService(Events.make, Events.Events, outer)
    if (begun !== undefined) yield* Scope.provide(events.listen(begun.written.listener), scope)
    const reader = yield* Scope.provide(Independent.make(model), scope)
    const models = new Models(model, begun?.history.size ? begun.history : noHistory, scope, reader)
    const run: OpenRun = {
      name,
      startedAt: now,
      lastUsedAt: now,
      trace: begun?.written,
      events,
      races: new Races(),
      scope,
      model: (place, key) => models.of(place, key)
    }
    runs.set(name, run)
    return run
  })

  const endIdle = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    for (const run of runs.values()) {
      if (now - run.lastUsedAt >= Duration.toMillis(idle)) yield* close(run, 0)
    }
  })
  const interval = Duration.min(idle, Duration.minutes(1))
  yield* Effect.forkScoped(Effect.delay(Effect.repeat(endIdle, Schedule.spaced(interval)), interval))

  return {
    use: (name) =>
      Effect.gen(function*() {
        const run = runs.get(name) ??
          (yield* Effect.uninterruptible(opening.withPermits(1)(outsideOfRequest(open(name)))))
        run.lastUsedAt = yield* Clock.currentTimeMillis
        return run
      }),
    get: (name) => Effect.sync(() => runs.get(name)),
    list: Effect.sync(() => [...runs.values()]),
    end: (name, exit = 0) =>
      opening.withPermits(1)(Effect.suspend(() => {
        const run = runs.get(name)
        return run === undefined ? Effect.undefined : Effect.uninterruptible(close(run, exit))
      }))
  }
})

/** The reader of a run, and its attempts, which begin with their first draw. */
class Models {
  readonly #model: Model
  readonly #history: History
  readonly #scope: Scope.Scope
  readonly #reader: Model
  // Most runs have none, and take no turns.
  #attempts: Map<string, Model> | undefined
  #turn: Semaphore.Semaphore | undefined

  constructor(model: Model, history: History, scope: Scope.Scope, reader: Model) {
    this.#model = model
    this.#history = history
    this.#scope = scope
    this.#reader = reader
  }

  /** The model of a place with `independent`. */
  of(place: Place.Place, key: Key): Effect.Effect<Model, SampleError> {
    const name = placeName(place)
    const known = name === readerPlace ? this.#reader : this.#attempts?.get(name)
    if (known !== undefined && this.#history.size === 0) return Effect.succeed(known)
    this.#turn ??= Semaphore.makeUnsafe(1)
    return this.#turn.withPermits(1)(
      Effect.andThen(
        this.#resume(key),
        Effect.suspend(() => name === readerPlace ? Effect.succeed(this.#reader) : this.#attemptOf(name))
      )
    )
  }

  #attemptOf(place: string): Effect.Effect<Model> {
    const known = this.#attempts?.get(place)
    if (known !== undefined) return Effect.succeed(known)
    return Effect.map(Scope.provide(Repeatable.make(this.#reader), this.#scope), (attempt) => {
      this.#attempts = (this.#attempts ?? new Map()).set(place, attempt)
      return attempt
    })
  }

  // As the reader drew it, which passes over samples that are excluded.
  #recorded(key: Key, at: number): Effect.Effect<Sample | undefined, SampleError> {
    return Effect.provideService(this.#model.draw(key, at, 1), CurrentReplication, true).pipe(
      Effect.map(([sample]) => sample),
      Effect.catchTag("ReplicationCacheMiss", () => Effect.undefined)
    )
  }

  // Tells the reader and the attempts of a key their draws before the server restarted.
  #resume(key: Key): Effect.Effect<void, SampleError> {
    return Effect.gen({ self: this }, function*() {
      const places = this.#history.get(keyName(key))
      if (places === undefined) return
      for (const [place, positions] of places) {
        const entries: Array<Entry> = []
        const isAttempt = place !== readerPlace
        for (const [position, at] of positions.entries()) {
          const sample = isAttempt ? yield* this.#recorded(key, at) : undefined
          if (!isAttempt || sample !== undefined) {
            entries.push({ position, drawn: { text: "", metadata: {}, ...sample, origins: [at] } })
          }
        }
        const handedOut = isAttempt ? yield* this.#attemptOf(place) : this.#reader
        yield* handedOut.restore?.(key, entries) ?? Effect.void
      }
      this.#history.delete(keyName(key))
    })
  }
}

/** The layers of a place in a run, as traces have them. */
export const placeName = ({ attempt, independent }: Place.Place): string =>
  Place.format({ ...Place.root, independent, attempt })

const readerPlace = "/independent"
