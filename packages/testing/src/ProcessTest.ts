/**
 * Tests of a store that several processes use at once, and some of them are killed.
 *
 * **When to use**
 *
 * Use in the tests of a store of your own, beside `SampleStoreTest`, which tests a single process.
 *
 * **Example** (A store in a directory)
 *
 * ```ts
 * import { ProcessTest } from "@llm-cache/testing"
 * import { Effect } from "effect"
 * import * as Fs from "node:fs"
 * import * as Os from "node:os"
 * import * as Path from "node:path"
 *
 * ProcessTest.suite("directory", {
 *   // export const layer = DirectoryStore.layer(process.env["LLM_CACHE_TEST_PLACE"]!)
 *   module: new URL("./support/store.ts", import.meta.url),
 *   place: Effect.acquireRelease(
 *     Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "store-"))),
 *     (root) => Effect.sync(() => Fs.rmSync(root, { recursive: true }))
 *   )
 * })
 * ```
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { killAt, makeMoment } from "./internal/kills.ts"
import { checkErrors, checkKilled, checkSeen, checkStored } from "./internal/processChecks.ts"
import { type Process, spawn } from "./internal/processes.ts"
import type { Line, Recording, Task } from "./internal/processProtocol.ts"

/**
 * The place of a store, for the processes of a test.
 *
 * @category options
 * @since 0.1.0
 */
export interface Place<E = never> {
  /**
   * A module that exports `layer`, a `Layer<SampleStore.SampleStore, StoreError>`: the store at the place that the
   * environment variable `LLM_CACHE_TEST_PLACE` names. Each process imports it, so Node has to run it: it is JavaScript, or
   * TypeScript with erasable types.
   */
  readonly module: URL
  /** Makes an empty place for a test, such as a directory, a file or a database, and gives its name in any form. */
  readonly place: Effect.Effect<string, E, Scope.Scope>
  /**
   * The time limit of a test, in milliseconds. Each kill adds 3 seconds.
   *
   * @default 60_000
   */
  readonly timeout?: number | undefined
}

/**
 * The abilities of the store, and the size of the tests.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<E = never> extends Place<E> {
  /**
   * The number of processes that use the store at once.
   *
   * @default 8
   */
  readonly processes?: number | undefined
  /**
   * The number of kills.
   *
   * @default the environment variable LLM_CACHE_KILLS, or 6
   */
  readonly kills?: number | undefined
  /**
   * Whether the store has leases.
   *
   * @default false
   */
  readonly hasLeases?: boolean | undefined
}

/**
 * The faults of a store.
 *
 * @category options
 * @since 0.1.0
 */
export interface FaultOptions<E = never> extends Place<E> {
  /** Each fault by its name: it begins with the effect, and lasts until the scope closes. */
  readonly faults: Readonly<Record<string, (at: Faulty) => Effect.Effect<unknown, E, Scope.Scope>>>
}

/**
 * The place of a fault.
 *
 * @category models
 * @since 0.1.0
 */
export interface Faulty {
  /** The place of the store. */
  readonly place: string
  /** The number of its process. */
  readonly pid: number
}

/**
 * Defines the tests of a store that several processes use at once, and some of them are killed.
 *
 * **Details**
 *
 * The processes record through `Persistent`. Each sample of their provider is different, names its request, and shows
 * whether it is whole. At the end, one more process lists the stored samples.
 *
 * Random choices follow from a seed, the environment variable `LLM_CACHE_SEED`. A failing test logs it. The timing of the
 * processes does not follow from it.
 *
 * @category tests
 * @since 0.1.0
 */
