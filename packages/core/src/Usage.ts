/**
 * Counts the requests and tokens that a program spends, and those that its caches save.
 *
 * **When to use**
 *
 * Use `measure` for a part of a program, and `layer` for the current usage of a whole program.
 *
 * **Details**
 *
 * *Spent* counts the requests that the program sent. *Replayed* counts the past requests behind the samples from caches, by
 * the metadata of the samples: each request once, with all its tokens, for any number of its samples. So a run from a warm
 * cache reports its cost without the cache. Samples of the program's own requests are never replayed.
 *
 * Three kinds of requests are missing from *replayed*: requests for samples that a cache beneath a slice excluded, requests
 * without a used sample (as one of several concurrent requests), and failed requests.
 *
 * A sample without the name of its request (recorded by the Python original or by hand) counts as a sample without tokens.
 *
 * **Gotchas**
 *
 * A measurement keeps the names of all requests in memory, to count each of them once.
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
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Events from "./Events.ts"
import type { Identity } from "./Identity.ts"
import { Listeners } from "./internal/events/listeners.ts"
import { UsageCounter } from "./internal/events/usageCounter.ts"
import { summaryOf } from "./internal/events/usageSummary.ts"
import { InvalidInput } from "./InvalidInput.ts"

/**
 * A number of requests, with their samples, tokens and time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Amount {
  /** Answered requests. */
  readonly requests: number
  /** Samples of the requests (spent), or different samples from caches (replayed). */
  readonly samples: number
  /** Prompt tokens, as far as providers report them. */
  readonly inputTokens: number
  /** Completion tokens, as far as providers report them. */
  readonly outputTokens: number
  /**
   * Requests whose tokens are not known, because the provider did not report them, and replayed samples without the name of
   * their request. Their tokens count as none.
   */
  readonly unmetered: number
  /**
   * The sum of all durations, also of concurrent requests. It includes retries and waits for the `Limits` of the provider.
   */
  readonly requestTime: Duration.Duration
}

/**
 * Spent and replayed requests, and the draws of caches.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  /** Requests of this program. */
  readonly spent: Amount
  /** Past requests, saved by a cache. */
  readonly replayed: Amount
  /** Requests that brought no sample: they failed or were interrupted. */
  readonly failedRequests: number
  /** Parts of answers that brought no sample beside others that did: malformed, or marked as failed by the provider. */
  readonly failedSamples: number
  /** Draws from a cache, among them draws of surplus samples of this run's requests and of excluded samples. */
  readonly hits: number
  /** Draws that no cache could answer. */
  readonly misses: number
  /** Samples that a cache excludes by their finish reason, see `excludeFinishReasons` of `Persistent`. */
  readonly refused: number
}

/**
 * The usage of one model.
 *
 * @category models
 * @since 0.1.0
 */
export interface ModelCounts extends Counts {
  readonly identity: Identity
  /** The model and the summary of its usage. */
  readonly toString: () => string
}

/**
 * The usage of one cache. In nested caches, a draw can be a miss of one and a hit of the next.
 *
 * @category models
 * @since 0.1.0
 */
export interface CacheCounts {
  /** The id of the cache's store, or `Repeatable` for all `Repeatable`s together. */
  readonly store: string
  readonly hits: number
  readonly misses: number
  /** Stored samples. */
  readonly stored: number
}

/**
 * The usage of all models, of each model and of each cache.
 *
 * **Details**
 *
 * The console, the log and a template print it as its `summary`, with a line for each model if there are several.
 *
 * @category models
 * @since 0.1.0
 */
export interface Usage extends Counts {
  /** By model, in the order of their first use. */
  readonly models: ReadonlyArray<ModelCounts>
  /** By cache, in the order of their first use. */
  readonly caches: ReadonlyArray<CacheCounts>
  /** The summary, and a line for each of several models. */
  readonly toString: () => string
}

/**
 * Runs an effect and returns its usage, without the usage of other fibers that share its models.
 *
 * **Details**
 *
 * If several effects wait for one request, its sender has spent it and the others have replayed it. If the effect fails, the
 * measurement fails too: measure its `Effect.exit` to get both. Its `Scope` is the caller's.
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
 * The usage in one line: requests, samples, tokens of prompts + tokens of answers, and time.
 *
 * ```text
 * spent 3 requests, 7 samples, 30 + 21 tokens, 7s; replayed nothing; 4 hits, 3 misses
 * ```
 *
 * @category accounting
 * @since 0.1.0
 */
