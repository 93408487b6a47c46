/**
 * An audit of a run: it counts the samples that models hand out per key, and finds samples that an independent model
 * handed out twice.
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
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type { Identity } from "./Identity.ts"
import { IndependentModel } from "./IndependentModel.ts"
import { forkSuffix } from "./internal/errors/forkSuffix.ts"
import { KeyMap } from "./internal/model/keyMap.ts"
import { asOverModel } from "./internal/model/overModel.ts"
import { responsePart } from "./internal/model/responseIds.ts"
import type { Key } from "./Key.ts"
import * as LlmModel from "./LlmModel.ts"
import { RepeatableModel } from "./RepeatableModel.ts"
import type { Drawn } from "./Sample.ts"

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
export class AuditFailure extends Data.TaggedError("AuditFailure")<{
  /** The reports with such samples. */
  readonly faults: Report
}> {
  override get message(): string {
    return this.faults.flatMap(({ handedOut, handedOutTwice, identity, path, prompt, repeatedResponses, watch }) => {
      const samples = `${watch}: of ${handedOut} samples of ${
        JSON.stringify(prompt.slice(0, 50).toWellFormed())
      } (${identity}${forkSuffix(path)})`
      return [
        ...handedOutTwice.length === 0 ? [] : [
          `${samples} those at ${some(handedOutTwice)} were handed out twice. The watched model is not independent: ` +
          "check the layers beneath it"
        ],
        ...repeatedResponses.length === 0 ? [] : [
          `${samples} some came by the responses ${
            some(repeatedResponses)
          }, which came more than once. A cache between ` +
          "the program and the provider answered: turn it off"
        ]
      ]
    }).join("\n")
  }

  /** The fields and the message, for logs. */
  override toJSON(): object {
    return Object.assign({}, this, { message: this.message })
  }
}

const some = (items: ReadonlyArray<number | string>): string =>
  `${items.slice(0, 10).join(", ")}${items.length > 10 ? ", …" : ""}`

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
  /** Fails if an independent model handed out a sample twice. Dies without any watch. */
  readonly check: Effect.Effect<void, AuditFailure>
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
          return Effect.map(
            // One sample at a time, so that the report has only samples that the consumer took.
            Effect.provideService(
              model.draw(key, position, batch, { of: model.draw, onTaken: options?.onTaken }),
              CurrentDraw,
              current
            ),
            (drawn) => {
              const counter = counterOf(key)
              for (const one of drawn) counter.handOut(one, position, !current.hasRequested)
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
    return watches.flatMap(({ counters, name }) =>
      counters.map((counter) => counter.report(name, watchedProviders.has(counter.key.identity.id)))
    )
  })

  const check = Effect.flatMap(report, (reports) => {
    if (watches.length === 0) {
      return Effect.die(
        new Error("This audit watches nothing: build a layer with `Audit.watch` over its `Audit.layer`")
      )
    }
    const faults = reports.filter(({ handedOutTwice, repeatedResponses }) =>
      handedOutTwice.length > 0 || repeatedResponses.length > 0
    )
    return faults.length === 0 ? Effect.void : Effect.fail(new AuditFailure({ faults }))
  })

  return { report, watch, check }
})

// Counts the samples of one key for one watched model.
class KeyCounter {
  readonly key: Key
  readonly #isRemembered: boolean
  /** The samples of each position, without those that came back. */
  readonly #handedOut = new Map<number, { times: number; fromCache: number }>()
  /** The numbers of samples without a position. */
  readonly #numbers = new WeakMap<Drawn, number>()
  #next = 0
  /** For a caching model: the places of each position of the reader beneath it. */
  readonly #places = new Map<number, Set<number>>()
  /** The request of each response part, and the ids of responses that came by another one too. */
  readonly #requests = new Map<string, string | undefined>()
  readonly #repeatedResponses = new Set<string>()

  constructor(key: Key, isRemembered: boolean) {
    this.key = key
    this.#isRemembered = isRemembered
  }

  handOut(drawn: Drawn, asked: number, isFromCache: boolean): void {
    const position = this.#isRemembered ? asked : this.#positionOf(drawn)
    const held = this.#handedOut.get(position)
    if (held === undefined) this.#handedOut.set(position, { times: 1, fromCache: isFromCache ? 1 : 0 })
    else {
      held.times++
      if (isFromCache) held.fromCache++
    }
    this.#noteResponse(drawn)
    const origin = drawn.origins[0]
    if (!this.#isRemembered || origin === undefined) return
    const places = this.#places.get(origin)
    if (places === undefined) this.#places.set(origin, new Set([position]))
    else places.add(position)
  }

  takeBack(drawn: Drawn): void {
    const position = this.#positionOf(drawn)
    const held = this.#handedOut.get(position)
    if (held === undefined) return
    held.times--
    held.fromCache = Math.min(held.fromCache, held.times)
    if (held.times === 0) this.#handedOut.delete(position)
  }

  report(watch: string, isProviderWatched: boolean): KeyReport {
    const { identity, path, prompt } = this.key
    const held = [...this.#handedOut.values()]
    const twice = this.#isRemembered
      ? [...this.#places].filter(([, places]) => places.size > 1)
      : [...this.#handedOut].filter(([, { times }]) => times > 1)
    return {
      watch,
      identity,
      prompt,
      path,
      handedOut: held.reduce((sum, { times }) => sum + times, 0),
      distinct: held.length,
      fromCache: isProviderWatched ? held.reduce((sum, { fromCache }) => sum + fromCache, 0) : undefined,
      handedOutTwice: twice.map(([position]) => position).sort((a, b) => a - b),
      repeatedResponses: [...this.#repeatedResponses]
    }
  }

  #noteResponse(drawn: Drawn): void {
    const part = responsePart(drawn)
    if (part === undefined) return
    const { request, responseId } = drawn.metadata
    if (!this.#requests.has(part)) this.#requests.set(part, request)
    else if (this.#requests.get(part) !== request) this.#repeatedResponses.add(responseId!)
  }

  #positionOf(drawn: Drawn): number {
    if (drawn.origins.length > 0) return drawn.origins[0]!
    let number = this.#numbers.get(drawn)
    if (number === undefined) this.#numbers.set(drawn, number = this.#next++)
    return number
  }
}

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
 * again starts at the first position, and the audit does not compare the two.
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
 * Fails with an `AuditFailure` if an independent model handed out a sample twice. Dies without any watch.
 *
 * @category accessors
 * @since 0.1.0
 */
export const check: Effect.Effect<void, AuditFailure, Audit> = Effect.flatMap(Audit, (audit) => audit.check)

/**
 * Runs an effect, then `check`s if it has succeeded.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | AuditFailure, R | Audit> =>
  Effect.tap(self, check)
