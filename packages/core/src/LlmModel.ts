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
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { Events } from "./Events.ts"
import * as Identity from "./Identity.ts"
import { Listeners } from "./internal/events/listeners.ts"
import { type AnyFiber, isObserved } from "./internal/events/observe.ts"
import { memoizeLast } from "./internal/memoizeLast.ts"
import { atHandOf } from "./internal/model/atHand.ts"
import { CurrentFork } from "./internal/model/currentFork.ts"
import { keyOf } from "./internal/model/keyOf.ts"
import { makeBuying } from "./internal/model/requests.ts"
import { fetch, type Prefetched, type PrefetchOptions, type Wanted } from "./internal/prefetch.ts"
import { InvalidInput } from "./InvalidInput.ts"
import { Key } from "./Key.ts"
import type { Drawn, Entry } from "./Sample.ts"
import type { SampleError } from "./SampleError.ts"

/**
 * How many samples a request to a provider asks for.
 *
 * @category options
 * @since 0.1.0
 */
export interface SampleOptions {
  /**
   * How many samples are bought at a time when one has to be bought. A provider's `maxBatch` splits it into evenly
   * filled requests, each sent only when the consumer needs it.
   *
   * @default 1
   */
  readonly batch?: number | undefined
}

/**
 * What a model does.
 *
 * @category models
 * @since 0.1.0
 */
export interface Model {
  /** The distribution that is sampled. */
  readonly identity: Identity.Identity
  /**
   * The samples of a prompt, without end: the consumer decides how many it takes, and no more are drawn. Running the
   * stream again is a new run. It is made of `draw`: a model that wraps another changes `draw`, by `fromDraw`.
   */
  readonly sample: (prompt: string, options?: SampleOptions) => Stream.Stream<string, SampleError>
  /**
   * Which sequence the runs of a prompt read: each a `"new"` one (a provider), all the same `"remembered"` one
   * (Repeatable, Persistent), or together a `"shared"` one, each element once (Independent).
   */
  readonly sequence: "new" | "remembered" | "shared"
  /**
   * The draw beneath `sample`: takes samples from the sequence of a key, at least one.
   *
   * **Details**
   *
   * - `"remembered"`: exactly the sample at `position`.
   * - `"shared"`: exactly one, the next that no one has; `position` is not looked at.
   * - `"new"`: one purchase of `requestSize(batch)` samples; it may bring fewer or more. `position` is not looked at.
   *
   * A draw that fails uses up no position.
   */
  readonly draw: (
    key: Key,
    position: number,
    batch: number
  ) => Effect.Effect<Arr.NonEmptyReadonlyArray<Drawn>, SampleError>
  /**
   * How many samples a draw asks for when `missing` are wanted. 1 for every model that is not `"new"`.
   */
  readonly requestSize: (missing: number) => number
  /**
   * Tells the model that samples were drawn from it in an earlier run of the program and recorded at these positions,
   * so that it does not hand them out again. Absent where that cannot happen.
   */
  readonly restore: ((key: Key, entries: ReadonlyArray<Entry>) => Effect.Effect<void, SampleError>) | undefined
  /**
   * Has the model run `recall`, which `restore`s what was recorded of a key, before it draws of that key for the first
   * time: also a draw that does not come through who recorded it then goes on behind what was recorded. Ends with the
   * scope. Absent where `restore` is.
   */
  readonly attach?:
    | ((recall: (key: Key) => Effect.Effect<void, SampleError>) => Effect.Effect<void, never, Scope.Scope>)
    | undefined
  /**
   * Gives back samples that were drawn and that no one got, so that the next draws get them. Absent where every run
   * gets them again anyway, or never.
   */
  readonly giveBack: ((key: Key, drawn: ReadonlyArray<Drawn>) => Effect.Effect<void>) | undefined
  /**
   * The stores beneath, by their ids, and whether a shared reader is between this model and the store.
   */
  readonly stores: ReadonlyMap<string, { readonly isShared: boolean }>
}

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
 * What `generate` is asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface GenerateRequest {
  readonly prompt: string
  /** How many samples. */
  readonly n: number
}

