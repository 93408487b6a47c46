import { assert, describe, it } from "@effect/vitest"
import {
  Fork,
  Independent,
  LlmModel,
  MemoryStore,
  Persistent,
  Prefetch,
  Repeatable,
  SampleError,
  SampleStore,
  Transfer
} from "@llm-cache/core"
import { Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import { makeProvider, using } from "./support/provider.ts"

const memory = Effect.provide(SampleStore.SampleStore, MemoryStore.layer)

const wanted = [{ prompt: "a", n: 3 }, { prompt: "b" }, { prompt: "c", n: 2 }]

const reasonOf = (error: SampleError.SampleError) => error._tag === "ProviderError" ? error.reason._tag : error._tag

describe("Prefetch.prefetch", () => {
  it.effect("requests the missing samples, so that a later run requests nothing", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = yield* Persistent.make(provider.model, yield* memory)
      yield* LlmModel.sampleOne("a").pipe(using(model))
      const prefetched = yield* Prefetch.prefetch(wanted).pipe(using(model))
      assert.deepStrictEqual(prefetched, { samples: 6, failed: [] })
      assert.deepStrictEqual(provider.requests, [1, 2, 1, 2])
      const texts = yield* LlmModel.sampleMany("a", 3).pipe(using(model))
      assert.strictEqual(texts[0], "a #0")
      yield* LlmModel.sampleOne("b").pipe(using(model))
      assert.lengthOf(provider.requests, 4)
    }))

  it.effect("continues after an interruption", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider({ maxBatch: 1 })
      const store = yield* memory
      const many = [{ prompt: "a", n: 5 }, { prompt: "b", n: 5 }]
      const run = Effect.scoped(Effect.flatMap(
        Persistent.make(provider.model, store),
        (model) => Prefetch.prefetch(many, { concurrency: 1 }).pipe(using(model))
      ))
      provider.gate = Effect.suspend(() => provider.requests.length === 7 ? Effect.interrupt : Effect.yieldNow)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(run)))
      provider.gate = Effect.yieldNow
      assert.deepStrictEqual(yield* run, { samples: 10, failed: [] })
      assert.lengthOf(provider.requests, 11, "the one that was interrupted is sent again")
    }))

  it.effect("works on `concurrency` prompts at once, in batches", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      const prompts = Array.from({ length: 10 }, (_, i) => ({ prompt: `${i}`, n: 4 }))
      yield* Prefetch.prefetch(prompts, { concurrency: 3, batch: 2 }).pipe(using(model))
      assert.deepStrictEqual(provider.requests, Array(20).fill(2))
      assert.strictEqual(provider.mostUnderWay, 3)
    }))

  it.effect("works on 16 prompts at once by default", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      yield* Prefetch.prefetch(Array.from({ length: 40 }, (_, i) => ({ prompt: `${i}` }))).pipe(using(model))
      assert.strictEqual(provider.mostUnderWay, 16)
    }))

  // It would not come to an end if each request cost a look at all samples that are there.
  it.effect("takes time in proportion to the samples", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider({ maxBatch: 10 })
      const { samples } = yield* Prefetch.prefetch([{ prompt: "p", n: 150_000 }]).pipe(
        using(yield* Repeatable.make(provider.model))
      )
      assert.strictEqual(samples, 150_000)
      assert.lengthOf(provider.requests, 15_000)
    }))

  it.effect("reports its progress", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      provider.gate = TestClock.adjust("1 second")
      const model = yield* Repeatable.make(provider.model)
      const seen: Array<unknown> = []
      const onProgress = (progress: Transfer.Progress) => Effect.sync(() => seen.push(progress))
      yield* Prefetch.prefetch(wanted, { concurrency: 1, onProgress }).pipe(using(model))
      assert.deepStrictEqual(seen, [
        { done: 3, total: 6, rate: 3 },
        { done: 4, total: 6, rate: 2 },
        { done: 6, total: 6, rate: 2 }
      ])
    }))

  it.effect("skips a prompt that fails, and reports it", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      provider.failures = 1
      const model = yield* Repeatable.make(provider.model)
      const { failed, samples } = yield* Prefetch.prefetch(wanted, { concurrency: 1 }).pipe(using(model))
      assert.strictEqual(samples, 3)
      assert.deepStrictEqual(failed.map(({ error, n, prompt }) => [prompt, n, reasonOf(error)]), [[
        "a",
        3,
        "ServerFault"
      ]])
    }))

  it.effect("skips an invalid prompt, and reports it", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      const items = [{ prompt: "a" }, { prompt: "\ud800" }, { prompt: "b" }]
      const { failed, samples } = yield* Prefetch.prefetch(items, { concurrency: 1 }).pipe(using(model))
      assert.strictEqual(samples, 2)
      assert.deepStrictEqual(failed.map(({ error, prompt }) => [prompt, reasonOf(error)]), [["\ud800", "InvalidInput"]])
    }))

  it.effect("ends at an error that other prompts would have too: a bad key, a ReplicationCacheMiss", () =>
    Effect.gen(function*() {
      const reason = new SampleError.BadKey({ description: "no key" })
      let requests = 0
      const refused = yield* LlmModel.make({
        model: "m",
        generate: () =>
          Effect.suspend(() => {
            requests++
            return Effect.fail(new SampleError.ProviderError({ provider: "m", reason }))
          })
      })
      const store = yield* memory
      const model = yield* Persistent.make(refused, store)
      const error = yield* Effect.flip(Prefetch.prefetch(wanted, { concurrency: 1 }).pipe(using(model)))
      assert(error._tag === "ProviderError")
      assert.strictEqual(error.reason._tag, "BadKey")
      assert.strictEqual(requests, 1)
      const replication = yield* Persistent.make(refused, store, { replication: true })
      const miss = yield* Effect.flip(Prefetch.prefetch(wanted).pipe(using(replication)))
      assert.strictEqual(miss._tag, "ReplicationCacheMiss")
    }))

  it.effect("fills the fork that it runs in", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      yield* Fork.fork("x")(Prefetch.prefetch([{ prompt: "a" }])).pipe(using(model))
      yield* Fork.fork("x")(LlmModel.sampleOne("a")).pipe(using(model))
      assert.lengthOf(provider.requests, 1)
    }))

  it.effect("fails with InvalidInput before any request for a model without a cache and for wrong counts", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const cache = yield* Repeatable.make(provider.model)
      const refusals = [
        Prefetch.prefetch(wanted).pipe(using(provider.model)),
        Prefetch.prefetch(wanted).pipe(using(yield* Independent.make(cache))),
        Prefetch.prefetch([{ prompt: "a" }, { prompt: "b", n: -1 }]).pipe(using(cache)),
        Prefetch.prefetch(wanted, { concurrency: 0 }).pipe(using(cache)),
        Prefetch.prefetch(wanted, { batch: NaN }).pipe(using(cache))
      ]
      for (const refusal of refusals) {
        const error = yield* Effect.flip(refusal)
        assert.strictEqual(error._tag, "InvalidInput")
      }
      assert.lengthOf(provider.requests, 0)
    }))
})