export const suite = <E>(name: string, options: Options<E>): void => {
  const { hasLeases = false, processes = 8 } = options
  const { inspect, makeRecorder, place, settings, test, timeout } = makeProcesses(options)
  const kills = options.kills ?? settings.kills

  // Runs recorders at the same time, until each of them ends.
  const together = (recordings: Effect.Effect<ReadonlyArray<Omit<Recording, "_tag" | "seed">>>) =>
    Effect.gen(function*() {
      const at = yield* place
      const recorders = yield* Effect.forEach(yield* recordings, (recording) => makeRecorder(at, recording))
      yield* begin(recorders)
      yield* Effect.forEach(recorders, ({ done }) => done)
      const runs = recorders.map(({ lines }) => lines)
      checkErrors(runs)
      const stored = yield* inspect(at, runs)
      checkStored(stored, runs)
      checkSeen(stored, runs)
      return stored
    })

  const each = (tasksOf: Effect.Effect<ReadonlyArray<Task>>) =>
    Effect.forEach(
      Array.from({ length: processes }, (_, i) => `process-${i}`),
      (name) => Effect.map(tasksOf, (tasks) => ({ name, tasks }))
    )

  describe(`processes that share the store ${name}`, () => {
    test(
      `${processes} that sample one prompt at once agree on every position, and store every sample once`,
      together(each(Effect.forEach(["one", "one", "one"], (prompt) => makeTask(prompt, 50))))
    )

    test(
      `${processes} that sample many prompts at once agree on every position, and store every sample once`,
      together(each(Effect.flatMap(
        Random.shuffle(Array.from({ length: 30 }, (_, i) => `prompt ${i}`)),
        (prompts) => Effect.forEach(prompts, (prompt) => makeTask(prompt, 6))
      )))
    )

    for (const [many, atOnce] of [["one", 1], ["two at once", 2]] as const) {
      const rounds = Math.ceil(kills / atOnce)
      test(
        `${many} killed ${rounds} times lose no received sample and no other of its request, and tear none`,
        Effect.gen(function*() {
          const at = yield* place
          const runs: Array<ReadonlyArray<Line>> = []
          for (let round = 0; round < rounds; round++) {
            const moments = yield* Effect.replicateEffect(makeMoment, atOnce)
            // New prompts now and then, so that a replay stays short.
            const tasks = ["a", "b", "c"].map((prompt) => ({
              prompt: `${prompt} ${Math.floor(round / 10)}`,
              batch: 5,
              how: "stream" as const
            }))
            yield* Effect.scoped(Effect.gen(function*() {
              const recorders = yield* Effect.forEach(
                moments,
                (_, i) => makeRecorder(at, { name: `round-${round}-${i}`, tasks })
              )
              yield* begin(recorders)
              yield* Effect.forEach(recorders, (recorder, i) => killAt(recorder, moments[i]!), { concurrency: atOnce })
              const killed = recorders.map(({ lines }) => lines)
              checkErrors(killed)
              runs.push(...killed)
            }))
          }
          const stored = yield* inspect(at, runs)
          checkKilled(stored, runs)
          checkSeen(stored, runs)
        }),
        timeout + rounds * 3000
      )
    }

    if (!hasLeases) return

    test(
      `${processes} that need the same positions request them once, with a lease`,
      Effect.gen(function*() {
        const tasks = Array.from({ length: 10 }, (_, i) => ({ ...leased, prompt: `leased ${i}`, n: 6 }))
        const recordings = Effect.map(
          each(Effect.succeed(tasks)),
          (recordings) => recordings.map((recording) => ({ ...recording, isExact: true, lease: 60_000 }))
        )
        const stored = yield* together(recordings)
        assert.strictEqual(stored.length, 60, "more samples were requested than needed")
      })
    )

    // One process requests, and its provider does not answer. The other gets no lease until the first one ends.
    const waiting = (lease: number, end: (holder: Process, other: Process) => Effect.Effect<void>) =>
      Effect.gen(function*() {
        const at = yield* place
        const shared = { tasks: [leased], isExact: true, lease }
        const holder = yield* makeRecorder(at, { name: "holder", ...shared, hangs: true })
        const other = yield* makeRecorder(at, { name: "other", ...shared })
        yield* begin([holder])
        yield* holder.when(has("Asked", 1))
        yield* begin([other])
        yield* other.when((lines) => has("Lease", 1)(lines) || has("Asked", 1)(lines))
        yield* end(holder, other)
        yield* other.done
        const runs = [holder.lines, other.lines]
        const stored = yield* inspect(at, runs)
        checkStored(stored, runs)
        checkSeen(stored, runs)
        assert.deepStrictEqual(stored.map(({ position }) => position), [0, 1, 2])
      })

    const isWaiting = ({ lines }: Process) =>
      assert.isFalse(has("Asked", 1)(lines), "it requests while another process has the lease")

    test(
      "one with a failed request frees its lease at once",
      waiting(3_600_000, (holder, other) =>
        Effect.gen(function*() {
          isWaiting(other)
          yield* holder.stop
          yield* holder.done
        }))
    )

    test(
      "one that requests extends its lease, and after a kill the next process requests when the lease expires",
      waiting(3000, (holder, other) =>
        Effect.gen(function*() {
          // Longer than a lease without extension.
          const end = (yield* Clock.currentTimeMillis) + 4000
          while ((yield* Clock.currentTimeMillis) < end) {
            isWaiting(other)
            const tries = other.lines.length
            yield* other.when((lines) => lines.length > tries)
          }
          isWaiting(other)
          yield* holder.kill
        }))
    )
  })
}

