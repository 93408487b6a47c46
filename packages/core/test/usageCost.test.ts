import { assert, describe, it } from "@effect/vitest"
import { InvalidInput, LlmModel, MemoryStore, Persistent, SampleStore, Usage } from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Effect, Formatter } from "effect"
import { TestClock } from "effect/testing"
import { inspect } from "node:util"
import { using } from "./support/provider.ts"

/** A usage of some models over one store: each is sampled, and a later cache replays the samples if `replays`. */
const makeUsage = Effect.fnUntraced(function*(
  models: ReadonlyArray<Partial<TestModel.Options>>,
  { replays }: { readonly replays: boolean }
) {
  const store = yield* Effect.provide(SampleStore.SampleStore, MemoryStore.layer)
  const sample = Effect.forEach(models, (options) =>
    Effect.gen(function*() {
      const { model } = yield* TestModel.make({
        script: () =>
          Effect.as(TestClock.adjust("2 seconds"), { samples: ["a"], inputTokens: 1000, outputTokens: 200 }),
        ...options
      })
      yield* LlmModel.sampleOne("p").pipe(using(yield* Persistent.make(model, store)))
    }))
  if (replays) yield* sample
  const [, usage] = yield* Usage.measure(sample)
  return usage
})

const gpt = { model: "gpt-4o" }
const llama = { model: "meta/llama", alias: "llama" }
const withoutTokens = { model: "bare", script: ["a"] }

describe("a summary of usage", () => {
  it.effect("is a line of requests, samples, tokens, time and draws", () =>
    Effect.gen(function*() {
      const spent = yield* makeUsage([gpt], { replays: false })
      assert.strictEqual(
        Usage.summary(spent),
        "spent 1 request, 1 sample, 1000 + 200 tokens, 2s; replayed nothing; 0 hits, 1 miss"
      )
      const replayed = yield* makeUsage([gpt, llama], { replays: true })
      assert.strictEqual(
        Usage.summary(replayed),
        "spent nothing; replayed 2 requests, 2 samples, 2000 + 400 tokens, 4s; 2 hits, 0 misses"
      )
    }))

  it.effect("tells of unknown tokens, failures and excluded samples", () =>
    Effect.gen(function*() {
      const usage = yield* makeUsage([withoutTokens, gpt], { replays: false })
      assert.include(Usage.summary(usage), "2 requests, 2 samples, 1000 + 200 tokens (those of 1 unknown), 2s")
      const failed = { ...usage, failedRequests: 1, failedSamples: 2, refused: 3 }
      assert.include(Usage.summary(failed), "2 misses, 1 failed request, 2 failed samples, 3 refused")
    }))

  it.effect("is what the console, a log and a template print, with a line for each of several models", () =>
    Effect.gen(function*() {
      const one = yield* makeUsage([gpt], { replays: false })
      const summary = Usage.summary(one)
      assert.deepStrictEqual([inspect(one), `${one}`, Formatter.format(one)], [summary, summary, summary])
      assert.strictEqual(inspect(one.models[0]), `gpt-4o, temperature 1: ${summary}`)
      const two = yield* makeUsage([gpt, llama], { replays: false })
      assert.strictEqual(
        inspect(two),
        `${Usage.summary(two)}\n  gpt-4o, temperature 1: ${summary}\n  llama, temperature 1: ${summary}`
      )
      assert.deepStrictEqual(Object.keys(JSON.parse(JSON.stringify(two))), Object.keys(two))
    }))
})

describe("the cost of a usage", () => {
  const prices = {
    "gpt-4o": { input: 2.5, output: 10 },
    llama: { input: 0, output: 0 },
    unused: { input: 1, output: 1 }
  }

  it.effect("is in the currency of the prices, which are per million tokens", () =>
    Effect.gen(function*() {
      const spent = yield* makeUsage([gpt, llama], { replays: false })
      const cost = { spent: 0.0045, avoided: 0, unmetered: 0 }
      assert.deepStrictEqual(yield* Usage.cost(spent, prices), cost)
      assert.deepStrictEqual(yield* Usage.cost(prices)(spent), cost)
      const replayed = yield* makeUsage([gpt, llama], { replays: true })
      assert.deepStrictEqual(yield* Usage.cost(replayed, prices), { spent: 0, avoided: 0.0045, unmetered: 0 })
    }))

  it.effect("fails for a model without a price, and names it", () =>
    Effect.gen(function*() {
      for (const replays of [false, true]) {
        const usage = yield* makeUsage([gpt, llama, { model: "constructor" }], { replays })
        const error = yield* Effect.flip(Usage.cost(usage, { "gpt-4o": prices["gpt-4o"] }))
        assert.instanceOf(error, InvalidInput.InvalidInput)
        assert.include(error.message, "Usage.cost: no price for `llama`, `constructor`: ")
        assert.include(error.message, "(prices are there for `gpt-4o`)")
        assert.include((yield* Effect.flip(Usage.cost(usage, {}))).message, "for no model)")
      }
    }))

  it.effect("needs no price of a model without requests", () =>
    Effect.gen(function*() {
      const failing = { model: "down", script: () => Effect.fail(TestModel.serverFault) }
      const { model } = yield* TestModel.make(failing)
      const [, usage] = yield* Usage.measure(Effect.exit(LlmModel.sampleOne("p").pipe(using(model))))
      assert.lengthOf(usage.models, 1)
      assert.deepStrictEqual(yield* Usage.cost(usage, {}), { spent: 0, avoided: 0, unmetered: 0 })
    }))

  it.effect("tells how many requests count as free because their tokens are unknown", () =>
    Effect.gen(function*() {
      const all = { ...prices, bare: { input: 1, output: 1 } }
      const usage = yield* makeUsage([gpt, withoutTokens], { replays: false })
      assert.deepStrictEqual(yield* Usage.cost(usage, all), { spent: 0.0045, avoided: 0, unmetered: 1 })
      const half = { model: "bare", script: () => ({ samples: ["a"], inputTokens: 7 }) }
      assert.strictEqual((yield* Usage.cost(yield* makeUsage([half], { replays: true }), all)).unmetered, 1)
    }))

  it.effect("fails for a price that is no number of at least 0", () =>
    Effect.gen(function*() {
      const usage = yield* makeUsage([gpt], { replays: false })
      for (const price of [NaN, -1, Infinity, "2" as never, undefined as never]) {
        for (const wrong of [{ input: price, output: 1 }, { input: 1, output: price }]) {
          const error = yield* Effect.flip(Usage.cost(usage, { "gpt-4o": wrong }))
          assert.include(error.message, "the price of `gpt-4o` is no number")
        }
      }
      for (const wrong of [undefined, null, 5]) {
        const error = yield* Effect.flip(Usage.cost(usage, { "gpt-4o": wrong as never }))
        assert.include(error.message, "the price of `gpt-4o` is no number")
        assert.include((yield* Effect.flip(Usage.cost(usage, wrong as never))).message, "no price for `gpt-4o`")
      }
    }))
})
