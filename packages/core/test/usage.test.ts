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
  SampleError,
  SampleStore,
  Usage
} from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Clock, Duration, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { makeDirectory } from "./support/directory.ts"
import { makeGate, makeProvider, using } from "./support/provider.ts"
import { count, directoryStore } from "./support/stack.ts"

const memory = Effect.provide(SampleStore.SampleStore, MemoryStore.layer)

/** A provider. Each request takes one second per sample, 10 prompt tokens and 3 tokens per sample. */
const makeMetered = (name = "metered", maxBatch?: number) =>
  Effect.map(
    TestModel.make({
      model: name,
      maxBatch,
      script: ({ n, prompt }) =>
        Effect.as(TestClock.adjust(Duration.seconds(n)), {
          samples: Array.from({ length: n }, (_, i) => `${prompt} ${i}`),
          inputTokens: 10,
          outputTokens: 3 * n
        })
    }),
    ({ model }) => model
  )

const amount = (
  requests: number,
  samples: number,
  inputTokens: number,
  outputTokens: number,
  seconds: number,
  unmetered = 0
) => ({
  requests,
  samples,
  inputTokens,
  outputTokens,
  unmetered,
  requestTime: Duration.seconds(seconds)
})

const none = amount(0, 0, 0, 0, 0)

const usageOf = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.map(Usage.measure(self), ([, usage]) => usage)

