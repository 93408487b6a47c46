/**
 * A language model that is sampled: the service every part of the library takes and gives.
 *
 * **When to use**
 *
 * Use `sample`, `sampleOne` and `sampleMany` in programs, and `make` or `layer` to turn one function into a model: a
 * provider, or a mock in a test.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { Events } from "./Events.ts"
import * as Identity from "./Identity.ts"
import { Listeners } from "./internal/events/listeners.ts"
import { memoizeLast } from "./internal/memoizeLast.ts"
import { type Accessors, accessors } from "./internal/model/accessors.ts"
import { checkCount } from "./internal/model/checkCount.ts"
import { CurrentFork } from "./internal/model/currentFork.ts"
import { CurrentRetry } from "./internal/model/currentRetry.ts"
import type { Options } from "./internal/model/generation.ts"
import { modelBeneath, overModel } from "./internal/model/overModel.ts"
import { makeRequests } from "./internal/model/requests.ts"
import { drawSamples, peekSamples, sampling, text } from "./internal/model/sampling.ts"
import * as Stack from "./internal/model/stack.ts"
import { InvalidInput } from "./InvalidInput.ts"
import type { Key } from "./Key.ts"
import type { Model, Samples } from "./Model.ts"
import * as Retry from "./Retry.ts"
import type { Drawn } from "./Sample.ts"
import type { ProviderError, SampleError } from "./SampleError.ts"

export { type Accessors, accessors } from "./internal/model/accessors.ts"
export type { GeneratedSample, GenerateRequest, Generation, Options, RetryWait } from "./internal/model/generation.ts"
export { onBehalfOf } from "./internal/model/races.ts"
export { type OutgoingRequest, RequestCheck } from "./internal/model/requestCheck.ts"
export type { DrawOptions, Model, SampleOptions, Samples } from "./Model.ts"

/**
 * The service of a model.
 *
 * @category services
 * @since 0.1.0
 */
export class LlmModel extends Context.Service<LlmModel, Model>()("@llm-cache/core/LlmModel") {}

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * Makes a model from a function that generates samples. Every run of its `sample` is a new sequence of draws.
 *
 * **Details**
 *
 * A text with a lone surrogate cannot be stored as UTF-8; each is replaced by U+FFFD before the sample is handed out.
 * Fails with an `InvalidInput` for options that no model can have.
 *
 * **Example** (A model that throws dice)
 *
 * ```ts
 * import { LlmModel } from "@llm-cache/core"
 * import { Effect, Random } from "effect"
 *
 * const dice = LlmModel.make({
 *   model: "dice",
 *   generate: ({ n }) =>
 *     Effect.map(
 *       Effect.replicateEffect(Random.nextIntBetween(1, 7), n),
 *       (throws) => ({ samples: throws.map(String) })
 *     )
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*<R = never>(
  options: Options<R>
): Effect.fn.Return<Model, InvalidInput, Exclude<R, Scope.Scope>> {
  const identity = yield* Identity.make(options)
  const { concurrency, maxBatch = Infinity } = options
  if (typeof options.generate !== "function") {
    return yield* new InvalidInput({
      module: "LlmModel.make",
      description: "`generate` is no function: give one that asks the model"
    })
  }
  if (maxBatch !== Infinity) yield* checkCount("LlmModel.make", "maxBatch", maxBatch)
  if (concurrency !== undefined) yield* checkCount("LlmModel.make", "concurrency", concurrency)
  const services = yield* Effect.context<Exclude<R, Scope.Scope>>()
  // A request has the fork, the spans and the log of the fiber that samples, and the other services of this fiber.
  // Most requests of a program come from one context. Those of a server do not: the row `server-miss` of the benchmark.
  const inContext = memoizeLast((caller: Context.Context<never>) =>
    Context.merge(Context.merge(caller, services), ambient(caller))
  )
  const withServices = <A, E>(self: Effect.Effect<A, E, Exclude<R, Scope.Scope>>): Effect.Effect<A, E> =>
    services.mapUnsafe.size === 0 ? self as Effect.Effect<A, E> : Effect.updateContext(self, inContext)
  return fromDraw({
    identity,
    sequence: "new",
    ...makeRequests(identity, options, withServices),
    restore: undefined,
    giveBack: undefined,
    stores: new Map()
  })
})

const ambient = Context.pick(
  CurrentFork,
  Events,
  Listeners,
  Tracer.ParentSpan,
  Tracer.Tracer,
  References.CurrentLogAnnotations,
  References.CurrentLogSpans,
  References.MinimumLogLevel
)

/**
 * Provides a model made from a function that generates samples.
 *
 * **Example** (A mock for a test)
 *
 * ```ts
 * import { LlmModel } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const mock = LlmModel.layer({
 *   model: "mock",
 *   generate: ({ prompt, n }) => Effect.succeed({ samples: Array(n).fill(`You said: ${prompt}`) })
 * })
 *
 * const program = Effect.provide(LlmModel.sampleOne("Hello"), mock)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(
  options: Options<R>
): Layer.Layer<LlmModel, InvalidInput, Exclude<R, Scope.Scope>> => Layer.effect(LlmModel, make(options))

