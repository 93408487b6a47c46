/**
 * What a program spends on requests, and what the samples that it replays from caches have cost when they were bought.
 *
 * **When to use**
 *
 * Use `measure` for the share of one part of a program, and `layer` for a whole one: what was spent so far, at any time.
 *
 * **Details**
 *
 * What was *spent* comes from the requests that the program sent. What was *replayed* comes from the metadata of the
 * samples that its caches had: the requests that bought them, each counted once, with all its tokens, however many of its
 * samples were used and however often. So a run from a warm cache says what it would have cost. A sample that the program
 * has bought itself is not replayed when it comes from a cache.
 *
 * Samples that are refused cost what they cost where they were bought: a slice does not have them, and does not know.
 * Nor is a request replayed of which no sample was used, as one of several that were sent at once, nor one that failed.
 *
 * A sample that was recorded without the name of its request (by the Python original, or put there by hand) counts as a
 * sample, and its tokens are not known.
 *
 * **Gotchas**
 *
 * To count requests once, their names are remembered as long as the measurement lasts.
 *
 * **Example** (Time in requests, and all tokens)
 *
 * ```ts
 * import { LlmModel, Usage } from "@llm-cache/core"
 * import { Console, Duration, Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const [answers, { replayed, spent }] = yield* Usage.measure(LlmModel.sampleMany("A number?", 10))
 *   yield* Console.log("total query time:", Duration.format(spent.requestTime))
 *   yield* Console.log("total token count:", spent.inputTokens + spent.outputTokens)
 *   yield* Console.log("saved by the cache:", replayed.inputTokens + replayed.outputTokens)
 *   return answers
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Events from "./Events.ts"
import type { Identity } from "./Identity.ts"
import { Listeners } from "./internal/events/listeners.ts"
import { UsageCounter } from "./internal/events/usageCounter.ts"

/**
 * Requests and what they brought.
 *
 * @category models
 * @since 0.1.0
 */
export interface Amount {
  /** Requests that were answered. */
  readonly requests: number
  /** The samples that were bought, or the different ones that were replayed. */
  readonly samples: number
  /** Prompt tokens, as far as providers told them. */
  readonly inputTokens: number
  /** Completion tokens, as far as providers told them. */
  readonly outputTokens: number
  /**
   * The time that the requests took, also of those at once: the sum over all. Retries, and what they waited for `Limits` of
   * the provider, are in it.
   */
  readonly requestTime: Duration.Duration
}

/**
 * What was used.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  /** What was bought. */
  readonly spent: Amount
  /** What was not bought, because a cache had it. */
  readonly replayed: Amount
  /** Requests that brought nothing: they failed, or were interrupted. */
  readonly failedRequests: number
  /**
   * Draws that a cache answered, also from what an earlier request of this run brought beyond its draw, and those of
   * samples that are refused.
   */
  readonly hits: number
  /** Draws that no cache could answer. */
  readonly misses: number
  /** Samples that a cache has and does not hand out, see `refuse` of `Persistent`. */
  readonly refused: number
}

/**
 * What was used of one model.
 *
 * @category models
 * @since 0.1.0
 */
export interface ModelCounts extends Counts {
  readonly identity: Identity
}

/**
 * How one cache was used. Where caches are nested, a draw can be a miss of one and a hit of the next.
 *
 * @category models
 * @since 0.1.0
 */
export interface CacheCounts {
  /** The id of the cache's store, or `Repeatable` for the memories of all of them. */
  readonly store: string
  readonly hits: number
  readonly misses: number
  /** Samples that were recorded. */
  readonly stored: number
}

/**
 * What was used, of all models, of each, and of each cache.
 *
 * @category models
 * @since 0.1.0
 */
export interface Usage extends Counts {
  /** By model, in the order of their first use. */
  readonly models: ReadonlyArray<ModelCounts>
  /** By cache, in the order of their first use. */
  readonly caches: ReadonlyArray<CacheCounts>
}

/**
 * Runs an effect, and tells what it used: its own share, also where others use the same models at the same time.
 *
 * **Details**
 *
 * A request that several wait for is spent by the one that sent it, and replayed by the others. Where the effect fails,
 * so does the measurement: measure `Effect.exit` of it to have both. Its `Scope` is the caller's.
 *
 * @category measuring
 * @since 0.1.0
 */
export const measure = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<[result: A, usage: Usage], E, R> =>
  Effect.suspend(() => {
    const counter = new UsageCounter()
    return Effect.map(
      Effect.updateService(self, Listeners, (outer) => [...outer, counter.add]),
      (result): [A, Usage] => [result, counter.usage()]
    )
  })

/**
 * What was used since the layer was built.
 *
 * @category services
 * @since 0.1.0
 */
export class Meter extends Context.Service<Meter, {
  readonly current: Effect.Effect<Usage>
}>()("@llm-cache/core/Usage/Meter") {}

/**
 * Measures what the programs use that the events are told of.
 *
 * **Gotchas**
 *
 * Effect shares a layer by reference: provided within a program that has it already, it is the same meter. For the share of
 * a part use `measure`.
 *
 * **Example** (What a whole program used)
 *
 * ```ts
 * import { Events, LlmModel, Usage } from "@llm-cache/core"
 * import { Console, Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   yield* LlmModel.sampleOne("A number?")
 *   const { models } = yield* Usage.current
 *   yield* Effect.forEach(models, ({ identity, spent }) => Console.log(identity.name, spent.requests))
 * }).pipe(Effect.provide(Layer.provideMerge(Usage.layer, Events.layer)))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Meter, never, Events.Events> = Layer.effect(
  Meter,
  Effect.suspend(() => {
    const counter = new UsageCounter()
    return Effect.as(
      Events.listen(counter.add),
      { current: Effect.sync(() => counter.usage()) }
    )
  })
)

/**
 * What was used since the layer was built.
 *
 * @category measuring
 * @since 0.1.0
 */
export const current: Effect.Effect<Usage, never, Meter> = Effect.flatMap(
  Effect.service(Meter),
  (meter) => meter.current
)
