/**
 * A scripted language model for tests: it answers from a list or a function, and records its requests.
 *
 * **When to use**
 *
 * Use in the tests of a program that samples a model. The program gets the test model as a layer, in place of a provider.
 *
 * **Example** (Test how often a program asks)
 *
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import { Independent, LlmModel } from "@llm-cache/core"
 * import { TestModel } from "@llm-cache/testing"
 * import { Effect } from "effect"
 *
 * const program = Effect.provide(LlmModel.sampleMany("6 * 7?", 3), Independent.layer)
 *
 * it.effect("asks once for three votes", () =>
 *   Effect.gen(function*() {
 *     assert.deepStrictEqual(yield* program, ["42", "41", "42"])
 *     const { requests } = yield* TestModel.TestModel
 *     assert.deepStrictEqual(requests, [{ prompt: "6 * 7?", n: 3, path: [] }])
 *   }).pipe(Effect.provide(TestModel.layer({ script: ["42", "41", "42"] }))))
 * ```
 *
 * @since 0.1.0
 */
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as SampleError from "@llm-cache/core/SampleError"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { failUnused } from "./internal/failUnused.ts"
import { fromList } from "./internal/scripts.ts"

/**
 * A request that the test model received.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request extends Omit<LlmModel.GenerateRequest, "key"> {
  /** The fork of the request, the outermost name first. */
  readonly path: ReadonlyArray<string>
}

/**
 * A sample of an answer: its text, or its text with a finish reason.
 *
 * @category models
 * @since 0.1.0
 */
export type Sample = LlmModel.Generation["samples"][number]

/**
 * An answer of a script function: samples, samples with counts of tokens, or an effect, which may wait or fail.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer = Response | Effect.Effect<Response, SampleError.SampleError>

type Response = ReadonlyArray<Sample> | LlmModel.Generation

/**
 * An entry of a list: a sample, or an error that fails one request.
 *
 * @category models
 * @since 0.1.0
 */
export type Entry = Sample | SampleError.SampleError

/**
 * A function that answers each request. It also gets the number of requests before this one. `prompts` and `random` make some.
 *
 * @category models
 * @since 0.1.0
 */
export interface Script {
  (request: Request, index: number): Answer
  /** The unused parts, for people. */
  readonly unused?: (() => ReadonlyArray<string>) | undefined
}

/**
 * Options of a test model.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends Partial<Omit<LlmModel.Options, "generate">> {
  /** @default "test" */
  readonly model?: string
  /** @default 1 */
  readonly temperature?: number | undefined
  /**
   * The answers.
   *
   * **Details**
   *
   * - A list holds samples and errors in the order of use. A request for `n` takes the next `n` samples, or those before
   *   the next error. An error at the head of the list fails one request. A request behind the end of the list dies.
   * - A function answers each request. It also gets the number of requests before this one.
   *
   * @default samples that all differ: the prompt, `#`, and the number of samples before
   */
  readonly script?: ReadonlyArray<Entry> | Script
  /**
   * The number of samples that a list or the default script gives to a request for `n`: fewer make a short answer, more
   * a surplus.
   *
   * @default n
   */
  readonly size?: (n: number) => number
  /**
   * The time that every request takes, on the clock of the test, or a function of the request.
   *
   * @default no time
   */
  readonly latency?: Duration.Input | ((request: Request, index: number) => Duration.Input)
  /**
   * Whether `layer` dies when it closes after a success, if the program did not use the whole script.
   *
   * @default "ignore"
   */
  readonly unused?: "fail" | "ignore"
}

/**
 * The test model and its record of requests.
 *
 * @category services
 * @since 0.1.0
 */
