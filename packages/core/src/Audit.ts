/**
 * An audit of a run: what the models of a stack handed out, per key, and whether an independent one handed out a sample
 * twice.
 *
 * **When to use**
 *
 * Use it in tests of programs whose logic relies on independence, and to see what a run took from its caches.
 *
 * **Details**
 *
 * `watch` goes around a layer that provides a model, and counts what that model hands out. Everything that is watched
 * beneath one `Audit.layer` is in one report. What is not watched is not seen: put a watch around the layer that the
 * program draws from, and one around the provider.
 *
 * **Example** (A run that fails when two of its draws are one)
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
import { KeyMap } from "./internal/model/keyMap.ts"
import type { Key } from "./Key.ts"
import * as LlmModel from "./LlmModel.ts"
import { RepeatableModel } from "./RepeatableModel.ts"
import type { Drawn } from "./Sample.ts"

/**
 * What a watched model handed out of one key.
 *
 * **Details**
 *
 * A sample that was given back (by a `sampleMany` that failed or was interrupted) was not handed out, nor was one whose
 * draw failed. A sample handed to a consumer that is then interrupted was.
 *
 * A position is that of the sequence for a model that remembers, and that of the reader for an `Independent` over one.
 * Samples of an `Independent` over a provider, and of a provider, have none: they are told apart by being different
 * objects, and numbered as they come. Two samples with the same text are two.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyReport {
  /** The name of the watch. */
  readonly watch: string
  readonly identity: Identity
  readonly prompt: string
  /** The fork that drew, the outermost name first. */
  readonly path: ReadonlyArray<string>
  /** How many samples were handed out. */
  readonly handedOut: number
  /** How many different positions these have. */
  readonly distinct: number
  /**
   * How many were handed out by draws that sent no request: out of memory, a store, the surplus of an earlier request,
   * or a request that another draw had sent. `undefined` where no provider of this identity is watched, since then it
   * cannot be told.
   */
  readonly fromCache: number | undefined
  /**
   * The positions that were handed out more than once though no one may get them twice: by an independent model or a
   * provider at all; by a model that remembers, the positions of the reader beneath it that it has in two places.
   */
  readonly handedOutTwice: ReadonlyArray<number>
}

/**
 * What was handed out: by watch in the order they were built, by key in the order of the first draws. A layer that is
 * built twice is two watches.
 *
 * @category models
 * @since 0.1.0
 */
export type Report = ReadonlyArray<KeyReport>

/**
 * Samples were handed out twice that no one may get twice.
 *
 * @category errors
 * @since 0.1.0
 */
export class AuditFailure extends Data.TaggedError("AuditFailure")<{
  /** The keys where it happened. */
  readonly faults: Report
}> {
  override get message(): string {
    return this.faults.map(({ handedOut, handedOutTwice, identity, path, prompt, watch }) =>
      `${watch}: of ${handedOut} samples of ${JSON.stringify(prompt.slice(0, 50).toWellFormed())} (${identity}${
        path.length === 0 ? "" : `, fork ${path.join(" > ")}`
      }) those at ${handedOutTwice.slice(0, 10).join(", ")}${
        handedOutTwice.length > 10 ? ", …" : ""
      } were handed out twice. The model that was watched is not independent: look at what draws from it beneath`
    ).join("\n")
  }

  /** What is printed: the message, and the fields. */
  override toJSON(): object {
    return Object.assign({}, this, { message: this.message })
  }
}

/**
 * The service of an audit.
 *
 * @category services
 * @since 0.1.0
 */
export class Audit extends Context.Service<Audit, {
  /** What was handed out so far. It may be asked for at any time. */
  readonly report: Effect.Effect<Report>
  /** A model that draws from this one and is watched. The same one for the same name and model. */
  readonly watch: (model: LlmModel.Model, name: string) => LlmModel.Model
  /** Fails where a sample was handed out twice that no one may get twice. Dies where nothing is watched. */
  readonly check: Effect.Effect<void, AuditFailure>
}>()("@llm-cache/core/Audit") {}

// The watched draws that the fiber is in, the innermost first. The fiber that buys for a draw inherits it.
interface Drawing {
  readonly outer: Drawing | undefined
  hasBought: boolean
}

const CurrentDrawing = Context.Reference<Drawing | undefined>("@llm-cache/core/Audit/CurrentDrawing", {
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
    readonly rows: Array<Row>
  }> = []

  const watch = (model: LlmModel.Model, name: string): LlmModel.Model => {
    const known = watches.find((one) => one.model === model && one.name === name)
    if (known !== undefined) return known.watched
    const rows: Array<Row> = []
    const byKey = new KeyMap<Row>()
    const rowOf = (key: Key): Row => {
      let row = byKey.get(key)
      if (row === undefined) {
        byKey.set(key, row = new Row(key, model.sequence === "remembered"))
        rows.push(row)
      }
      return row
    }
    const { giveBack } = model
    const watched = LlmModel.fromDraw({
      ...model,
      draw: (key, position, batch) =>
        Effect.flatMap(CurrentDrawing, (outer) => {
          const drawing: Drawing = { outer, hasBought: false }
          if (model.sequence === "new") {
            for (let one: Drawing | undefined = drawing; one !== undefined; one = one.outer) one.hasBought = true
          }
          return Effect.map(
            Effect.provideService(model.draw(key, position, batch), CurrentDrawing, drawing),
            (drawn) => {
              const row = rowOf(key)
              for (const one of drawn) row.handOut(one, position, !drawing.hasBought)
              return drawn
            }
          )
        }),
      // Taken off the books first: once the model has them back, another draw may get them.
      giveBack: giveBack && ((key, drawn) =>
        Effect.suspend(() => {
          for (const one of drawn) rowOf(key).takeBack(one)
          return giveBack(key, drawn)
        }))
    })
    watches.push({ name, model, watched, rows })
    return watched
  }

  const report = Effect.sync(() => {
    const bought = new Set(
      watches.flatMap(({ model }) => model.sequence === "new" ? [model.identity.id] : [])
    )
    return watches.flatMap(({ name, rows }) => rows.map((row) => row.report(name, bought.has(row.key.identity.id))))
  })

  const check = Effect.flatMap(report, (rows) => {
    if (watches.length === 0) {
      return Effect.die(
        new Error("This audit watches nothing: build a layer with `Audit.watch` over its `Audit.layer`")
      )
    }
    const faults = rows.filter(({ handedOutTwice }) => handedOutTwice.length > 0)
    return faults.length === 0 ? Effect.void : Effect.fail(new AuditFailure({ faults }))
  })

  return { report, watch, check }
})