describe("Usage", () => {
  it.effect("of a cold run is spent, and of a warm run replayed, with the same cost", () =>
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
      // Two samples of the first request, two of the second.
      assert.deepInclude(first, { hits: 4, misses: 3, failedRequests: 0, refused: 0 })
      const second = yield* run
      assert.deepStrictEqual(second.spent, none)
      assert.deepStrictEqual(second.replayed, first.spent)
      assert.deepInclude(second, { hits: 7, misses: 0 })
    }))

  it.effect("counts each replayed request and sample once", () =>
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
      // The same in nested caches, and through a reader with its own numbers.
      const nested = yield* Repeatable.make(
        yield* Independent.make(yield* Persistent.make(model, yield* memory))
      )
      const again = LlmModel.sampleMany("p", 2).pipe(using(nested))
      const inside = yield* usageOf(Effect.andThen(again, again))
      assert.deepStrictEqual(inside.replayed, usage.replayed)
      assert.deepInclude(inside, { hits: 4, misses: 0 })
    }))

  it.effect("does not count samples of its own requests as replayed", () =>
    Effect.gen(function*() {
      const model = yield* Repeatable.make(yield* makeMetered())
      const usage = yield* usageOf(
        Effect.andThen(LlmModel.sampleMany("p", 2), LlmModel.sampleMany("p", 3)).pipe(using(model))
      )
      assert.deepStrictEqual(usage.spent, amount(2, 3, 20, 9, 3))
      assert.deepStrictEqual(usage.replayed, none)
      assert.deepInclude(usage, { hits: 3, misses: 2 })
    }))

  it.effect("of a part excludes concurrent parts, even if they wait for each other", () =>
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

  it.effect("of a part is the same with Events around it and inside it", () =>
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

  it.effect("includes requests of models that sample other models", () =>
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

  it.effect("is reported by model and by cache", () =>
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

  it.effect("counts failures, also of an effect that fails", () =>
    Effect.gen(function*() {
      const failing = yield* LlmModel.make({ model: "m", generate: () => Effect.succeed({ samples: [] }) })
      const [exit, usage] = yield* Usage.measure(Effect.exit(LlmModel.sampleOne("p").pipe(using(failing))))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepInclude(usage, { failedRequests: 1, spent: none })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Usage.measure(LlmModel.sampleOne("p").pipe(using(failing))))))
    }))

  it.effect("counts parts of an answer that are no samples, beside the others", () =>
    Effect.gen(function*() {
      const reason = new SampleError.ServerFault({ description: "gone" })
      const model = yield* LlmModel.make({
        model: "m",
        generate: () => Effect.succeed({ samples: ["a", { text: null } as never], failures: [reason] })
      })
      const heard: Array<string> = []
      const usage = yield* Effect.gen(function*() {
        yield* Events.listen((event) => {
          if (event._tag === "RequestDone") heard.push(...event.failures.map(({ _tag }) => _tag))
        })
        const [, usage] = yield* Usage.measure(LlmModel.sampleOne("p").pipe(using(model)))
        return usage
      }).pipe(Effect.scoped, Effect.provide(Events.layer))
      assert.deepStrictEqual(heard, ["ServerFault", "UnusableResponse"])
      assert.deepInclude(usage, { failedSamples: 2, failedRequests: 0 })
      assert.deepInclude(usage.models[0], { failedSamples: 2 })
    }))

  it.effect("adds up the time of concurrent requests", () =>
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

  it.effect("counts a miss of a replication for it and for the cache above", () =>
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

  it.effect("leaves the scope of the measured effect to the caller", () =>
    Effect.gen(function*() {
      let isReleased = false
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Usage.measure(Effect.acquireRelease(Effect.void, () => Effect.sync(() => isReleased = true)))
        assert.isFalse(isReleased)
      }))
      assert.isTrue(isReleased)
    }))

  it.effect("distinguishes samples without a name by model, prompt, fork and position", () =>
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
      // The request is known, but the index of the sample is not.
      yield* record(two, "q", [], { request: "r", inputTokens: 7, outputTokens: 5, elapsed: 1000 })
      const p = LlmModel.sampleMany("p", 2)
      const q = LlmModel.sampleMany("q", 2)
      const all = Effect.all([
        Effect.all([p, q, Fork.fork("a")(p)]).pipe(using(one)),
        Effect.all([p, q]).pipe(using(two))
      ])
      const usage = yield* usageOf(Effect.andThen(all, all))
      assert.deepStrictEqual(usage.replayed, amount(1, 10, 7, 5, 1, 8))
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
      assert.deepStrictEqual(usage.replayed, amount(0, 2, 0, 0, 0, 2))
      assert.strictEqual(usage.hits, 4)
    }))

  it.effect("starts at zero when the layer is built", () =>
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
    "of any program is replayed warm as it was spent cold, and each draw is a hit or a miss",
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

  it.effect("counts samples without the name of a request once, also through a slice", () =>
    Effect.gen(function*() {
      const model = yield* makeMetered()
      const [big, slice] = [yield* memory, yield* memory]
      const cached = yield* Persistent.make(model, big)
      const old = { text: "old", metadata: {}, origins: [] }
      yield* big.put(new Key.Key(model.identity, "p", []), [{ position: 0, drawn: old }], "drop")
      const sliced = yield* Persistent.make(cached, slice)
      const one = LlmModel.sampleOne("p").pipe(using(sliced))
      const [, usage] = yield* Usage.measure(Effect.andThen(one, one))
      assert.strictEqual(usage.replayed.samples, 1)
    }))

  it.effect("counts the request of an interrupted draw as spent and not as replayed", () =>
    Effect.gen(function*() {
      // The interrupted draw is inside the measurement, so its request counts.
      const provider = yield* makeProvider()
      const gate = yield* makeGate
      provider.gate = gate.wait
      const model = yield* Repeatable.make(provider.model)
      const [, usage] = yield* Usage.measure(Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(LlmModel.sampleOne("p").pipe(using(model)), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        yield* gate.open
        yield* LlmModel.sampleOne("p").pipe(using(model))
      }))
      assert.strictEqual(usage.spent.requests, 1)
      assert.strictEqual(usage.replayed.requests, 0)
    }))

  it.effect("takes the same time of a request from its event and from its metadata", () =>
    Effect.gen(function*() {
      let now = 0
      const tick = () => ++now
      const clock = Object.assign(Object.create(yield* Clock.Clock), {
        currentTimeMillis: Effect.sync(tick),
        currentTimeMillisUnsafe: tick
      })
      const model = yield* makeMetered()
      const store = yield* memory
      const run = Effect.gen(function*() {
        const cached = yield* Persistent.make(model, store)
        return (yield* Usage.measure(LlmModel.sampleOne("p").pipe(using(cached))))[1]
      }).pipe(Effect.provideService(Clock.Clock, clock))
      const cold = yield* run
      assert.deepStrictEqual((yield* run).replayed, cold.spent)
    }))
})
