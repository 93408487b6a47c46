import { assert, describe } from "@effect/vitest"
import { LlmModel, Persistent, type SampleStore } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import { makeKey, provider, type Subject, unique } from "./subject.ts"

export const leases = ({ open, other, test, hasLeases }: Subject): void => {
  describe("leases positions", () => {
    const leases = (store: SampleStore.Store): SampleStore.Leases => {
      if (store.leases === undefined) throw new Error("the store has no leases")
      return store.leases
    }
    const leased: Subject["test"] = (name, self) => hasLeases && test(name, self)

    test(hasLeases ? "on request" : "never", () =>
      Effect.map(open, (store) => {
        assert.strictEqual(store.leases !== undefined, hasLeases)
      }))

    leased("to one holder at a time, all or none", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const [a, b] = [leases(store), leases(yield* other(store))]
        const long = 60_000
        assert.isTrue(yield* a.acquire(key, [1, 2], "a", long))
        assert.isFalse(yield* b.acquire(key, [2, 3], "b", long))
        assert.isFalse(yield* b.acquire(key, [1], "b", long))
        assert.isTrue(yield* b.acquire(key, [3], "b", long))
        assert.isTrue(yield* a.acquire(key, [1, 2], "a", long))
        assert.isFalse(yield* a.acquire(key, [3], "a", long))
        assert.isTrue(yield* b.acquire(yield* makeKey(), [1], "b", long))
        yield* b.release(key, [1, 2, 3], "b")
        assert.isFalse(yield* b.acquire(key, [1], "b", long))
        assert.isTrue(yield* a.acquire(key, [3], "a", long))
        yield* a.release(key, [1, 2, 3], "a")
        assert.isTrue(yield* b.acquire(key, [1, 2, 3], "b", long))
        yield* b.release(key, [1, 2, 3], "b")
      }))

    leased("to one of many holders at once", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const both = [leases(store), leases(yield* other(store))]
        const results = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, i) => i),
          (i) => both[i % 2]!.acquire(key, [0, 1], `${i}`, 60_000),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(results.filter((isOurs) => isOurs).length, 1)
      }))

    leased("until they expire, and their holder can extend them", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const { acquire } = leases(yield* open)
        assert.isTrue(yield* acquire(key, [0], "a", 20))
        yield* Effect.repeat(acquire(key, [0], "b", 60_000), { until: (isOurs) => isOurs })
        assert.isTrue(yield* acquire(key, [1], "a", 20))
        assert.isTrue(yield* acquire(key, [1], "a", 60_000))
        assert.isTrue(yield* acquire(key, [2], "a", 20))
        yield* Effect.repeat(acquire(key, [2], "b", 60_000), { until: (isOurs) => isOurs })
        assert.isFalse(yield* acquire(key, [1], "b", 60_000))
      }))

    leased("so that one of two models requests, and the other waits", () =>
      Effect.gen(function*() {
        const model = unique()
        const store = yield* open
        const stores = [store, yield* other(store)]
        const source = yield* provider(model)
        const models = yield* Effect.forEach(stores, (store) =>
          Persistent.make(source.model, store, { lease: "1 minute" }))
        const runs = yield* Effect.forEach(
          [...models, ...models],
          (model) =>
            LlmModel.sampleMany("a", 6, { batch: 3 }).pipe(Effect.provideService(LlmModel.LlmModel, model)),
          { concurrency: "unbounded" }
        )
        for (const texts of runs) assert.deepStrictEqual(texts, Array.from({ length: 6 }, (_, i) => `a #${i}`))
        assert.strictEqual(source.samples.length, 6)
      }))
  })
}
