/**
 * Persistent sampling: Repeatable, with a store that outlives the program.
 *
 * **When to use**
 *
 * Use to make a program reproducible, cheap to repeat and possible to resume. Two of them nested make a slice: the upper
 * one's store holds exactly the samples that the run used.
 *
 * **Details**
 *
 * - Directly above a provider, every sample of a request is in the store before the first of them is handed out.
 * - Above a model that remembers, position by position the samples of that model: in a slice, `slice[i]` is `big[i]`.
 * - Above `Independent`, the store keeps the positions that its samples had there, and after a restart continues behind
 *   them. So do the draws of `Independent` itself, and of other stores above it, if both are built before they draw.
 * - A draw that is interrupted while it waits is still recorded when its request returns.
 * - If the samples of a request cannot be stored, the draw fails with a `StoreError`, and the next draws store and hand out
 *   these samples before any other is requested. At the end they are written to a rescue file, see `RescueFile`, and the
 *   next run over the store stores them first.
 * - In replication the model beneath is never asked: a missing sample is a `ReplicationCacheMiss`, and the store is not
 *   written. So it does not recover the samples that a killed process had requested and not yet stored, nor those of
 *   rescue files: run once without.
 * - Above a shared reader, the first draw of a prompt reads all its recorded samples, and a damaged one fails them all.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as DirectoryStore from "./DirectoryStore.ts"
import * as Identity from "./Identity.ts"
import { Listeners } from "./internal/events/listeners.ts"
import { makeCache } from "./internal/model/cache.ts"
import type {
  ConfigOptions,
  InProvidedStore,
  InStore,
  Options,
  Place,
  ReplicationOptions,
  StoreOptions,
  WithoutPlace
} from "./internal/model/cacheOptions.ts"
import { excluding } from "./internal/model/excludeFinishReasons.ts"
import { finish } from "./internal/model/finish.ts"
import { lookAhead } from "./internal/model/lookAhead.ts"
import { markOverModel, modelBeneath, notMerged, serviceOr } from "./internal/model/overModel.ts"
import { repeatableContext } from "./internal/model/repeatableContext.ts"
import { replicationMiss } from "./internal/model/replicationMiss.ts"
import { adoptRescued, rescuePending, Reserve } from "./internal/rescue/rescue.ts"
import { rescueFolders } from "./internal/rescue/rescueFiles.ts"
import { InvalidInput } from "./InvalidInput.ts"
import * as LlmModel from "./LlmModel.ts"
import type { RepeatableModel } from "./RepeatableModel.ts"
import type { StoreError } from "./SampleError.ts"
import { SampleStore, type Store } from "./SampleStore.ts"

export type {
  ConfigOptions,
  InDirectory,
  InProvidedStore,
  InStore,
  Options,
  ReplicationOptions,
  StoreOptions
} from "./internal/model/cacheOptions.ts"

/**
 * Makes a persistent model of a model and a store. Requests in flight end when the scope closes.
 *
 * **Details**
 *
 * Fails with an `InvalidInput` if the model beneath draws by a shared reader from the same store, because the reader's
 * draws would be recorded as the sequence that it reads; and for a lease that the store cannot give.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  source: LlmModel.Model,
  store: Store,
  options: StoreOptions = {}
): Effect.fn.Return<LlmModel.Model, InvalidInput, Scope.Scope> {
  const {
    excludeFinishReasons = [],
    finishWithin,
    lease,
    onClose = "interrupt",
    replication,
    rescueDirectory
  } = options
  if (source.stores.get(store.id)?.isShared) {
    return yield* invalid(
      `an Independent model beneath reads from ${store.id} already: give each of the two a store of its own`
    )
  }
  const expiry = lease === undefined ? undefined : toMillis(lease)
  if (expiry !== undefined && store.leases === undefined) {
    return yield* invalid(
      `${store.id} has no leases: leave out \`lease\`, or use a store that several processes share, such as SQLite`
    )
  }
  if (expiry !== undefined && !(expiry >= 1 && expiry <= Number.MAX_SAFE_INTEGER)) {
    return yield* invalid(
      `a \`lease\` of ${expiry} ms ends at once, or never: give at least a millisecond, and some minutes at most`
    )
  }
  if (onClose !== "interrupt" && onClose !== "finish") {
    return yield* invalid(`\`onClose\` ${JSON.stringify(onClose)} is unknown: give "interrupt" or "finish"`)
  }
  const patience = finishWithin === undefined ? undefined : toMillis(finishWithin)
  if (patience !== undefined && !(patience >= 0)) {
    return yield* invalid("`finishWithin` is no duration: give one such as \"30 seconds\"")
  }
  if (rescueDirectory === "" || rescueDirectory?.includes("\0")) {
    return yield* invalid("`rescueDirectory` is empty, or has a NUL character: name a folder, or leave it out")
  }
  if (!Array.isArray(excludeFinishReasons)) {
    return yield* invalid("`excludeFinishReasons` is no array: give one, such as [\"length\"]")
  }
  const scope = yield* Effect.scope
  const requestScope = onClose === "finish" ? yield* Scope.make() : undefined
  const reserve = new Reserve()
  const cache = makeCache({
    source,
    store,
    refill: false,
    name: store.id,
    scope,
    requestScope,
    onAsk: () => reserve.acquire(),
    lease: store.leases && expiry !== undefined ? { leases: store.leases, expiry } : undefined,
    failMissing: replication ? (key, position) => replicationMiss(store, key, position) : undefined
  })
  const { draw, restore, resume } = cache
  if (source.attach !== undefined) yield* source.attach(resume)
  const rescue = { cache, store, folders: rescueFolders(rescueDirectory) }
  const rescued = yield* adoptRescued(
    rescue,
    replication
      ? "replication writes nothing. Run once without it to store them"
      : source.sequence === "remembered"
      ? "this cache has the samples of the model beneath. Merge them into the store that they are to be in"
      : undefined
  )
  // The last chance for samples that the store failed to take.
  yield* Effect.addFinalizer((exit) =>
    Effect.andThen(
      requestScope === undefined ? Effect.void : finish(cache, requestScope, patience, exit),
      rescuePending(rescue, rescued, reserve)
    )
  )
  const { peek } = store
  const model = LlmModel.fromDraw({
    identity: source.identity,
    sequence: "remembered",
    requestSize: () => 1,
    giveBack: undefined,
    stores: new Map([...source.stores, [store.id, { isShared: false }]]),
    leavesSamplesOut: source.leavesSamplesOut,
    draw,
    // A source that wants to be told of recorded samples needs a draw.
    peek: peek && restore === undefined
      ? (key, position, most) => peek(key, position, most === Infinity ? lookAhead(position) : most)
      : undefined,
    restore,
    attach: source.attach
  })
  return excludeFinishReasons.length === 0 ? model : excluding(model, store, excludeFinishReasons)
})

const toMillis = (input: Duration.Input): number =>
  Option.match(Duration.fromInput(input), { onNone: () => NaN, onSome: Duration.toMillis })

const invalid = (description: string) => new InvalidInput({ module: "Persistent", description })

/**
 * Caches the model beneath: in a directory, in a store, or, with neither, in the `SampleStore` that is provided.
 *
 * **Details**
 *
 * Each time it is provided it is a new cache over its place. The layer of a store is shared by reference, as Effect
 * shares layers, so that two caches over one layer use one store.
 *
 * **Gotchas**
 *
 * Effect shares a composed layer by reference: composed with its model, and provided twice, it is built once. Composed
 * with something else and provided to two models, it is built once too, over the first of them: compose it anew for each.
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
 * **Example** (In another store)
 *
 * ```ts
 * import { MemoryStore, Persistent } from "@llm-cache/core"
 *
 * const cache = Persistent.layer({ store: MemoryStore.layer })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: {
  (
    options?: StoreOptions & InProvidedStore
  ): Layer.Layer<LlmModel.LlmModel | RepeatableModel, InvalidInput, LlmModel.LlmModel | SampleStore>
  <E = never, R = never>(
    options: StoreOptions & InStore<E, R>
  ): Layer.Layer<LlmModel.LlmModel | RepeatableModel, InvalidInput | E, LlmModel.LlmModel | R>
  (
    options: Options
  ): Layer.Layer<LlmModel.LlmModel | RepeatableModel, InvalidInput | StoreError, LlmModel.LlmModel>
} = <E, R>(options?: StoreOptions & Place<E, R>) =>
  markOverModel(
    inPlace(
      "Persistent.layer",
      options ?? {},
      (store) =>
        Effect.flatMap(
          modelBeneath("Persistent.layer", LlmModel.LlmModel),
          (model) => make(model, store, options)
        )
    )
  ) as never

/**
 * Answers from a cache alone, in a directory, in a store, or in the `SampleStore` that is provided: no model, no HTTP
 * client and no key is needed.
 *
 * **Gotchas**
 *
 * Name the distribution as it was when it was recorded, `parameters` included. For a provider's layer these are its
 * `parameters`, and its `system` text under the name `system`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerReplication: {
  (
    options: WithoutPlace & InProvidedStore
  ): Layer.Layer<LlmModel.LlmModel | RepeatableModel, InvalidInput, SampleStore>
  <E = never, R = never>(
    options: WithoutPlace & InStore<E, R>
  ): Layer.Layer<LlmModel.LlmModel | RepeatableModel, InvalidInput | E, R>
  (
    options: ReplicationOptions
  ): Layer.Layer<LlmModel.LlmModel | RepeatableModel, InvalidInput | StoreError>
} = <E, R>(options: WithoutPlace & Place<E, R>) => {
  const { excludeFinishReasons, rescueDirectory } = options
  return inPlace("Persistent.layerReplication", options, (store) =>
    Effect.flatMap(
      Identity.make(options),
      (identity) => make(neverAsked(identity), store, { replication: true, excludeFinishReasons, rescueDirectory })
    )) as never
}

const neverAsked = (identity: Identity.Identity): LlmModel.Model =>
  LlmModel.fromDraw({
    identity,
    sequence: "remembered",
    requestSize: () => 1,
    draw: () => Effect.die(new Error("a replicating cache asked its model")),
    restore: undefined,
    giveBack: undefined,
    stores: new Map()
  })

// The layer of the store is built in the program's memo map, which shares it; the cache over it is always new.
const inPlace = <E, R, E2, R2>(
  name: string,
  { directory, store, ...options }: Place<E, R>,
  makeOver: (store: Store) => Effect.Effect<LlmModel.Model, E2, R2 | Scope.Scope>
): Layer.Layer<
  LlmModel.LlmModel | RepeatableModel,
  E | E2 | InvalidInput | StoreError,
  R | SampleStore | Exclude<R2, Scope.Scope>
> =>
  notMerged(name, (memoMap, scope) => {
    const opened: Effect.Effect<Store, E | InvalidInput | StoreError, R | SampleStore> =
      directory !== undefined && store !== undefined
        ? Effect.fail(invalid("both `directory` and `store` are given: leave one out"))
        : directory !== undefined
        ? DirectoryStore.make(directory, options)
        : store === undefined
        ? serviceOr(SampleStore, `${name} has no store: give \`directory\` or \`store\`, or provide a SampleStore`)
        : Effect.isEffect(store)
        ? Effect.fail(invalid("`store` is an effect: give the `layer` of the store's module in place of its `make`"))
        : isLayer(store)
        ? Effect.map(Layer.buildWithMemoMap(store, memoMap, scope), Context.get(SampleStore))
        : Effect.succeed(store)
    return Effect.flatMap(opened, makeOver).pipe(
      Effect.map(repeatableContext),
      Effect.provideService(Scope.Scope, scope)
    )
  })

const isLayer = <E, R>(store: Store | Layer.Layer<SampleStore, E, R>): store is Layer.Layer<SampleStore, E, R> =>
  Layer.isLayer(store)

/**
 * Caches the model beneath as configuration says, so that a finished program can use another cache, or be switched to
 * replication, from outside.
 *
 * **Details**
 *
 * Reads `LLM_CACHE_DIRECTORY`, `LLM_CACHE_REPLICATION` and `LLM_CACHE_TRACE` (`true` or `false`, default `false`). Each can be given in
 * `options` instead, as a value or as a `Config`. Excluded finish reasons are part of the program's meaning, and given in
 * code. The layer is built asynchronously, because it loads `effect/Config` only when it is built.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: ConfigOptions = {}
): Layer.Layer<
  LlmModel.LlmModel | RepeatableModel,
  Config.ConfigError | InvalidInput | StoreError,
  LlmModel.LlmModel
> =>
  markOverModel(Layer.unwrap(Effect.gen(function*() {
    // Config brings all of Schema, which a program that does not use it need not load.
    const Config = yield* Effect.promise(() => import("effect/Config"))
    const resolve = <A>(value: A | Config.Config<A>) => Config.isConfig(value) ? value : Effect.succeed(value)
    const directory = yield* resolve(options.directory ?? Config.NonEmptyString("LLM_CACHE_DIRECTORY"))
    const cached = layer({
      directory,
      replication: yield* resolve(
        options.replication ?? Config.Boolean("LLM_CACHE_REPLICATION").pipe(Config.withDefault(false))
      ),
      excludeFinishReasons: options.excludeFinishReasons,
      finishWithin: options.finishWithin,
      onClose: options.onClose,
      rescueDirectory: options.rescueDirectory
    })
    const isTraced = yield* resolve(options.trace ?? Config.Boolean("LLM_CACHE_TRACE").pipe(Config.withDefault(false)))
    return isTraced ? traced(cached, directory) : cached
  })))

const traced = <E, R>(
  self: Layer.Layer<LlmModel.LlmModel | RepeatableModel, E, R>,
  directory: string
): Layer.Layer<LlmModel.LlmModel | RepeatableModel, E | StoreError, R> =>
  Layer.fromBuild((memoMap, scope) =>
    Effect.gen(function*() {
      const Trace = yield* Effect.promise(() => import("./Trace.ts"))
      const { listener } = yield* Trace.make({ directory })
      const context = yield* Layer.buildWithMemoMap(self, memoMap, scope)
      const model = Context.get(context, LlmModel.LlmModel)
      return repeatableContext(LlmModel.fromDraw({
        ...model,
        // A program with `Events` of its own still has them.
        draw: (key, position, batch, options) =>
          Effect.updateService(
            model.draw(key, position, batch, options && { ...options, most: 1, of: model.draw }),
            Listeners,
            (outer) => [...outer, listener]
          )
      }))
    }).pipe(Effect.provideService(Scope.Scope, scope))
  )
