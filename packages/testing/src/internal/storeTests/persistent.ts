import { assert, describe } from "@effect/vitest"
import { Independent, LlmModel, MemoryStore, Persistent } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import { makeKey, provider, type Subject, textsOf, unique } from "./subject.ts"

export const persistent = ({ open, other, test, durably }: Subject): void => {
  describe("beneath Persistent", () => {
    durably("replays a run without requests", () =>
      Effect.gen(function*() {
        const source = yield* provider(unique())
        const record = Effect.gen(function*() {
          const model = yield* Persistent.make(source.model, yield* open)
          const independent = yield* Independent.make(model)
          const using = Effect.provideService(LlmModel.LlmModel, independent)
          return yield* Effect.all([
            LlmModel.sampleMany("a", 3),
            LlmModel.sampleMany("a", 2, { batch: 4 }),
            LlmModel.sampleMany("b", 1)
          ]).pipe(using)
        }).pipe(Effect.scoped)
        const first = yield* record
        assert.deepStrictEqual(first, [["a #0", "a #1", "a #2"], ["a #3", "a #4"], ["b #7"]])
        const requests = source.requests.length
        assert.deepStrictEqual(yield* record, first)
        assert.strictEqual(source.requests.length, requests)
      }))

    durably("goes on behind the recorded samples of a shared reader", () =>
      Effect.gen(function*() {
        const source = yield* provider(unique())
        const big = yield* MemoryStore.make
        const draw = (n: number) =>
          Effect.gen(function*() {
            const independent = yield* Independent.make(yield* Persistent.make(source.model, big))
            const model = yield* Persistent.make(independent, yield* open)
            const using = (model: LlmModel.Model) => Effect.provideService(LlmModel.LlmModel, model)
            const recorded = yield* LlmModel.sampleMany("a", n).pipe(using(model))
            return [recorded, yield* LlmModel.sampleOne("a").pipe(using(independent))]
          }).pipe(Effect.scoped)
        assert.deepStrictEqual(yield* draw(2), [["a #0", "a #1"], "a #2"])
        assert.deepStrictEqual(yield* draw(1), [["a #0"], "a #2"])
      }))

    test("keeps all samples of two models that miss the same position at once, and both agree", () =>
      Effect.gen(function*() {
        const model = unique()
        const store = yield* open
        const stores = [store, yield* other(store)]
        const runs = yield* Effect.forEach(stores, (store, i) =>
          Effect.gen(function*() {
            const source = yield* provider(model, `of ${i}`)
            const persistent = yield* Persistent.make(source.model, store)
            return yield* LlmModel.sampleMany("a", 5, { batch: 2 }).pipe(
              Effect.provideService(LlmModel.LlmModel, persistent),
              Effect.map((texts) => ({ texts, requested: source.samples }))
            )
          }), { concurrency: "unbounded" })
        const [one, two] = runs
        assert.deepStrictEqual(one!.texts, two!.texts)
        const stored = yield* textsOf(store, yield* makeKey({ model, prompt: "a" }))
        assert.deepStrictEqual(stored.slice(0, 5), one!.texts)
        assert.sameMembers(stored, [...one!.requested, ...two!.requested])
      }))
  })
}
