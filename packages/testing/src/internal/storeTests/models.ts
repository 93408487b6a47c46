import { assert, describe } from "@effect/vitest"
import { Independent, LlmModel, Persistent, SampleStore } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import { makeKey, provider, type Subject, textsOf, unique } from "./subject.ts"

export const models = ({ open, other, test, durably }: Subject): void => {
  describe("under a model", () => {
    durably("replays in another run, without a request, what one has recorded", () =>
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
        const requests = source.requests()
        assert.deepStrictEqual(yield* record, first)
        assert.strictEqual(source.requests(), requests)
      }))

    durably("goes on behind what it has recorded of a shared reader", () =>
      Effect.gen(function*() {
        const source = yield* provider(unique())
        const big = yield* SampleStore.memory
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

    test("two that miss the same position at the same time agree, and both keep what they bought", () =>
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
              Effect.map((texts) => ({ texts, bought: source.bought }))
            )
          }), { concurrency: "unbounded" })
        const [one, two] = runs
        assert.deepStrictEqual(one!.texts, two!.texts)
        const stored = yield* textsOf(store, yield* makeKey({ model, prompt: "a" }))
        assert.deepStrictEqual(stored.slice(0, 5), one!.texts)
        assert.sameMembers(stored, [...one!.bought(), ...two!.bought()])
      }))
  })
}