/**
 * What `generate` answers.
 *
 * **Details**
 *
 * It may be fewer samples than were asked for (the rest is asked for again) or more (all are kept), and is not empty.
 * The counts are those of the whole request.
 *
 * @category models
 * @since 0.1.0
 */
export interface Generation {
  readonly samples: ReadonlyArray<string | { readonly text: string; readonly finishReason?: string | undefined }>
  /** The model's name as the provider gives it. */
  readonly model?: string | undefined
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  /**
   * Whether the provider brought one sample because it does not look at `n`. From then on it is asked for one at a time,
   * by up to `concurrency` requests at once.
   *
   * @default false
   */
  readonly ignoresN?: boolean | undefined
}

/**
 * How a model is made.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<R = never> extends Identity.Options {
  /** Asks for `n` independent samples of a prompt. Called once per purchase, in a scope of its own. */
  readonly generate: (request: GenerateRequest) => Effect.Effect<Generation, SampleError, R>
  /**
   * The most samples that one call of `generate` may be asked for.
   *
   * @default no limit
   */
  readonly maxBatch?: number | undefined
  /**
   * How many requests are sent at once for one draw of several samples, to a provider that takes one sample per request:
   * where `maxBatch` is 1, or an answer had `ignoresN`. Of a larger batch, the next ones are sent when the consumer needs them.
   *
   * @default 1
   */
  readonly concurrency?: number | undefined
  /**
   * The provider's name, for spans and metrics. OpenTelemetry names the well-known ones: `openai`, `anthropic`, ….
   *
   * @default none
   */
  readonly provider?: string | undefined
}

/**
 * Makes a model from a function that generates samples. Every run of its `sample` is a new sequence of draws.
 *
 * **Details**
 *
 * A text with a lone surrogate cannot be stored as UTF-8; each is replaced by U+FFFD before anyone sees the sample.
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
  if (maxBatch !== Infinity) yield* checkCount("maxBatch", maxBatch)
  if (concurrency !== undefined) yield* checkCount("concurrency", concurrency)
  const services = yield* Effect.context<Exclude<R, Scope.Scope>>()
  // The fork, the spans and the log of a request are those of who samples. All else is of where the model was made.
  // One caller mostly asks for many requests.
  const inContext = memoizeLast((caller: Context.Context<never>) =>
    Context.merge(Context.merge(caller, services), ambient(caller))
  )
  const withServices = <A, E>(self: Effect.Effect<A, E, Exclude<R, Scope.Scope>>): Effect.Effect<A, E> =>
    Effect.updateContext(self, inContext)
  return fromDraw({
    identity,
    sequence: "new",
    ...makeBuying(identity, options, withServices),
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
 * Completes a model by `sample`, given its draw.
 *
 * **Example** (A layer that counts what the model beneath hands out)
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
 *         draw: (key, position, batch) =>
 *           Effect.tap(model.draw(key, position, batch), (drawn) => Effect.sync(() => count(drawn.length)))
 *       }))
 *   ))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromDraw = (model: Omit<Model, "sample">): Model => ({
  ...model,
  sample: (prompt, options) => sampling(() => model, prompt, options)
})

const textsOf = (drawn: Arr.NonEmptyReadonlyArray<Drawn>): Arr.NonEmptyReadonlyArray<string> =>
  drawn.length === 1 ? [drawn[0].text] : Arr.map(drawn, ({ text }) => text)

const sampling = (
  modelOf: (fiber: AnyFiber) => Omit<Model, "sample">,
  prompt: string,
  options: SampleOptions | undefined
): Stream.Stream<string, SampleError> =>
  Stream.fromPull(Effect.withFiberSucceed((fiber) => {
    const batch = options?.batch ?? 1
    const model = modelOf(fiber)
    const key = isCount(batch) ? keyOf(fiber, model.identity, prompt) : noCount("batch", batch)
    return key instanceof Key ? run(model, key, { batch, n: Infinity }, textsOf) : Effect.fail(key)
  }))

/** How much a run takes. */
interface Extent {
  /** How many samples, `Infinity` where the consumer decides. */
  readonly n: number
  /** How many are bought at a time: where absent, all that are missing. */
  readonly batch: number | undefined
}