/**
 * Stacks layers of models, the outermost first and the provider last: each takes the model beneath it.
 *
 * **When to use**
 *
 * Use to compose layers of models with each other and with a provider. Do not merge them in one list
 * (`Layer.mergeAll`, `Effect.provide([…])`): there each takes the model beneath the list, and all but one are lost. The
 * types cannot tell, so the layers of this package die when a list merges them.
 *
 * **Details**
 *
 * It takes any number of layers, also the same one several times. `LlmModel` is the model of the outermost layer, and
 * `IndependentModel` and `RepeatableModel` are those of the outermost layers that provide them. All but the last must take
 * a model. If the last one is a provider, or a replication, Effect shares the stack by reference, as any composed layer;
 * if it is a layer of this package that takes a model too, the stack is built anew each time it is provided.
 *
 * **Gotchas**
 *
 * A stack that ends with a layer of your own that takes a model is shared by reference as well: provided twice, one around
 * the other, both are the same. Wrap it in `Layer.fresh`.
 *
 * **Example** (Independent samples of a cache)
 *
 * ```ts
 * import { Independent, LlmModel, Persistent } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const mock = LlmModel.layer({
 *   model: "mock",
 *   generate: ({ prompt, n }) => Effect.succeed({ samples: Array(n).fill(`You said: ${prompt}`) })
 * })
 *
 * const model = LlmModel.stack(Independent.layer, Persistent.layer({ directory: "~/.llm_cache" }), mock)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const stack: <const Layers extends Stack.Layers>(
  ...layers: Layers & Stack.Checked<Layers>
) => Layer.Layer<Layer.Success<Layers[number]>, Layer.Error<Layers[number]>, Stack.Services<Layers>> = Stack
  .stack as never

/**
 * Retries the requests of the model beneath, as the models of `@llm-cache/providers` do by themselves.
 *
 * **Details**
 *
 * Put it over a model made from a function. `Retry` has its rules and its default schedule, about a minute. The tries of a
 * request are one request, and each wait is an event, `RequestRetried`. Over another `LlmModel.retry`, only the inner one
 * counts.
 *
 * **Example** (A model of your own that tries each request three times)
 *
 * ```ts
 * import { LlmModel, Persistent, SampleError } from "@llm-cache/core"
 * import { Effect, Schedule } from "effect"
 *
 * const flaky = LlmModel.layer({
 *   model: "flaky",
 *   generate: () => Effect.fail(SampleError.providerError("ServerFault", { provider: "flaky" }))
 * })
 *
 * const model = LlmModel.stack(
 *   Persistent.layer({ directory: "~/.llm_cache" }),
 *   LlmModel.retry(Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 2 }))),
 *   flaky
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const retry = (
  schedule?: Schedule.Schedule<unknown, ProviderError>
): Layer.Layer<LlmModel, never, LlmModel> =>
  overModel("LlmModel.retry", () =>
    Effect.map(modelBeneath("LlmModel.retry", LlmModel), (model) => {
      const retry = Retry.make(schedule)
      // The request retries, not the draw, so that its tries are one request in events and in `Usage`.
      const draw: Model["draw"] = (key, position, batch, options) =>
        Effect.provideService(
          model.draw(key, position, batch, options && { ...options, of: model.draw }),
          CurrentRetry,
          retry
        )
      return Context.make(LlmModel, fromDraw({ ...model, draw, peek: model.peek }))
    }))

/**
 * Completes a model by `sample`, given its draw.
 *
 * **Details**
 *
 * A model that wraps another need not pass on the options of a draw. It has a `peek` only if one is given: `peek` is not enumerable, so a spread leaves it out.
 *
 * **Example** (A layer that counts the samples of the model beneath)
 *
 * ```ts
 * import { LlmModel } from "@llm-cache/core"
 * import { Effect, Layer } from "effect"
 *
 * const counting = (count: (samples: number) => void) =>
 *   Layer.fresh(Layer.effect(
 *     LlmModel.LlmModel,
 *     Effect.map(LlmModel.LlmModel, (model) =>
 *       LlmModel.fromDraw({
 *         ...model,
 *         draw: (...args) => Effect.tap(model.draw(...args), (drawn) => Effect.sync(() => count(drawn.length)))
 *       }))
 *   ))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromDraw = (model: Omit<Model, "sample">): Model => {
  const made: Model = {
    ...model,
    draw: (key, position, batch, options) =>
      model.draw(key, position, batch, options?.of === made.draw ? options : undefined),
    sample: (prompt, options) => sampling(() => made, prompt, options, text)
  }
  return Object.defineProperty(made, "peek", { value: model.peek, enumerable: false })
}

/**
 * The first `n` samples of a key in one step, if the model has them all at hand: the shortest way to recorded samples.
 *
 * **Details**
 *
 * It reads by `Model.peek`, which raises no events. So it returns `undefined` in programs that observe events, and wherever a
 * sample has to be drawn.
 *
 * @category accessors
 * @since 0.1.0
 */
