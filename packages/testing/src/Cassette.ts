/**
 * A cassette keeps the answers of a model in a file beside the test: the first run of the test records them, and every later run
 * replays them, without a provider, a network or an API key.
 *
 * **When to use**
 *
 * Use it to test a program with the answers of a real model. For answers of your own use `TestModel`.
 *
 * **Details**
 *
 * `Cassette.layer("two-step")` in `tests/agent.test.ts` has the file `tests/__cassettes__/agent/two-step.jsonl`, to be committed
 * with the test. Each line is a sample with its key, in the order of the prompts, so that git shows and merges recordings line by
 * line. Positions and forks are kept, so retries, votes and parallel programs replay too.
 *
 * | the cassette | the test |
 * | --- | --- |
 * | is there | replays it; a missing sample is a `ReplicationCacheMiss`, which explains itself and names the command to record it |
 * | is not there | records it, with the provider's key |
 * | is not there, `CI` is `true` | fails with a `StoreError` and the command to record it |
 *
 * With `LLM_CACHE_CASSETTES=update` in its environment, a test requests the samples that are missing, and drops unused
 * ones. For new answers, delete the file, and a `.partial` beside it. Until a test succeeds, its recording is in a file `.partial`
 * and goes on there: no request is paid for twice. After an update that failed, replays use the cassette alone, and a miss says if
 * the `.partial` has the sample. Requests that the test leaves behind, as in a race, end before the cassette closes.
 *
 * **Example** (Record once, then replay)
 *
 * ```ts
 * import { NodeHttpClient } from "@effect/platform-node"
 * import { assert, it } from "@effect/vitest"
 * import { Attempt, Independent, LlmModel } from "@llm-cache/core"
 * import { OpenAi } from "@llm-cache/providers"
 * import { Cassette } from "@llm-cache/testing"
 * import { Effect, Layer } from "effect"
 *
 * const agent = LlmModel.sampleOne("A number from 1 to 9, nothing else.").pipe(
 *   Effect.filterOrFail((answer) => /^[1-9]$/.test(answer)),
 *   Attempt.retry({ times: 3 }),
 *   Effect.provide(Independent.layer)
 * )
 *
 * const model = OpenAi.layer({ model: "gpt-4o-mini", temperature: 1 }).pipe(Layer.provide(NodeHttpClient.layerUndici))
 *
 * it.effect("finds a number", () =>
 *   Effect.gen(function*() {
 *     const { attempts } = yield* agent
 *     assert.isAtMost(attempts, 2)
 *   }).pipe(Effect.provide(LlmModel.stack(Cassette.layer("finds a number"), model))))
 * ```
 *
 * @since 0.1.0
 */
import * as Explain from "@llm-cache/core/Explain"
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import { Key } from "@llm-cache/core/Key"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Persistent from "@llm-cache/core/Persistent"
import { RepeatableModel } from "@llm-cache/core/RepeatableModel"
import { ReplicationCacheMiss, type StoreError } from "@llm-cache/core/SampleError"
import * as StoreFault from "@llm-cache/core/StoreFault"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import { excerpt } from "./internal/cassette/file.ts"
import { type Mode, modeOf, variable } from "./internal/cassette/mode.ts"
import { type Opened, opened } from "./internal/cassette/opened.ts"
import { callerFile, cassetteFile, command, shown } from "./internal/cassette/place.ts"
import { patterns } from "./internal/cassette/secrets.ts"
import { tallies, type Tally, tokensOf } from "./internal/cassette/tally.ts"
import { isOfThisRun, open } from "./internal/cassette/tape.ts"

/**
 * Options of a cassette.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The folder of the cassette's file.
   *
   * @default a folder `__cassettes__` beside the file of the test
   */
  readonly directory?: string | undefined
  /**
   * - `auto`: replays the cassette if it is there. Otherwise records it, but in CI fails.
   * - `replay`: never sends a request.
   * - `update`: requests the missing samples, and drops unused ones.
   *
   * @default the environment's `LLM_CACHE_CASSETTES`, else `auto`
   */
  readonly mode?: "auto" | "replay" | "update" | undefined
  /**
   * Whether a replay fails if the test did not use all samples. The samples of one request belong together: they are used
   * if the test uses any of them.
   *
   * @default "ignore"
   */
  readonly unused?: "fail" | "ignore" | undefined
  /**
   * What no cassette may have. A prompt with a match fails before it is sent. An answer with a match is in no file, also not in a
   * rescue file of a full disk, and fails the test. The values of environment variables that end in `KEY`, `TOKEN`, `SECRET` or
   * `PASSWORD` are refused too.
   *
   * @default `Cassette.secrets`
   */
  readonly secrets?: ReadonlyArray<RegExp> | undefined
}

/**
 * A cassette under way.
 *
 * @category services
 * @since 0.1.0
 */
export class Cassette extends Context.Service<Cassette, {
  readonly file: string
  readonly mode: Mode
  /** The keys and positions that the test drew, first to last. */
  readonly draws: ReadonlyArray<Draw>
  /** How many samples the cassette has that no draw used, without those of requests that brought used ones too. */
  readonly unused: number
}>()("@llm-cache/testing/Cassette") {}

/**
 * A draw of a test from a cassette.
 *
 * @category models
 * @since 0.1.0
 */
export interface Draw {
  readonly prompt: string
  readonly path: ReadonlyArray<string>
  readonly position: number
  /** Whether the cassette had the sample, whether it was requested, or neither. */
  readonly from: "cassette" | "model" | "nothing"
}