// The draws of one run, one after the other. How many samples each wants depends on how many there were, and on how many
// the last request brought less than it was asked for. Where reading is no act, more than one are read at a time.
const run = <A>(
  model: Omit<Model, "sample">,
  key: Key,
  { batch, n }: Extent,
  handOut: (drawn: Arr.NonEmptyReadonlyArray<Drawn>) => A
): Effect.Effect<A, SampleError> => {
  let position = 0
  let owed = 0
  const found = (drawn: Arr.NonEmptyReadonlyArray<Drawn>): A => {
    position += drawn.length
    return handOut(drawn)
  }
  const hand = atHandOf(model.draw)
  const taking = hand?.taking
  const draw = () => {
    const wanted = batch === undefined ? n - position : owed > 0 ? owed : batch
    if (taking !== undefined) {
      let taken: A
      return Effect.map(taking(key, position, wanted, (drawn) => taken = found(drawn)), () => taken)
    }
    return Effect.map(model.draw(key, position, wanted), (drawn) => {
      owed = Math.max(0, model.requestSize(wanted) - drawn.length)
      return found(drawn)
    })
  }
  if (hand?.now === undefined && hand?.recorded === undefined) return Effect.suspend(draw)
  const { recorded } = hand
  const now = hand.now?.(key)
  // A consumer who takes much of a run takes it in few steps, and for one who takes little not much is read in vain.
  let mostNow = firstNow
  let mostRecorded = firstRecorded
  return Effect.withFiber((fiber) => {
    if (isObserved(fiber)) return draw()
    if (now !== undefined) {
      const drawn = now(position, n === Infinity ? mostNow : n - position)
      mostNow = longer(mostNow)
      if (Arr.isReadonlyArrayNonEmpty(drawn)) return Effect.succeed(found(drawn))
    }
    const most = n === Infinity ? mostRecorded : n - position
    mostRecorded = longer(mostRecorded)
    if (recorded === undefined || most === 1) return draw()
    return Effect.flatMap(
      recorded(key, position, most),
      (drawn) => Arr.isReadonlyArrayNonEmpty(drawn) ? Effect.succeed(found(drawn)) : draw()
    )
  })
}

// How many samples are read at the first step of a run that may end at any: of those in memory, and of those in a store.
const firstNow = 128
const firstRecorded = 1

const longer = (step: number): number => Math.min(step * 4, 4096)

// -----------------------------------------------------------------------------
// accessors
// -----------------------------------------------------------------------------

/**
 * Samples from the model of a service.
 *
 * @category models
 * @since 0.1.0
 */
export interface Accessors<Service> {
  /** The samples of a prompt, without end. */
  readonly sample: (prompt: string, options?: SampleOptions) => Stream.Stream<string, SampleError, Service>
  /** The first sample of a run. */
  readonly sampleOne: (prompt: string) => Effect.Effect<string, SampleError, Service>
  /**
   * The first `n` samples of a run. What has to be bought is bought in batches of `batch`, by default as many as are
   * still missing. When it fails or is interrupted, no one has got any of the samples, and under `Independent` the next
   * draws get them.
   */
  readonly sampleMany: (
    prompt: string,
    n: number,
    options?: SampleOptions
  ) => Effect.Effect<Array<string>, SampleError, Service>
}

/**
 * Makes the accessors of a service that is a model.
 *
 * @category constructors
 * @since 0.1.0
 */
