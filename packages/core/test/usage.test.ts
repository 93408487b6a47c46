import { assert, describe, it } from "@effect/vitest"
import {
  Events,
  Fork,
  Independent,
  Key,
  LlmModel,
  MemoryStore,
  Persistent,
  Repeatable,
  type Sample,
  SampleStore,
  Usage
} from "@llm-cache/core"
import { Duration, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { makeDirectory } from "./support/directory.ts"
import { makeGate, using } from "./support/provider.ts"
import { count, directoryStore } from "./support/stack.ts"

const memory = Effect.provide(SampleStore.SampleStore, MemoryStore.layer)

/** A provider whose requests take a second for each sample, 10 tokens of prompt and 3 for each sample. */
const makeMetered = (name = "metered", maxBatch?: number) =>
  LlmModel.make({
    model: name,
    maxBatch,
    generate: ({ n, prompt }) =>
      Effect.as(TestClock.adjust(Duration.seconds(n)), {
        samples: Array.from({ length: n }, (_, i) => `${prompt} ${i}`),
        inputTokens: 10,
        outputTokens: 3 * n
      })
  })

const amount = (requests: number, samples: number, inputTokens: number, outputTokens: number, seconds: number) => ({
  requests,
  samples,
  inputTokens,
  outputTokens,
  requestTime: Duration.seconds(seconds)
})

const none = amount(0, 0, 0, 0, 0)

const usageOf = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.map(Usage.measure(self), ([, usage]) => usage)

describe("usage", () => {
  it.effect("of a first run is spent, and of a second one replayed: what it would have cost", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const run = Effect.gen(function*() {
        const model = yield* Persistent.make(yield* makeMetered("metered", 4), yield* directoryStore(root))
        return yield* usageOf(
          Effect.andThen(LlmModel.sampleMany("p", 6), LlmModel.sampleOne("q")).pipe(using(model))
        )
      })
      const first = yield* run
      assert.deepStrictEqual(first.spent, amount(3, 7, 30, 21, 7))
      assert.deepStrictEqual(first.replayed, none)
      // Two of the first request, two of the second one.
      assert.deepInclude(first, { hits: 4, misses: 3, failedRequests: 0, refused: 0 })
      const second = yield* run
      assert.deepStrictEqual(second.spent, none)
      assert.deepStrictEqual(second.replayed, first.spent)
      assert.deepInclude(second, { hits: 7, misses: 0 })
    }))

  it.effect("counts each request and each sample that is replayed once", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const provider = yield* makeMetered()
      const before = yield* Persistent.make(provider, store)
      yield* LlmModel.sampleMany("p", 5).pipe(using(before))
      const model = yield* Persistent.make(provider, store)
      const some = LlmModel.sampleMany("p", 2).pipe(using(model))
      const usage = yield* usageOf(Effect.andThen(some, some))
      assert.deepStrictEqual(usage.replayed, amount(1, 2, 10, 15, 5))
      assert.strictEqual(usage.hits, 4)
      // Also where caches are nested, and by a reader that numbers them anew.
      const nested = yield* Repeatable.make(
        yield* Independent.make(yield* Persistent.make(model, yield* memory))
      )
      const again = LlmModel.sampleMany("p", 2).pipe(using(nested))
      const inside = yield* usageOf(Effect.andThen(again, again))
      assert.deepStrictEqual(inside.replayed, usage.replayed)
      assert.deepInclude(inside, { hits: 4, misses: 0 })
    }))

  it.effect("does not take for replayed what it has bought itself", () =>
    Effect.gen(function*() {
      const model = yield* Repeatable.make(yield* makeMetered())
      const usage = yield* usageOf(
        Effect.andThen(LlmModel.sampleMany("p", 2), LlmModel.sampleMany("p", 3)).pipe(using(model))
      )
      assert.deepStrictEqual(usage.spent, amount(2, 3, 20, 9, 3))
      assert.deepStrictEqual(usage.replayed, none)
      assert.deepInclude(usage, { hits: 3, misses: 2 })
    }))

  it.effect("of a part is its own share, also of parts that run at once and wait for each other", () =>
    Effect.gen(function*() {
      const gate = yield* makeGate
      const provider = yield* LlmModel.make({
        model: "m",
        generate: ({ n }) => Effect.as(gate.wait, { samples: Array(n).fill("a"), inputTokens: 1, outputTokens: n })
      })
      const model = yield* Repeatable.make(provider)
      const part = (prompt: string, n: number) => usageOf(LlmModel.sampleMany(prompt, n).pipe(using(model)))
      const all = yield* Effect.forkChild(
        Usage.measure(Effect.all([part("p", 2), part("p", 2), part("q", 3)], { concurrency: "unbounded" })),
        { startImmediately: true }
      )
      yield* gate.open
      const [[p, other, q], whole] = yield* Fiber.join(all)
      assert.deepInclude(p.spent, { requests: 1, samples: 2, outputTokens: 2 })
      assert.deepStrictEqual(other.spent, none)
      assert.deepInclude(other.replayed, { requests: 1, samples: 2, outputTokens: 2 })
      assert.deepInclude(q.spent, { requests: 1, samples: 3, outputTokens: 3 })
      assert.deepInclude(whole.spent, { requests: 2, samples: 5, inputTokens: 2, outputTokens: 5 })
      assert.strictEqual(whole.replayed.requests, 0)
    }))

  it.effect("of a part is its own, whatever events the program around it and the part itself are told", () =>
    Effect.gen(function*() {
      const model = yield* makeMetered()
      const heard: Array<string> = []
      const part = Effect.andThen(
        Events.listen(({ _tag }) => heard.push(_tag)),
        LlmModel.sampleOne("p").pipe(using(model))
      ).pipe(Effect.scoped, Effect.provide(Events.layer))
      const usages = yield* Effect.all([usageOf(part), usageOf(Effect.andThen(part, usageOf(part)))]).pipe(
        Effect.provide(Events.layer)
      )
      assert.deepStrictEqual(usages.map(({ spent }) => spent.requests), [1, 2])
      assert.deepStrictEqual(heard, [1, 2, 3].flatMap(() => ["RequestSent", "RequestDone"]))
    }))

  it.effect("has the requests that a model makes for a sample of its own, wherever it was made", () =>
    Effect.gen(function*() {
      const inner = yield* makeMetered()
      const [outer] = yield* Usage.measure(LlmModel.make({
        model: "outer",
        generate: () => Effect.map(LlmModel.sampleMany("p", 2).pipe(using(inner)), (samples) => ({ samples }))
      }))
      const { models } = yield* usageOf(LlmModel.sampleOne("q").pipe(using(outer)))
      assert.deepStrictEqual(models.map(({ identity, spent }) => [identity.name, spent.samples]), [
        ["outer", 2],
        ["metered", 2]
      ])
    }))

  it.effect("is told by model and by cache", () =>
    Effect.gen(function*() {
      const [big, slice] = [yield* memory, yield* memory]
      const one = yield* Persistent.make(yield* makeMetered("one"), big)
      const sliced = yield* Persistent.make(one, slice)
      const two = yield* makeMetered("two")
      const usage = yield* usageOf(Effect.gen(function*() {
        yield* LlmModel.sampleMany("p", 2).pipe(using(one))
        yield* LlmModel.sampleOne("p").pipe(using(sliced))
        yield* LlmModel.sampleOne("p").pipe(using(sliced))
        yield* Fork.fork("a")(LlmModel.sampleOne("p")).pipe(using(two))
      }))
      assert.deepStrictEqual(
        usage.models.map(({ identity, misses, spent }) => [identity.name, spent.requests, spent.samples, misses]),
        [["one", 1, 2, 1], ["two", 1, 1, 0]]
      )
      assert.deepStrictEqual(usage.caches, [
        { store: big.id, hits: 2, misses: 1, stored: 2 },
        { store: slice.id, hits: 1, misses: 1, stored: 1 }
      ])
    }))

  it.effect("has failures, and can be had of an effect that fails", () =>
    Effect.gen(function*() {
      const failing = yield* LlmModel.make({ model: "m", generate: () => Effect.succeed({ samples: [] }) })
      const [exit, usage] = yield* Usage.measure(Effect.exit(LlmModel.sampleOne("p").pipe(using(failing))))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepInclude(usage, { failedRequests: 1, spent: none })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Usage.measure(LlmModel.sampleOne("p").pipe(using(failing))))))
    }))

  it.effect("has the time of requests that run at once twice", () =>
    Effect.gen(function*() {
      const provider = yield* LlmModel.make({
        model: "m",
        generate: () => Effect.as(Effect.sleep("1 second"), { samples: ["a"] })
      })
      const fiber = yield* Effect.forkChild(usageOf(
        Effect.all([LlmModel.sampleOne("p"), LlmModel.sampleOne("q")], { concurrency: 2 }).pipe(using(provider))
      ))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* Fiber.join(fiber)).spent.requestTime, Duration.seconds(2))
    }))

  it.effect("counts a draw that a replication misses as a miss, of it and of the cache above it", () =>
    Effect.gen(function*() {
      const [below, above] = [yield* memory, yield* memory]
      const replication = yield* Persistent.make(yield* makeMetered(), below, { replication: true })
      const model = yield* Persistent.make(replication, above)
      const usage = yield* usageOf(Effect.exit(LlmModel.sampleOne("p").pipe(using(model))))
      assert.deepInclude(usage, { hits: 0, misses: 1, failedRequests: 0, spent: none, replayed: none })
      assert.deepStrictEqual(usage.caches.toSorted((a) => a.store === below.id ? -1 : 1), [
        { store: below.id, hits: 0, misses: 1, stored: 0 },
        { store: above.id, hits: 0, misses: 1, stored: 0 }
      ])
    }))

  it.effect("leaves the scope of what it measures to who asks", () =>
    Effect.gen(function*() {
      let isReleased = false
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Usage.measure(Effect.acquireRelease(Effect.void, () => Effect.sync(() => isReleased = true)))
        assert.isFalse(isReleased)
      }))
      assert.isTrue(isReleased)
    }))

  it.effect("tells samples without a name apart by model, prompt, fork and position", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const one = yield* Persistent.make(yield* makeMetered("one"), store)
      const two = yield* Persistent.make(yield* makeMetered("two"), store)
      const record = (
        model: LlmModel.Model,
        prompt: string,
        path: ReadonlyArray<string>,
        metadata: Sample.Metadata
      ) => {
        const drawn = { text: "old", metadata, origins: [] }
        return store.put(
          new Key.Key(model.identity, prompt, path),
          [{ position: 0, drawn }, { position: 1, drawn }],
          "drop"
        )
      }
      yield* record(one, "p", [], {})
      yield* record(one, "q", [], {})
      yield* record(one, "p", ["a"], {})
      yield* record(two, "p", [], {})
      // The request is known, and which of its samples they are is not.
      yield* record(two, "q", [], { request: "r", inputTokens: 7, outputTokens: 5, elapsed: 1000 })
      const p = LlmModel.sampleMany("p", 2)
      const q = LlmModel.sampleMany("q", 2)
      const all = Effect.all([
        Effect.all([p, q, Fork.fork("a")(p)]).pipe(using(one)),
        Effect.all([p, q]).pipe(using(two))
      ])
      const usage = yield* usageOf(Effect.andThen(all, all))
      assert.deepStrictEqual(usage.replayed, amount(1, 10, 7, 5, 1))
      assert.strictEqual(usage.hits, 20)
    }))

  it.effect("counts samples of unknown requests as samples", () =>
    Effect.gen(function*() {
      const store = yield* memory
      const model = yield* Persistent.make(yield* makeMetered(), store)
      const key = new Key.Key(model.identity, "p", [])
      const of = (position: number) => ({ position, drawn: { text: "old", metadata: { inputTokens: 7 }, origins: [] } })
      yield* store.put(key, [of(0), of(1)], "drop")
      const two = LlmModel.sampleMany("p", 2).pipe(using(model))
      const usage = yield* usageOf(Effect.andThen(two, two))
      assert.deepStrictEqual(usage.replayed, amount(0, 2, 0, 0, 0))
      assert.strictEqual(usage.hits, 4)
    }))

  it.effect("is measured from the time on that the layer was built", () =>
    Effect.gen(function*() {
      const model = yield* makeMetered()
      yield* LlmModel.sampleOne("p").pipe(using(model))
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* Usage.current).spent.requests, 0)
        yield* LlmModel.sampleOne("p").pipe(using(model))
        assert.strictEqual((yield* Usage.current).spent.requests, 1)
        const inner = yield* usageOf(LlmModel.sampleOne("p").pipe(using(model)))
        assert.strictEqual(inner.spent.requests, 1)
        assert.strictEqual((yield* Usage.current).spent.requests, 2)
      }).pipe(Effect.provide(Layer.provideMerge(Usage.layer, Events.layer)))
    }))

  it.effect.prop(
    "of any program: what is spent cold is replayed warm, and every draw is a hit or a miss",
    { draws: count(1, 12), prompts: count(1, 3), maxBatch: count(1, 4) },
    ({ draws, maxBatch, prompts }) =>
      Effect.gen(function*() {
        const [big, slice] = [yield* memory, yield* memory]
        const provider = yield* makeMetered("m", maxBatch)
        const run = Effect.gen(function*() {
          const model = yield* Persistent.make(yield* Persistent.make(provider, big), slice)
          return yield* usageOf(
            Effect.forEach(
              Array.from({ length: draws }, (_, i) => i),
              (i) => LlmModel.sampleMany(`${i % prompts}`, 1 + i % 3).pipe(using(model)),
              { concurrency: 3 }
            )
          )
        })
        const samples = Array.from({ length: draws }, (_, i) => 1 + i % 3).reduce((sum, n) => sum + n)
        const cold = yield* run
        const warm = yield* run
        assert.deepStrictEqual(warm.replayed, cold.spent)
        assert.strictEqual(warm.spent.requests + cold.replayed.requests, 0)
        assert.strictEqual(cold.hits + cold.misses, samples)
        assert.strictEqual(cold.misses, cold.spent.requests)
        assert.strictEqual(warm.hits, samples)
      })
  )
})