/**
 * Patterns of secrets: keys of providers, bearer tokens, tokens of code hosts and clouds, and private keys.
 *
 * @category options
 * @since 0.1.0
 */
export const secrets: ReadonlyArray<RegExp> = patterns

/**
 * Records the samples of the model beneath in the cassette, or replays them.
 *
 * **Details**
 *
 * Give each test, and each model of a test, a cassette of its own name.
 * Fails with a `StoreError` if the cassette is missing in CI, or its file is damaged. When the layer closes after a success, it dies
 * if the test missed samples and went on, if it did not use samples and `unused` is `"fail"`, and if an answer has a secret.
 *
 * **Gotchas**
 *
 * Provide it inside the test: a cassette is finished when its layer closes. Over a block of tests, as in `it.layer`, name the setup
 * `@llm-cache/testing/vitest` in the configuration of Vitest: without it, a cassette does not know that a test failed, and finishes
 * its recording or update all the same.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  name: string,
  options: Options = {}
): Layer.Layer<
  LlmModel.LlmModel | RepeatableModel | Cassette,
  InvalidInput | StoreError,
  LlmModel.LlmModel
> => {
  const test = callerFile()
  return Layer.fresh(Layer.effectContext(make(name, test, options)))
}

const make = Effect.fnUntraced(function*(
  name: string,
  caller: string | undefined,
  { directory, mode: given, secrets = patterns, unused = "ignore" }: Options
): Effect.fn.Return<
  Context.Context<LlmModel.LlmModel | RepeatableModel | Cassette>,
  InvalidInput | StoreError,
  LlmModel.LlmModel | Scope.Scope
> {
  const file = cassetteFile(name, caller, directory)
  const mode = yield* modeOf(given, Fs.existsSync(file))
  const update = () => command(caller, `${variable}=update`)
  if (mode === undefined) {
    return yield* StoreFault.storeError(shown(file), "open", {
      kind: "Unavailable",
      description: `there is no such cassette. Record it where the key of the provider is: ${update()}`
    })
  }
  const tape = yield* open(file, mode, secrets)
  const test: Opened = { hasFailedTest: () => false }
  opened.publish(test)
  const draws: Array<Draw> = []
  const misses: Array<ReplicationCacheMiss> = []

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      const { before, now } = tape.recorded()
      tallies.publish(
        {
          replayed: draws.filter(({ from }) => from === "cassette").length,
          spent: tokensOf(now),
          avoided: tokensOf(before),
          unfinished: tape.unfinished()
        } satisfies Tally
      )
    })
  )
  yield* Effect.addFinalizer((exit) =>
    Effect.gen(function*() {
      if (test.hasFailedTest() || Exit.isFailure(exit)) return
      const [miss] = misses
      if (miss !== undefined) return yield* Effect.die(miss)
      if (mode !== "replay") yield* Effect.orDie(tape.finish)
      const [refused] = tape.refused
      if (refused !== undefined) return yield* Effect.die(new Error(`${shown(file)} is not whole: ${refused}`))
      const [line] = tape.unused()
      if (unused === "fail" && mode === "replay" && line !== undefined) {
        return yield* Effect.die(
          new Error(
            `${tape.unused().length} samples of ${
              shown(file)
            } are unused, first the one at position ${line.entry.position} of the ` +
              `prompt ${excerpt(line.key.prompt)}. To drop them: ${update()}`
          )
        )
      }
    })
  )

  // The finalizer above comes after those of the cache: requests in flight end, and are recorded.
  const model = yield* Persistent.make(yield* LlmModel.LlmModel, tape.store, {
    replication: mode === "replay",
    onClose: "finish"
  })
  const explain = (miss: ReplicationCacheMiss) =>
    Effect.gen(function*() {
      const explanation = yield* Explain.miss(tape.store, miss)
      const isUnfinished = yield* tape.isUnfinished(new Key(miss.identity, miss.prompt, miss.path), miss.position)
      const { identity, nearest, path, position, present, prompt, promptHash, store, stored } = miss
      const explained = new ReplicationCacheMiss({
        identity,
        nearest,
        path,
        position,
        present,
        prompt,
        promptHash,
        store,
        stored,
        // The first line has the key, as the message has.
        explanation: Explain.format(explanation).replace(/^.*\n/, ""),
        advice: [
          ...isOfThisRun(file)
            ? [`This run recorded ${shown(file)}: if another test did, give each test a cassette of its own name.`]
            : [],
          isUnfinished
            ? `${shown(tape.partial)} has this sample, of a test that failed. To go on: ${update()}`
            : `To record what is missing: ${update()}`
        ].join("\n")
      })
      misses.push(explained)
      return explained
    })
  const cassette = LlmModel.fromDraw({
    ...model,
    draw: Effect.fnUntraced(function*(key: Key, position, batch, options) {
      const isRecorded = tape.has(key, position)
      const draw = { prompt: key.prompt, path: key.path, position }
      const drawn = yield* model.draw(key, position, batch, options && { ...options, most: 1, of: model.draw }).pipe(
        Effect.catchTag("ReplicationCacheMiss", (miss) => {
          draws.push({ ...draw, from: "nothing" })
          return Effect.flatMap(explain(miss), Effect.fail)
        })
      )
      tape.use(key, position)
      draws.push({ ...draw, from: isRecorded ? "cassette" : "model" })
      return drawn
    })
  })
  return Context.make(LlmModel.LlmModel, cassette).pipe(
    Context.add(RepeatableModel, cassette),
    Context.add(Cassette, {
      file,
      mode,
      draws,
      get unused() {
        return tape.unused().length
      }
    })
  )
})