export const peek: (model: Model, key: Key, n: number) => Effect.Effect<Samples | undefined> = peekSamples

/**
 * The first `n` samples of a key, as `sampleManyWithMetadata` draws those of a prompt.
 *
 * **When to use**
 *
 * Use it in a server or a tool that has keys. The key names the fork, whatever fork the fiber runs in. The samples keep their
 * origins.
 *
 * **Example** (A sample of a fork)
 *
 * ```ts
 * import { Key, LlmModel } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const draft = Effect.gen(function*() {
 *   const model = yield* LlmModel.LlmModel
 *   return yield* LlmModel.draw(model, new Key.Key(model.identity, "Write a poem.", ["drafts"]), 1)
 * })
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const draw: (
  model: Model,
  key: Key,
  n: number
) => Effect.Effect<ReadonlyArray<Drawn>, SampleError> = drawSamples

// -----------------------------------------------------------------------------
// accessors
// -----------------------------------------------------------------------------

const ofModel = accessors(LlmModel)

/**
 * The samples of a prompt, without end.
 *
 * **Example** (Two samples)
 *
 * ```ts
 * import { LlmModel } from "@llm-cache/core"
 * import { Stream } from "effect"
 *
 * const two = LlmModel.sample("Choose a number between 1 and 1000.").pipe(
 *   Stream.take(2),
 *   Stream.runCollect
 * )
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const sample: Accessors<LlmModel>["sample"] = ofModel.sample

/**
 * The first sample of a run.
 *
 * **Example** (An answer)
 *
 * ```ts
 * import { LlmModel } from "@llm-cache/core"
 * import { Console, Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const answer = yield* LlmModel.sampleOne("Choose a number between 1 and 1000.")
 *   yield* Console.log(answer) // "92"
 * })
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleOne: Accessors<LlmModel>["sampleOne"] = ofModel.sampleOne

/**
 * The first `n` samples of a run.
 *
 * **Details**
 *
 * Missing samples are requested in batches of `batch`, by default as many as are still missing. If it fails or is
 * interrupted, it returns none of the samples, and under `Independent` the next draws get them. For an `n` of 0 it
 * returns none.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleMany: Accessors<LlmModel>["sampleMany"] = ofModel.sampleMany

/**
 * The samples of a prompt, without end, with their metadata: finish reason, tokens, request.
 *
 * **Details**
 *
 * The draws are those of `sample`. The tokens are those of a whole request, see `Metadata`; `Usage` adds them up.
 *
 * **Example** (Samples that are not cut off)
 *
 * ```ts
 * import { LlmModel } from "@llm-cache/core"
 * import { Stream } from "effect"
 *
 * const finished = LlmModel.sampleWithMetadata("Choose a number between 1 and 1000.").pipe(
 *   Stream.filter(({ metadata }) => metadata.finishReason === "stop"),
 *   Stream.take(2),
 *   Stream.runCollect
 * )
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleWithMetadata: Accessors<LlmModel>["sampleWithMetadata"] = ofModel.sampleWithMetadata

/**
 * The first sample of a run, with its metadata.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleOneWithMetadata: Accessors<LlmModel>["sampleOneWithMetadata"] = ofModel.sampleOneWithMetadata

/**
 * The first `n` samples of a run, with their metadata. See `sampleMany`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleManyWithMetadata: Accessors<LlmModel>["sampleManyWithMetadata"] = ofModel.sampleManyWithMetadata