export const summary: (usage: Counts) => string = summaryOf

/**
 * The prices of a model's tokens, per million tokens, in any currency.
 *
 * @category models
 * @since 0.1.0
 */
export interface Price {
  /** The price of a million tokens of prompts. */
  readonly input: number
  /** The price of a million tokens of answers. */
  readonly output: number
}

/**
 * The cost of a program, in the currency of the prices.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cost {
  /** The cost of the program's requests. */
  readonly spent: number
  /** The cost of the requests that caches saved. */
  readonly avoided: number
  /** Requests and samples of unknown cost, which count as free: see `unmetered` of `Amount`. */
  readonly unmetered: number
}

/**
 * The cost of a usage by your own prices, per million tokens. The name of a model is its alias, if it has one.
 *
 * **Details**
 *
 * Fails with an `InvalidInput` that names the models without a price. Give `{ input: 0, output: 0 }` for a free one. Discounts of
 * a provider, such as those for its own cache of prompts, are not part of it.
 *
 * **Example** (The cost of a run, and what the cache saved)
 *
 * ```ts
 * import { LlmModel, Usage } from "@llm-cache/core"
 * import { Console, Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const [answers, usage] = yield* Usage.measure(LlmModel.sampleMany("A number?", 10))
 *   // dollars per million tokens
 *   const { avoided, spent } = yield* Usage.cost(usage, { "gpt-4o": { input: 2.5, output: 10 } })
 *   yield* Console.log(`$${spent.toFixed(2)}, and $${avoided.toFixed(2)} saved`)
 *   return answers
 * })
 * ```
 *
 * @category accounting
 * @since 0.1.0
 */
export const cost: {
  (prices: { readonly [model: string]: Price }): (usage: Usage) => Effect.Effect<Cost, InvalidInput>
  (usage: Usage, prices: { readonly [model: string]: Price }): Effect.Effect<Cost, InvalidInput>
} = dual(2, ({ models }: Usage, given: { readonly [model: string]: Price }): Effect.Effect<Cost, InvalidInput> => {
  // Programs in JavaScript have no type check.
  const prices = given ?? {}
  const invalid = (description: string) => Effect.fail(new InvalidInput({ module: "Usage.cost", description }))
  for (const [name, price] of Object.entries(prices)) {
    if (![price?.input, price?.output].every((price) => Number.isFinite(price) && price >= 0)) {
      return invalid(
        `the price of \`${name}\` is no number of at least 0: give \`input\` and \`output\`, per million tokens`
      )
    }
  }
  const used = models.filter(({ replayed, spent }) => spent.requests + replayed.requests > 0)
  const names = new Set(used.map(({ identity }) => identity.name).filter((name) => !Object.hasOwn(prices, name)))
  if (names.size > 0) {
    return invalid(
      `no price for ${
        [...names].map((name) => `\`${name}\``).join(", ")
      }: give \`input\` and \`output\`, per million ` +
        `tokens (prices are there for ${Object.keys(prices).map((name) => `\`${name}\``).join(", ") || "no model"})`
    )
  }
  const sum = (kind: "spent" | "replayed") =>
    used.reduce((total, { [kind]: { inputTokens, outputTokens }, identity }) => {
      const { input, output } = prices[identity.name]!
      return total + (inputTokens * input + outputTokens * output) / 1_000_000
    }, 0)
  return Effect.succeed({
    spent: sum("spent"),
    avoided: sum("replayed"),
    unmetered: models.reduce((total, { replayed, spent }) => total + spent.unmetered + replayed.unmetered, 0)
  })
})

/**
 * The service that counts the usage since its layer was built.
 *
 * @category services
 * @since 0.1.0
 */
export class Meter extends Context.Service<Meter, {
  readonly current: Effect.Effect<Usage>
}>()("@llm-cache/core/Usage/Meter") {}

/**
 * Measures the usage of all programs that use the same `Events`.
 *
 * **Gotchas**
 *
 * Effect shares a layer by reference: inside a program with this layer, a second one is the same meter. Use `measure` for
 * a part of a program.
 *
 * **Example** (The usage of a whole program)
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
 * The usage since the layer was built.
 *
 * @category measuring
 * @since 0.1.0
 */
export const current: Effect.Effect<Usage, never, Meter> = Effect.flatMap(
  Effect.service(Meter),
  (meter) => meter.current
)