// What one model handed out of one key.
class Row {
  readonly key: Key
  readonly #isRemembered: boolean
  /** By position, how often it was handed out and not given back. */
  readonly #held = new Map<number, { times: number; fromCache: number }>()
  /** The numbers of samples that have no position. */
  readonly #numbers = new WeakMap<Drawn, number>()
  #next = 0
  /** Where a model that remembers has the positions of the reader beneath it. */
  readonly #places = new Map<number, Set<number>>()

  constructor(key: Key, isRemembered: boolean) {
    this.key = key
    this.#isRemembered = isRemembered
  }

  handOut(drawn: Drawn, asked: number, isFromCache: boolean): void {
    const position = this.#isRemembered ? asked : this.#positionOf(drawn)
    const held = this.#held.get(position)
    if (held === undefined) this.#held.set(position, { times: 1, fromCache: isFromCache ? 1 : 0 })
    else {
      held.times++
      if (isFromCache) held.fromCache++
    }
    const origin = drawn.origins[0]
    if (!this.#isRemembered || origin === undefined) return
    const places = this.#places.get(origin)
    if (places === undefined) this.#places.set(origin, new Set([position]))
    else places.add(position)
  }

  takeBack(drawn: Drawn): void {
    const position = this.#positionOf(drawn)
    const held = this.#held.get(position)
    if (held === undefined) return
    held.times--
    held.fromCache = Math.min(held.fromCache, held.times)
    if (held.times === 0) this.#held.delete(position)
  }

  report(watch: string, isProviderWatched: boolean): KeyReport {
    const { identity, path, prompt } = this.key
    const held = [...this.#held.values()]
    const twice = this.#isRemembered
      ? [...this.#places].filter(([, places]) => places.size > 1)
      : [...this.#held].filter(([, { times }]) => times > 1)
    return {
      watch,
      identity,
      prompt,
      path,
      handedOut: held.reduce((sum, { times }) => sum + times, 0),
      distinct: held.length,
      fromCache: isProviderWatched ? held.reduce((sum, { fromCache }) => sum + fromCache, 0) : undefined,
      handedOutTwice: twice.map(([position]) => position).sort((a, b) => a - b)
    }
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
 * Effect shares a layer by reference, and here that is what is wanted: the stack that is watched and the program that
 * checks have one audit. For a second one in the same program, use `Layer.fresh`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Audit> = Layer.effect(Audit, make)

/**
 * Watches the models that a layer provides (`LlmModel`, `IndependentModel`, `RepeatableModel`), under a name for the
 * report.
 *
 * **Details**
 *
 * It provides what the layer provides, other services too, and changes nothing of what is drawn. How the layer is shared
 * stays as it is.
 *
 * **Gotchas**
 *
 * Only what is drawn through this layer is seen: a model made of the same parts elsewhere is another one. An
 * `Independent` that is built anew starts at the first position, and is not compared with the one before.
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
    // Not memoized itself, so that the layer keeps its own sharing.
    Layer.fromBuild((memoMap, scope) =>
      Effect.flatMap(Audit, (audit) =>
        Effect.map(Layer.buildWithMemoMap(self, memoMap, scope), (models) => {
          const watched = <S>(service: Context.Key<S, LlmModel.Model>) => (models: Context.Context<A>) => {
            const model = Context.getOrUndefined(models as Context.Context<A | S>, service)
            return model === undefined
              ? models
              : Context.add(models, service, audit.watch(model, name)) as typeof models
          }
          return models.pipe(watched(LlmModel.LlmModel), watched(IndependentModel), watched(RepeatableModel))
        }))
    )
)

/**
 * The services that `watch` watches.
 *
 * @category models
 * @since 0.1.0
 */
export type Watchable = LlmModel.LlmModel | IndependentModel | RepeatableModel

/** Any layer, where it provides a model. */
type HasModel<A> = [Extract<A, Watchable>] extends [never] ? never : unknown

/**
 * What was handed out so far.
 *
 * @category accessors
 * @since 0.1.0
 */
export const report: Effect.Effect<Report, never, Audit> = Effect.flatMap(Audit, (audit) => audit.report)

/**
 * Fails with an `AuditFailure` where a sample was handed out twice that no one may get twice, and dies where nothing is
 * watched.
 *
 * @category accessors
 * @since 0.1.0
 */
export const check: Effect.Effect<void, AuditFailure, Audit> = Effect.flatMap(Audit, (audit) => audit.check)

/**
 * Runs an effect, and `check`s when it has succeeded.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | AuditFailure, R | Audit> =>
  Effect.tap(self, check)
