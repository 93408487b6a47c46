/**
 * An audit of a run: it counts the samples that models hand out per key, finds samples that an independent model handed out
 * twice, and draws whose order depends on scheduling.
 *
 * **When to use**
 *
 * Use in tests of programs that rely on independence, and to see how much a run took from its caches.
 *
 * **Details**
 *
 * Put `watch` around a layer to count the samples of its models. One `Audit.layer` reports all its watches together. The
 * report has only watched layers: watch the program's own model layer, and the provider.
 *
 * **Example** (A run that fails if two draws got the same sample)
 *
 * ```ts
 * import { Audit, Independent, LlmModel } from "@llm-cache/core"
 * import { Effect, Layer } from "effect"
 *
 * const mock = LlmModel.layer({
 *   model: "mock",
 *   generate: ({ n }) => Effect.succeed({ samples: Array(n).fill("4") })
 * })
 *
 * const stack = Independent.layer.pipe(
 *   Audit.watch("program"),
 *   Layer.provide(Audit.watch(mock, "provider"))
 * )
 *
 * const audited = Audit.run(LlmModel.sampleMany("A number?", 5)).pipe(
 *   Effect.provide(stack),
 *   Effect.provide(Audit.layer)
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type { Identity } from "./Identity.ts"
import { IndependentModel } from "./IndependentModel.ts"
import { KeyCounter } from "./internal/audit/keyCounter.ts"
import { faultsOf, racesOf } from "./internal/audit/messages.ts"
import { TaggedError } from "./internal/errors/taggedError.ts"
import { KeyMap } from "./internal/model/keyMap.ts"
import { asOverModel } from "./internal/model/overModel.ts"
import { Races } from "./internal/model/races.ts"
import type { Key } from "./Key.ts"
import * as LlmModel from "./LlmModel.ts"
import { RepeatableModel } from "./RepeatableModel.ts"

/**
 * The samples of one key that a watched model handed out.
 *
 * **Details**
 *
 * It does not count samples that came back (from a `sampleMany` that failed or was interrupted), nor failed draws. It
 * counts a sample whose consumer was interrupted later.
 *
 * The positions of a caching model are those of its sequence, and the positions of an `Independent` over it are those of
 * the reader. Samples of a provider, also through an `Independent`, have no position: the audit numbers them in the order
 * of their draws. Two samples with the same text count twice.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyReport {
  /** The name of the watch. */
  readonly watch: string
  readonly identity: Identity
  readonly prompt: string
  /** The fork of the draws, the outermost name first. */
  readonly path: ReadonlyArray<string>
  /** The number of samples. */
  readonly handedOut: number
  /** The number of their different positions. */
  readonly distinct: number
  /**
   * The number of samples from draws without a request of their own: they came from memory, a store, the surplus of an
   * earlier request, or another draw's request. `undefined` if no provider of this identity is watched.
   */
  readonly fromCache: number | undefined
  /**
   * The positions that break independence. An independent model or a provider handed them out more than once. A caching
   * model has them, as positions of the reader beneath it, in two places of its sequence.
   */
  readonly handedOutTwice: ReadonlyArray<number>
  /**
   * The positions whose samples another independent model of the same watch handed out too or, for a caching model, that
   * several independent models above it got. Each of them started at the first position: `Independent.layer` was provided
   * more than once over one cache.
   */
  readonly sharedWithOthers: ReadonlyArray<number>
  /**
   * The number of draws of an independent model that raced with another draw of the key: they overlapped, or their fibers
   * lived at the same time. A replay may give them other samples. Each sample is still handed out once, so `check` only
   * warns of them, and `checkReplay` fails.
   */
  readonly racing: number
  /**
   * The ids of responses that came by more than one request, with the same text: a cache between the program and the
   * provider answered, so their samples are not independent.
   */
  readonly repeatedResponses: ReadonlyArray<string>
}

/**
 * The reports of all keys: by watch in the order of construction, then by key in the order of the first draws. A layer that
 * is built twice is two watches.
 *
 * @category models
 * @since 0.1.0
 */
export type Report = ReadonlyArray<KeyReport>

/**
 * An independent model handed out samples twice, or a provider returned a response twice.
 *
 * @category errors
 * @since 0.1.0
 */
export class AuditFailure extends TaggedError("AuditFailure")<{
  /** The reports with such samples. */
  readonly faults: Report
}> {
  override get message(): string {
    // A layer that is built several times has a watch each, and each has the fault.
    return [...new Set(this.faults.flatMap(faultsOf))].join("\n")
  }
}