export class TestModel extends Context.Service<TestModel, {
  readonly model: LlmModel.Model
  /** Every request, first to last. */
  readonly requests: Array<Request>
  /** The text of every sample that the model gave, first to last. */
  readonly samples: Array<string>
  /** The number of requests that have no answer yet. */
  readonly inFlight: number
  /** The largest `inFlight` so far. */
  readonly mostInFlight: number
  /** The unused parts of the script: the entries that are left, and the patterns that no prompt matched. */
  readonly unused: ReadonlyArray<string>
}>()("@llm-cache/testing/TestModel") {}

/**
 * A sample of a model that refuses: no text, the words of the refusal, and the finish reason `content_filter`.
 *
 * @category answers
 * @since 0.1.0
 */
export const refusal = (words: string): LlmModel.GeneratedSample => ({
  text: "",
  refusal: words,
  finishReason: "content_filter"
})

/**
 * A sample that was cut short: its text, and the finish reason `length`.
 *
 * @category answers
 * @since 0.1.0
 */
export const cutShort = (text: string): LlmModel.GeneratedSample => ({ text, finishReason: "length" })

export { prompts, random, type RandomOptions, serverFault } from "./internal/scripts.ts"

/**
 * Makes a test model.
 *
 * **Details**
 *
 * Fails with an `InvalidInput` for options that no model can have.
 *
 * **Example** (A fault, and an answer that depends on the prompt)
 *
 * ```ts
 * import { TestModel } from "@llm-cache/testing"
 *
 * const recovers = TestModel.make({ script: [TestModel.serverFault, "42"] })
 * const echo = TestModel.make({ script: ({ n, prompt }) => Array(n).fill(`You said: ${prompt}`) })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  { latency, script, size = (n) => n, unused: _, ...options }: Options = {}
): Effect.fn.Return<TestModel["Service"], InvalidInput> {
  const requests: Array<Request> = []
  const samples: Array<string> = []
  const inFlight = { now: 0, most: 0 }
  const answerTo: Script = typeof script === "function"
    ? script
    : script === undefined
    ? ({ n, prompt }: Request) => Array.from({ length: size(n) }, (_, i) => `${prompt} #${samples.length + i}`)
    : fromList(script, size)

  const generate = Effect.fnUntraced(function*({ key, n, prompt }: LlmModel.GenerateRequest) {
    const request = { prompt, n, path: key.path }
    const index = requests.push(request) - 1
    if (latency !== undefined) {
      yield* Effect.sleep(typeof latency === "function" ? latency(request, index) : latency)
    }
    const answer = answerTo(request, index)
    const response = Effect.isEffect(answer) ? yield* answer : answer
    const generation = "samples" in response ? response : { samples: response }
    samples.push(...generation.samples.map((sample) => typeof sample === "string" ? sample : sample.text))
    return generation
  })
  const counted = Effect.acquireRelease(
    Effect.sync(() => inFlight.most = Math.max(inFlight.most, ++inFlight.now)),
    () => Effect.sync(() => inFlight.now--)
  )
  const model = yield* LlmModel.make({
    model: "test",
    temperature: 1,
    ...options,
    generate: (request) => Effect.andThen(counted, generate(request))
  })
  return {
    model,
    requests,
    samples,
    get inFlight() {
      return inFlight.now
    },
    get mostInFlight() {
      return inFlight.most
    },
    get unused() {
      return answerTo.unused?.() ?? []
    }
  }
})

/**
 * Provides a test model: `LlmModel` for the program, `TestModel` for the assertions.
 *
 * **Example** (A model over the test model)
 *
 * ```ts
 * import { Repeatable } from "@llm-cache/core"
 * import { TestModel } from "@llm-cache/testing"
 * import { Layer } from "effect"
 *
 * const cached = Repeatable.layer.pipe(Layer.provideMerge(TestModel.layer({ script: ["one", "two"] })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<LlmModel.LlmModel | TestModel, InvalidInput> =>
  Layer.effectContext(
    Effect.map(
      Effect.tap(make(options), (testModel) => failUnused(testModel, options?.unused)),
      (testModel) => Context.make(TestModel, testModel).pipe(Context.add(LlmModel.LlmModel, testModel.model))
    )
  )
