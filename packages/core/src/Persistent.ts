/**
 * Persistent sampling: Repeatable, with a store for memory that outlives the program.
 *
 * **When to use**
 *
 * Use to make a run reproducible, cheap to repeat and possible to resume. Two of them nested make a slice: the upper
 * one's store holds exactly what the run used.
 *
 * **Details**
 *
 * - Directly above a provider, every sample of a request is in the store before the first of them is handed out.
 * - Above a model that remembers, position by position what that model has: in a slice, `slice[i]` is `big[i]`.
 * - Above `Independent`, the store keeps the positions its samples had there, and after a restart goes on behind them.
 *   So do the draws of `Independent` itself, and of other stores above it, as long as both are built before they draw.
 * - A draw that is interrupted while it waits is still recorded when its request comes back.
 * - When a request's samples cannot be stored, the draw fails with a `StoreError`, and the next draws store and hand out
 *   these samples before any other is bought.
 * - In replication the model beneath is never asked: a missing sample is a `ReplicationCacheMiss`, and the store is not
 *   written. So it does not find what a killed process had bought and not yet stored, either: run once without.
 * - Above a shared reader, the first draw of a prompt reads all that is recorded of it, and a damaged sample fails them all.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Identity from "./Identity.ts"
import { withAtHand } from "./internal/model/atHand.ts"
import { cacheMiss } from "./internal/model/cacheMiss.ts"
import { refusing } from "./internal/model/excludeFinishReasons.ts"
import { remember } from "./internal/model/remember.ts"
import { repeatableContext } from "./internal/model/repeatableContext.ts"
import type { InvalidInput } from "./InvalidInput.ts"
import * as LlmModel from "./LlmModel.ts"
import type { RepeatableModel } from "./RepeatableModel.ts"
import { StoreError } from "./SampleError.ts"
import * as SampleStore from "./SampleStore.ts"

/**
 * How a cache is used.
 *
 * @category options
 * @since 0.1.0
 */
export interface StoreOptions {
  /**
   * Answer from the store alone, and fail with a `ReplicationCacheMiss` where it has no sample.
   *
   * @default false
   */
  readonly replication?: boolean | undefined
  /**
   * Let one process at a time buy what several are missing: who comes second waits for what the first one stores, instead
   * of buying it too. This is how long it waits, at the most, for one that has died: a lease is kept alive as long as its
   * purchase takes. Needs a store that has leases (SQLite, SQL and Redis have).
   *
   * @default no leases: what two processes buy at once is all kept, one behind the other
   */
  readonly lease?: Duration.Input | undefined
  /**
   * The finish reasons, in the provider's words, of samples that are recorded and not handed out: `content_filter`
   * (OpenAI), `refusal` (Anthropic) for answers that a content policy cut off, `length`, `max_tokens` for those that
   * reached the limit of tokens. Each of the other samples moves up, and more are drawn for them. A draw fails when
   * ten samples in a row that it has bought were refused, what its first request brought beyond one not counted; the next
   * draw goes on behind them.
   *
   * To leave samples out is to sample another distribution: that of the answers *given* that they are not refused. A
   * success rate is then that among finished answers, and a limit of tokens becomes a preference for short ones. Where
   * that is not what is to be measured, hand all out and let the program say what it makes of them. The refused ones stay
   * in the store, and `Usage` and `Events` tell how many there were.
   *
   * A cache above this one has its samples without the refused ones: keep `refuse` as it is as long as such a cache is
   * used, and give it in replication too.
   *
   * @default none: every sample is handed out
   */
  readonly refuse?: ReadonlyArray<string> | undefined
}

/**
 * A cache in a directory.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends StoreOptions {
  /** The root of the cache, see `SampleStore.layerDirectory`. A `~` at its start is the home folder. */
  readonly directory: string
}

/**
 * A cache in a directory, and the distribution whose samples it is to give.
 *
 * @category options
 * @since 0.1.0
 */
export interface ReplicationOptions extends Identity.Options, Pick<StoreOptions, "refuse"> {
  /** The root of the cache, see `SampleStore.layerDirectory`. A `~` at its start is the home folder. */
  readonly directory: string
}

/**
 * A cache of which configuration tells where it is, and whether it replicates.
 *
 * @category options
 * @since 0.1.0
 */
export interface ConfigOptions extends Pick<StoreOptions, "refuse"> {
  /** @default `LLM_CACHE_DIRECTORY` */
  readonly directory?: string | Config.Config<string> | undefined
  /** @default `LLM_CACHE_REPLICATION`, `true` or `false`, and `false` where that is not set */
  readonly replication?: boolean | Config.Config<boolean> | undefined
}