/**
 * The service of an audit.
 *
 * @category services
 * @since 0.1.0
 */
export class Audit extends Context.Service<Audit, {
  /** The samples handed out so far. It can run at any time. */
  readonly report: Effect.Effect<Report>
  /** A watched model that draws from this model. The same name and model give the same watched model. */
  readonly watch: (model: LlmModel.Model, name: string) => LlmModel.Model
  /** Fails if independent models handed out a sample twice. Warns of races. Dies without any watch. */
  readonly check: Effect.Effect<void, AuditFailure>
  /** The same, and fails if draws raced. */
  readonly checkReplay: Effect.Effect<void, AuditFailure>
}>()("@llm-cache/core/Audit") {}

// The nested watched draws of a fiber, the innermost first. The fiber of a request inherits them.
interface WatchedDraw {
  readonly outer: WatchedDraw | undefined
  hasRequested: boolean
}

const CurrentDraw = Context.Reference<WatchedDraw | undefined>("@llm-cache/core/Audit/CurrentDraw", {
  defaultValue: () => undefined
})

/**
 * Makes an audit.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Audit["Service"]> = Effect.sync(() => {
  const watches: Array<{
    readonly name: string
    readonly model: LlmModel.Model
    readonly watched: LlmModel.Model
    readonly counters: Array<KeyCounter>
  }> = []

  const watch = (model: LlmModel.Model, name: string): LlmModel.Model => {
    const known = watches.find((one) => one.model === model && one.name === name)
    if (known !== undefined) return known.watched
    const counters: Array<KeyCounter> = []
    const races = new Races()
    const byKey = new KeyMap<KeyCounter>()
    const counterOf = (key: Key): KeyCounter => {
      let counter = byKey.get(key)
      if (counter === undefined) {
        byKey.set(key, counter = new KeyCounter(key, model.sequence === "remembered"))
        counters.push(counter)
      }
      return counter
    }
    const { giveBack } = model
    const watched = LlmModel.fromDraw({
      ...model,
      draw: (key, position, batch, options) =>
        Effect.flatMap(CurrentDraw, (outer) => {
          const current: WatchedDraw = { outer, hasRequested: false }
          if (model.sequence === "new") {
            for (let draw: WatchedDraw | undefined = current; draw !== undefined; draw = draw.outer) {
              draw.hasRequested = true
            }
          }
          // One sample at a time, so that the report has only samples that the consumer took.
          const draw = Effect.provideService(
            model.draw(key, position, batch, { ...options, most: 1, of: model.draw }),
            CurrentDraw,
            current
          )
          return Effect.map(
            model.sequence === "shared"
              ? Effect.withFiber((fiber) => races.watch(key, fiber, draw, Effect.sync(() => counterOf(key).race())))
              : draw,
            (drawn) => {
              const counter = counterOf(key)
              for (const one of drawn) counter.handOut(one, position, !current.hasRequested, options?.reader)
              return drawn
            }
          )
        }),
      // Before the model has them back: then another draw may get them.
      giveBack: giveBack && ((key, drawn) =>
        Effect.suspend(() => {
          for (const one of drawn) counterOf(key).takeBack(one)
          return giveBack(key, drawn)
        }))
    })
    watches.push({ name, model, watched, counters })
    return watched
  }

  const report = Effect.sync(() => {
    const watchedProviders = new Set(
      watches.flatMap(({ model }) => model.sequence === "new" ? [model.identity.id] : [])
    )
    const holders = new Map<string, Map<string, number>>()
    for (const { counters, name } of watches) {
      let ofWatch = holders.get(name)
      if (ofWatch === undefined) holders.set(name, ofWatch = new Map())
      for (const sample of counters.flatMap((counter) => counter.names())) {
        ofWatch.set(sample, (ofWatch.get(sample) ?? 0) + 1)
      }
    }
    return watches.flatMap(({ counters, name }) =>
      counters.map((counter) =>
        counter.report(
          name,
          watchedProviders.has(counter.key.identity.id),
          (sample) => holders.get(name)!.get(sample)! > 1
        )
      )
    )
  })

  const checkFor = (isFault: (report: KeyReport) => boolean) =>
    Effect.flatMap(report, (reports) => {
      if (watches.length === 0) {
        return Effect.die(
          new Error("This audit watches nothing: build a layer with `Audit.watch` over its `Audit.layer`")
        )
      }
      const faults = reports.filter(isFault)
      if (faults.length > 0) return Effect.fail(new AuditFailure({ faults }))
      return Effect.forEach(
        reports.filter(({ racing }) => racing > 0),
        (report) => Effect.logWarning(racesOf(report)),
        { discard: true }
      )
    })

  return {
    report,
    watch,
    check: checkFor(isDependent),
    checkReplay: checkFor((report) => report.racing > 0 || isDependent(report))
  }
})

const isDependent = ({ handedOutTwice, repeatedResponses, sharedWithOthers }: KeyReport): boolean =>
  handedOutTwice.length + repeatedResponses.length + sharedWithOthers.length > 0

/**
 * Provides an audit.
 *
 * **Details**
 *
 * Effect shares a layer by reference, so the watched layers and the program that checks have the same audit. For a second
 * audit in the same program, use `Layer.fresh`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Audit> = Layer.effect(Audit, make)

/**
 * Watches the models of a layer (`LlmModel`, `IndependentModel`, `RepeatableModel`). The name appears in the report.
 *
 * **Details**
 *
 * The result provides all services of the layer and does not change its draws. The layer stays shared as before.
 *
 * **Gotchas**
 *
 * It counts only draws through this layer, not through another model of the same parts. An `Independent` that is built
 * again starts at the first position. The audit compares all that are built under one watch: give a program and its replay
 * an audit each. It knows the samples by their requests, so not those of the Python original, which have none.
 *
 * @category layers
 * @since 0.1.0
 */
