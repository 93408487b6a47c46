/**
 * Random programs over stacks of models, compared with their meaning. An interpreter in plain data gives the samples of each program,
 * its requests, and the content of its stores in the end.
 *
 * **When to use**
 *
 * Use it for a store of your own, or for a combinator that takes the place of `Independent`, `Repeatable` or `Persistent`. The
 * programs mix overlapping runs, interrupts, failures, restarts and deleted samples. `SampleStoreTest` and `LlmModelTest` have the laws by
 * their names: begin with these.
 *
 * **Example** (A store)
 *
 * ```ts
 * import { DirectoryStore } from "@llm-cache/core"
 * import { ProgramTest } from "@llm-cache/testing"
 *
 * ProgramTest.suite("directory", { store: (folder) => DirectoryStore.layer(folder) })
 * ```
 *
 * **Example** (A combinator)
 *
 * ```ts
 * import { LlmModel, Repeatable } from "@llm-cache/core"
 * import { ProgramTest } from "@llm-cache/testing"
 * import { Effect } from "effect"
 *
 * const counted = (model: LlmModel.Model) => LlmModel.fromDraw({ ...model, draw: (...args) => model.draw(...args) })
 *
 * ProgramTest.suite("counted", {
 *   combinators: { repeatable: (source) => Effect.map(Repeatable.make(source), counted) }
 * })
 * ```
 *
 * @since 0.1.0
 */
import { it } from "@effect/vitest"
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { Key } from "@llm-cache/core/Key"
import type { Model } from "@llm-cache/core/LlmModel"
import * as MemoryStore from "@llm-cache/core/MemoryStore"
import type { StoreError } from "@llm-cache/core/SampleError"
import { SampleStore, type Store } from "@llm-cache/core/SampleStore"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { strict as assert } from "node:assert"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { execute } from "./internal/programs/execute.ts"
import { interpret, type Program as Interpreted } from "./internal/programs/interpreter.ts"
import { Programs, withoutTurns } from "./internal/programs/random.ts"

/**
 * A program: a stack of combinators over a provider, whose requests have a limit and whose answers may be short or have a surplus, and
 * the steps.
 *
 * @category models
 * @since 0.1.0
 */
export type Program = Interpreted

/**
 * A program that differs from its meaning, or that died, which no program does.
 *
 * @category errors
 * @since 0.1.0
 */
export class Difference extends Data.TaggedError("Difference")<{
  readonly message: string
  readonly program: Program
  readonly cause: unknown
}> {}

/**
 * Combinators in the place of those of core.
 *
 * @category options
 * @since 0.1.0
 */
export interface Combinators {
  /** @default `Independent.make` */
  readonly independent?: ((source: Model) => Effect.Effect<Model, InvalidInput, Scope.Scope>) | undefined
  /** @default `Repeatable.make` */
  readonly repeatable?: ((source: Model) => Effect.Effect<Model, InvalidInput, Scope.Scope>) | undefined
  /** @default `Persistent.make` */
  readonly persistent?: ((source: Model, store: Store) => Effect.Effect<Model, InvalidInput, Scope.Scope>) | undefined
}

/**
 * Options of a suite.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The store of each `Persistent`. It gets an empty folder of its own, whose path is also a unique name. After a restart of the program
   * it gets the folder again, and has to have its samples.
   *
   * @default stores in memory
   */
  readonly store?: ((folder: string) => Layer.Layer<SampleStore, InvalidInput | StoreError>) | undefined
  readonly combinators?: Combinators | undefined
  /**
   * Whether the store answers at once, as a file system that is read synchronously. For stores over a network, the suite leaves out
   * programs whose result depends on the scheduler: fibers in one fork, and interrupts.
   *
   * @default true
   */
  readonly isSynchronous?: boolean | undefined
  /**
   * How a person deletes a sample while no program runs.
   *
   * @default `remove` of the store
   */
  readonly deleteSample?: ((store: Store, key: Key, position: number) => Effect.Effect<void, StoreError>) | undefined
  /**
   * The number of programs.
   *
   * @default the environment's `LLM_CACHE_PROGRAMS`, else 200
   */
  readonly runs?: number | undefined
  /**
   * The same seed makes the same programs. A failure shows the seed and the smallest program.
   *
   * @default the environment's `LLM_CACHE_SEED`, else "programs"
   */
  readonly seed?: string | undefined
}