export const accessors = <Service>(service: Context.Key<Service, Model>): Accessors<Service> => ({
  sample: (prompt, options) => {
    const ofService = (fiber: AnyFiber) => Context.getUnsafe(fiber.context, service)
    return sampling(ofService, prompt, options)
  },
  sampleOne: (prompt) =>
    Effect.flatMap(Effect.service(service), (model) =>
      Effect.withFiber((fiber) => {
        const key = keyOf(fiber, model.identity, prompt)
        if (!(key instanceof Key)) return Effect.fail(key)
        const hand = isObserved(fiber) ? undefined : atHandOf(model.draw)
        const text = hand?.now?.(key)(0, 1)[0]?.text ?? hand?.texts?.(key, 0, 1)[0]
        return text !== undefined
          ? Effect.succeed(text)
          : Effect.map(model.draw(key, 0, 1), (drawn) => drawn[0].text)
      })),
  sampleMany: Effect.fnUntraced(function*(prompt, n, options) {
    yield* checkCount("n", n)
    const { batch } = options ?? {}
    if (batch !== undefined) yield* checkCount("batch", batch)
    const model = yield* Effect.service(service)
    const { key, texts } = yield* Effect.withFiber((fiber) => {
      const key = keyOf(fiber, model.identity, prompt)
      if (!(key instanceof Key)) return Effect.fail(key)
      const hand = isObserved(fiber) ? undefined : atHandOf(model.draw)
      return Effect.succeed({ key, texts: hand?.texts?.(key, 0, n) })
    })
    if (texts?.length === n) return texts
    const drawn: Array<Drawn> = []
    // In one step with what takes them, so that all are given back.
    const draw = run(model, key, { batch, n }, (some) => {
      for (const one of some) if (drawn.length < n) drawn.push(one)
    })
    const draws = Effect.whileLoop({
      while: () => drawn.length < n,
      body: () => draw,
      step: () => {}
    })
    yield* model.giveBack === undefined ? draws : Effect.onError(draws, () => model.giveBack!(key, drawn))
    return drawn.map(({ text }) => text)
  })
})

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
 * @category accessors
 * @since 0.1.0
 */
export const sampleOne: Accessors<LlmModel>["sampleOne"] = ofModel.sampleOne

/**
 * The first `n` samples of a run.
 *
 * **Details**
 *
 * What has to be bought is bought in batches of `batch`, by default as many as are still missing. When it fails or is
 * interrupted, no one has got any of the samples, and under `Independent` the next draws get them.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleMany: Accessors<LlmModel>["sampleMany"] = ofModel.sampleMany

export type { Prefetched, PrefetchOptions, Wanted } from "./internal/prefetch.ts"

/**
 * Fills a cache ahead of a run: draws so many samples of each prompt, from the first ones on.
 *
 * **Details**
 *
 * What the cache has is not bought again, so a prefetch that was stopped goes on where it was when it is run again. A
 * prompt that the provider brings no sample for is passed over, and told in `failed`; a bad key, a store that fails and
 * a miss in replication end it. Each prompt is drawn in the fork that the prefetch runs in.
 *
 * Fails with an `InvalidInput` where the model is no cache, because its draws would be lost.
 *
 * **Example** (A thousand prompts, ten samples each)
 *
 * ```ts
 * import { LlmModel, Persistent } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const prompts = Array.from({ length: 1000 }, (_, i) => ({ prompt: `Is ${i} prime?`, n: 10 }))
 *
 * const program = LlmModel.prefetch(prompts, {
 *   concurrency: 32,
 *   onProgress: ({ done, rate, total }) => Effect.log(`${done} of ${total}, ${rate} per second`)
 * }).pipe(Effect.provide(Persistent.layer({ directory: "~/.llm_cache" })))
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const prefetch = Effect.fnUntraced(function*(
  wanted: Iterable<Wanted>,
  options: PrefetchOptions = {}
): Effect.fn.Return<Prefetched, SampleError, LlmModel> {
  const items = Array.from(wanted, ({ n = 1, prompt }) => ({ n, prompt }))
  yield* Effect.forEach(items, ({ n }) => checkCount("n", n), { discard: true })
  const { batch, concurrency } = options
  if (batch !== undefined) yield* checkCount("batch", batch)
  if (concurrency !== undefined) yield* checkCount("concurrency", concurrency)
  return yield* fetch(yield* LlmModel, sampleMany, items, options)
})

const isCount = (count: number): boolean => Number.isSafeInteger(count) && count >= 1

const noCount = (name: string, count: number): InvalidInput =>
  new InvalidInput({ module: "LlmModel", description: `${name} is ${count}: give a whole number of at least 1` })

const checkCount = (name: string, count: number): Effect.Effect<void, InvalidInput> =>
  isCount(count) ? Effect.void : Effect.fail(noCount(name, count))