export const watch: {
  (name: string): <A, E, R>(self: Layer.Layer<A, E, R> & HasModel<A>) => Layer.Layer<A, E, R | Audit>
  <A, E, R>(self: Layer.Layer<A, E, R> & HasModel<A>, name: string): Layer.Layer<A, E, R | Audit>
} = dual(
  2,
  <A, E, R>(self: Layer.Layer<A, E, R>, name: string): Layer.Layer<A, E, R | Audit> =>
    // Without memoization here, so that the layer keeps its own.
    asOverModel(self, (memoMap, scope) =>
      Effect.flatMap(Audit, (audit) =>
        Effect.map(Layer.buildWithMemoMap(self, memoMap, scope), (models) => {
          const watched = <S>(service: Context.Key<S, LlmModel.Model>) =>
          (models: Context.Context<A>) => {
            const model = Context.getOrUndefined(models as Context.Context<A | S>, service)
            return model === undefined
              ? models
              : Context.add(models, service, audit.watch(model, name)) as typeof models
          }
          return models.pipe(watched(LlmModel.LlmModel), watched(IndependentModel), watched(RepeatableModel))
        })))
)

/**
 * The services that `watch` watches.
 *
 * @category models
 * @since 0.1.0
 */
export type Watchable = LlmModel.LlmModel | IndependentModel | RepeatableModel

/** Accepts only layers that provide a model. */
type HasModel<A> = [Extract<A, Watchable>] extends [never] ? never : unknown

/**
 * The samples handed out so far, by watch and key.
 *
 * @category accessors
 * @since 0.1.0
 */
export const report: Effect.Effect<Report, never, Audit> = Effect.flatMap(Audit, (audit) => audit.report)

/**
 * Fails with an `AuditFailure` if independent models handed out a sample twice. Dies without any watch.
 *
 * **Details**
 *
 * Draws that raced are a warning in the log: they are independent, but a replay may give their samples to other fibers.
 * It sees only races that happen. A model that answers at once may hide them: give it a latency.
 *
 * @category accessors
 * @since 0.1.0
 */
export const check: Effect.Effect<void, AuditFailure, Audit> = Effect.flatMap(Audit, (audit) => audit.check)

/**
 * Fails with an `AuditFailure` also if draws raced, so that a replay may differ. Dies without any watch.
 *
 * **Example** (Two fibers that draw one prompt in one fork)
 *
 * ```ts
 * import { Audit, LlmModel } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const ask = LlmModel.sampleOne("A number?")
 *
 * const fails = Effect.all([ask, ask], { concurrency: 2 }).pipe(Effect.andThen(Audit.checkReplay))
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const checkReplay: Effect.Effect<void, AuditFailure, Audit> = Effect.flatMap(
  Audit,
  (audit) => audit.checkReplay
)

/**
 * Runs an effect, then `check`s if it has succeeded.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | AuditFailure, R | Audit> =>
  Effect.tap(self, check)