/**
 * Defines a test that runs programs and compares them with their meaning.
 *
 * @category tests
 * @since 0.1.0
 */
export const suite = (name: string, options: Options = {}): void => {
  const { runs } = withDefaults(options)
  it.effect(
    `${runs} programs over ${name} get the samples, send the requests and store what they mean`,
    () => check(options),
    30_000 + runs * 50
  )
}

/**
 * The test of `suite` as an effect: runs random programs, and fails with the smallest one that differs from its meaning.
 *
 * @category tests
 * @since 0.1.0
 */
export const check = (options: Options = {}): Effect.Effect<void, Difference> => {
  const { runs, seed } = withDefaults(options)
  return Effect.flatMap(
    Arbitrary.checkEffect(
      Arbitrary.schema(Programs),
      (program) => Effect.as(checkProgram(program, options), true),
      { runs, seed, size: 40, maxShrinks: 2000 }
    ),
    (result) => {
      if (result._tag === "Passed") return Effect.void
      if (result._tag !== "Falsified" || result.failure._tag !== "PropertyError") {
        return Effect.die(new Error(Arbitrary.formatCheckFailure(result)))
      }
      const { cause, message, program } = result.failure.error
      return Effect.fail(
        new Difference({ cause, program, message: `${message}\nThe same programs again: LLM_CACHE_SEED=${seed}` })
      )
    }
  )
}

/**
 * Runs one program, such as that of a failed suite, and fails if it differs from its meaning.
 *
 * @category tests
 * @since 0.1.0
 */
export const checkProgram = (
  program: Program,
  { combinators = {}, deleteSample, isSynchronous = true, store }: Options = {}
): Effect.Effect<void, Difference> =>
  Effect.gen(function*() {
    const steps = isSynchronous ? program : withoutTurns(program)
    const open = yield* store === undefined ? openInMemory : openInFolders(store)
    const { outcome, traces } = yield* execute(steps, {
      open: open(program.stack.length),
      combinators,
      deleteSample: (one, key, position) =>
        Effect.orDie(deleteSample?.(one, key, position) ?? one.remove(key, [position]))
    })
    assert.deepEqual(outcome, interpret(steps, traces))
  }).pipe(
    Effect.scoped,
    Effect.catchCause((cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
      const error = Cause.squash(cause)
      const message = `${error instanceof Error ? error.message : String(error)}\n` +
        `The program, for ProgramTest.checkProgram: ${JSON.stringify(program)}`
      return Effect.fail(new Difference({ cause: error, message, program }))
    })
  )

const withDefaults = ({ runs, seed }: Options) => {
  const { LLM_CACHE_PROGRAMS, LLM_CACHE_SEED } = process.env
  return { runs: runs ?? Number(LLM_CACHE_PROGRAMS ?? 200), seed: seed ?? LLM_CACHE_SEED ?? "programs" }
}

type Open = (height: number) => Effect.Effect<(level: number) => Store, never, Scope.Scope>

const openInMemory: Effect.Effect<Open> = Effect.sync(() => {
  const stores: Array<Store> = []
  return (height) =>
    Effect.gen(function*() {
      while (stores.length < height) stores.push(yield* MemoryStore.make)
      return (level) => stores[level]!
    })
})

const openInFolders = (store: NonNullable<Options["store"]>): Effect.Effect<Open, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-programs-"))),
      (root) => Effect.sync(() => Fs.rmSync(root, { recursive: true, force: true }))
    ),
    (root) => (height) =>
      Effect.map(
        Effect.forEach(Array.from({ length: height }, (_, level) => Path.join(root, String(level))), (folder) => {
          Fs.mkdirSync(folder, { recursive: true })
          return Effect.map(Layer.build(Layer.fresh(store(folder))), Context.get(SampleStore))
        }),
        (stores) => (level: number) => stores[level]!
      ).pipe(Effect.orDie)
  )