/**
 * Makes a persistent model of a model and a store. Purchases under way end when the scope closes.
 *
 * **Details**
 *
 * Fails with a `StoreError` where the model beneath draws by a shared reader from the same store: what the reader hands
 * out would be recorded as the sequence that it reads.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  source: LlmModel.Model,
  store: SampleStore.Store,
  options?: StoreOptions
): Effect.fn.Return<LlmModel.Model, StoreError, Scope.Scope> {
  if (source.stores.get(store.id)?.isShared) {
    return yield* new StoreError({
      kind: "InvalidName",
      store: store.id,
      operation: "open",
      description: "an Independent model beneath reads from this store already: give each of the two a store of its own"
    })
  }
  const expiry = options?.lease === undefined ? undefined : Duration.toMillis(options.lease)
  if (expiry !== undefined && !(expiry >= 1 && expiry <= Number.MAX_SAFE_INTEGER && store.leases !== undefined)) {
    return yield* new StoreError({
      kind: "InvalidName",
      store: store.id,
      operation: "open",
      description: store.leases === undefined
        ? "this store has no leases: leave out `lease`, or use a store that several processes share, as SQLite is"
        : `a lease of ${expiry} ms ends at once, or never: give a time of at least a millisecond, and some minutes at most`
    })
  }
  const scope = yield* Effect.scope
  const { draw, recall, recorded, restore, settle, texts } = remember({
    source,
    store,
    refill: false,
    name: store.id,
    scope,
    lease: store.leases && expiry !== undefined ? { leases: store.leases, expiry } : undefined,
    onMissing: options?.replication ? (key, position) => cacheMiss(store, key, position) : undefined
  })
  if (source.attach !== undefined) yield* source.attach(recall)
  // The last chance for what could not be stored when it was bought.
  yield* Effect.addFinalizer(() =>
    Effect.tapError(
      settle,
      (error) => Effect.logError("Samples that were bought could not be stored, and are lost", error)
    ).pipe(Effect.ignore)
  )
  const model = LlmModel.fromDraw({
    identity: source.identity,
    sequence: "remembered",
    requestSize: () => 1,
    giveBack: undefined,
    stores: new Map([...source.stores, [store.id, { isShared: false }]]),
    draw: withAtHand(draw, { recorded, texts }),
    restore,
    attach: source.attach
  })
  const { refuse = [] } = options ?? {}
  return refuse.length === 0 ? model : refusing(model, store, refuse)
})

/**
 * Caches the model beneath in a `SampleStore`.
 *
 * **Gotchas**
 *
 * Effect shares a composed layer by reference: provided with its store as one layer to two models, it is built once, over
 * the first of them. Compose it anew for each model.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStore = (
  options?: StoreOptions
): Layer.Layer<
  LlmModel.LlmModel | RepeatableModel,
  StoreError,
  LlmModel.LlmModel | SampleStore.SampleStore
> =>
  Layer.fresh(Layer.effectContext(Effect.gen(function*() {
    const model = yield* make(yield* LlmModel.LlmModel, yield* SampleStore.SampleStore, options)
    return repeatableContext(model)
  })))

/**
 * Caches the model beneath in a directory.
 *
 * **Example** (Across runs of the program)
 *
 * ```ts
 * import { LlmModel, Persistent } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const program = LlmModel.sampleOne("Choose a number between 1 and 1000.").pipe(
 *   Effect.provide(Persistent.layer({ directory: "~/.llm_cache" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<LlmModel.LlmModel | RepeatableModel, StoreError, LlmModel.LlmModel> =>
  Layer.fresh(Layer.provide(layerStore(options), SampleStore.layerDirectory(options.directory)))

/**
 * Answers from a `SampleStore` alone: no model, no HTTP client and no key is needed.
 *
 * **Gotchas**
 *
 * The distribution has to be named as it was when it was recorded, `parameters` included. For a provider's layer these
 * are its `parameters`, and its `system` text under the name `system`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStoreReplication = (
  options: Identity.Options & Pick<StoreOptions, "refuse">
): Layer.Layer<LlmModel.LlmModel | RepeatableModel, InvalidInput | StoreError, SampleStore.SampleStore> =>
  Layer.effectContext(Effect.gen(function*() {
    const identity = yield* Identity.make(options)
    const model = yield* make(nothing(identity), yield* SampleStore.SampleStore, {
      replication: true,
      refuse: options.refuse
    })
    return repeatableContext(model)
  }))

/**
 * Answers from a directory alone, see `layerStoreReplication`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerReplication = (
  options: ReplicationOptions
): Layer.Layer<LlmModel.LlmModel | RepeatableModel, InvalidInput | StoreError> =>
  Layer.provide(layerStoreReplication(options), SampleStore.layerDirectory(options.directory))

const nothing = (identity: Identity.Identity): LlmModel.Model =>
  LlmModel.fromDraw({
    identity,
    sequence: "remembered",
    requestSize: () => 1,
    draw: () => Effect.die(new Error("a replicating cache asked its model")),
    restore: undefined,
    giveBack: undefined,
    stores: new Map()
  })

/**
 * Caches the model beneath as configuration says, so that a finished program can be pointed at another cache, or be
 * switched to replication, from outside.
 *
 * **Details**
 *
 * Reads `LLM_CACHE_DIRECTORY`, and `LLM_CACHE_REPLICATION` (`true` or `false`, default `false`). Each can be given in
 * `options` instead, as it is or as a `Config`. What is refused is part of what the program means, and given in code. It is built
 * asynchronously, because it loads `effect/Config` only when it is.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: ConfigOptions = {}
): Layer.Layer<LlmModel.LlmModel | RepeatableModel, Config.ConfigError | StoreError, LlmModel.LlmModel> =>
  Layer.unwrap(Effect.gen(function*() {
    // Config brings all of Schema, which a program that does not use it need not load.
    const Config = yield* Effect.promise(() => import("effect/Config"))
    const resolve = <A>(value: A | Config.Config<A>) => Config.isConfig(value) ? value : Effect.succeed(value)
    return layer({
      directory: yield* resolve(options.directory ?? Config.NonEmptyString("LLM_CACHE_DIRECTORY")),
      replication: yield* resolve(
        options.replication ?? Config.Boolean("LLM_CACHE_REPLICATION").pipe(Config.withDefault(false))
      ),
      refuse: options.refuse
    })
  }))