/**
 * Defines the tests of a store that fails for a while under a recording process, and then recovers.
 *
 * **Details**
 *
 * The process prints its errors, and retries until it succeeds. After some errors the fault ends.
 *
 * **Example** (A server that is restarted)
 *
 * ```ts
 * import { ProcessTest } from "@llm-cache/testing"
 * import { Effect, type Scope } from "effect"
 *
 * declare const place: Effect.Effect<string, never, Scope.Scope>
 * declare const stop: Effect.Effect<void>
 * declare const start: Effect.Effect<void>
 *
 * ProcessTest.faults("of a server", {
 *   module: new URL("./support/store.ts", import.meta.url),
 *   place,
 *   faults: { "the server restarts": () => Effect.acquireRelease(stop, () => start) }
 * })
 * ```
 *
 * @category tests
 * @since 0.1.0
 */
export const faults = <E>(name: string, options: FaultOptions<E>): void => {
  const { inspect, makeRecorder, place, test } = makeProcesses(options)

  describe(`a process that records in the store ${name}`, () => {
    for (const [what, fault] of Object.entries(options.faults)) {
      test(
        `fails with a StoreError, loses no requested sample, and goes on afterwards: ${what}`,
        Effect.gen(function*() {
          const at = yield* place
          const tasks = ["a", "b"].map((prompt) => ({ prompt, batch: 3, how: "stream" as const }))
          const recorder = yield* makeRecorder(at, { name: "process", tasks, retries: true })
          yield* begin([recorder])
          yield* recorder.when(has("Seen", yield* Random.nextIntBetween(1, 60)))
          yield* Effect.scoped(Effect.andThen(
            fault({ place: at, pid: recorder.pid }),
            recorder.when(has("Failed", yield* Random.nextIntBetween(1, 5)))
          ))
          // until it has requested more samples
          const before = recorder.lines.length
          yield* recorder.when((lines) => has("Answered", 20)(lines.slice(before)))
          yield* recorder.stop
          yield* recorder.done
          for (const line of recorder.lines) {
            if (line._tag === "Failed") assert.match(line.error, /^StoreError: /)
          }
          const stored = yield* inspect(at, [recorder.lines])
          checkStored(stored, [recorder.lines])
          checkSeen(stored, [recorder.lines])
        })
      )
    }
  })
}

// -----------------------------------------------------------------------------
// processes
// -----------------------------------------------------------------------------

const makeProcesses = <E>({ module, place, timeout = 60_000 }: Place<E>) => {
  const settings = Effect.runSync(Effect.gen(function*() {
    const kills = yield* Config.Int("LLM_CACHE_KILLS").pipe(Config.withDefault(6))
    const random = yield* Random.nextIntBetween(0, 999_999)
    return { kills, seed: yield* Config.Int("LLM_CACHE_SEED").pipe(Config.withDefault(random)) }
  }))
  return {
    settings,
    timeout,
    place,
    test: (what: string, self: Effect.Effect<void, E, Scope.Scope>, most = timeout) =>
      it.live(what, () =>
        self.pipe(
          Random.withSeed(`${settings.seed} ${what}`),
          Effect.onError(() => Effect.logError(`LLM_CACHE_SEED=${settings.seed} makes the same random choices again`))
        ), { timeout: most }),
    makeRecorder: (place: string, recording: Omit<Recording, "_tag" | "seed">) =>
      Effect.flatMap(
        Random.nextInt,
        (seed) => spawn(module, place, { _tag: "Recording", seed: String(seed), ...recording })
      ),
    // The stored samples, in the eyes of a new process.
    inspect: (place: string, runs: ReadonlyArray<ReadonlyArray<Line>>) =>
      Effect.gen(function*() {
        const prompts = runs.flat().flatMap((line) => line._tag === "Asked" ? [line.prompt] : [])
        const inspector = yield* spawn(module, place, { _tag: "Inspection", prompts: [...new Set(prompts)] })
        yield* begin([inspector])
        yield* inspector.done
        return inspector.lines.filter((line) => line._tag === "Stored")
      }).pipe(Effect.scoped)
  }
}

const has = (tag: Line["_tag"], count: number) => (lines: ReadonlyArray<Line>): boolean => {
  let left = count
  return lines.some((line) => line._tag === tag && --left === 0)
}

// Starts all processes at once, when all are ready.
const begin = (processes: ReadonlyArray<Process>) =>
  Effect.andThen(
    Effect.forEach(processes, ({ when }) => when(has("Ready", 1)), { discard: true }),
    Effect.forEach(processes, ({ go }) => go, { discard: true })
  )

const leased: Task = { prompt: "leased", n: 3, batch: 3, how: "many" }

const makeTask = (prompt: string, most: number) =>
  Effect.gen(function*() {
    const how = yield* Random.choice(["stream", "many", "independent"] as const)
    return { prompt, how, n: yield* Random.nextIntBetween(1, most), batch: yield* Random.nextIntBetween(1, 7) }
  })
