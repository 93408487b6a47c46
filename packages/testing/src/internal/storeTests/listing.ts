import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { listed, makeKey, put, type Subject, unique } from "./subject.ts"

export const listing = ({ open, other, test }: Subject): void => {
  describe("lists", () => {
    test("every key that has samples, once, with their number", () =>
      Effect.gen(function*() {
        const model = unique()
        const store = yield* open
        const again = yield* other(store)
        const keys = yield* Effect.forEach(
          Array.from({ length: 30 }, (_, i) => i),
          (i) => makeKey({ model, prompt: `p${i % 10}`, path: i < 10 ? [] : [`${i}`, "x"] })
        )
        for (const [i, key] of keys.entries()) {
          yield* store.prepare(key)
          for (let position = 0; position < i % 4; position++) yield* put(store, key, [position, `${position}`])
        }
        const expected = keys.flatMap((key, i) => i % 4 === 0 ? [] : [[key.prompt, key.path, i % 4]])
        const found = (yield* listed(again, keys[0]!.identity)).map(({ key, samples }) => [
          key.prompt,
          key.path,
          samples
        ])
        const sorted = (items: ReadonlyArray<unknown>) => items.map((item) => JSON.stringify(item)).toSorted()
        assert.deepStrictEqual(sorted(found), sorted(expected))
      }))

    test("at most as many prompts as it is asked for, and no other identity's", () =>
      Effect.gen(function*() {
        const [model, another] = [unique(), unique()]
        const store = yield* open
        for (const prompt of ["a", "b", "c"]) yield* put(store, yield* makeKey({ model, prompt }), [0, "x"])
        yield* put(store, yield* makeKey({ model: another, prompt: "d" }), [0, "x"])
        yield* put(store, yield* makeKey({ model: another, prompt: "e", path: ["fork"] }), [0, "x"])
        const { identity } = yield* makeKey({ model })
        assert.deepStrictEqual((yield* store.prompts(identity, 10)).toSorted(), ["a", "b", "c"])
        assert.strictEqual((yield* store.prompts(identity, 2)).length, 2)
        const rest = yield* store.prompts((yield* makeKey({ model: another })).identity, 10)
        assert.deepStrictEqual(rest.toSorted(), ["d", "e"])
        assert.deepStrictEqual(yield* store.prompts((yield* makeKey()).identity, 10), [])
      }))
  })
}
