import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { listed, makeKey, put, type Subject } from "./subject.ts"

export const positions = ({ open, other, test }: Subject): void => {
  describe("knows positions", () => {
    test("in their order, with gaps, however they were put", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const positions = [10, 2, 1_000_000_000_000, 0, 9, 100]
        yield* Effect.forEach(positions, (position) => put(store, key, [position, `at ${position}`]))
        const again = yield* other(store)
        assert.deepStrictEqual(yield* again.positions(key), positions.toSorted((a, b) => a - b))
        for (const position of positions) {
          assert.strictEqual((yield* again.get(key, position))?.text, `at ${position}`)
        }
        assert.isUndefined(yield* again.get(key, 1))
        assert.isUndefined(yield* again.get(key, 1_000_000_000_001))
      }))

    test("of a prompt that it does not have: none, also when it was made ready for it", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        for (let i = 0; i < 2; i++) {
          assert.deepStrictEqual(yield* store.positions(key), [])
          assert.isUndefined(yield* store.get(key, 0))
          assert.deepStrictEqual(yield* store.prompts(key.identity, 10), [])
          assert.deepStrictEqual(yield* listed(store, key.identity), [])
          yield* store.prepare(key)
        }
      }))

    test("that are removed are missing, and the others stay where they are", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        yield* put(store, key, [0, "a"], [1, "b"], [2, "c"])
        yield* store.remove(key, [0, 2])
        yield* store.remove(key, [0, 7])
        const again = yield* other(store)
        assert.deepStrictEqual(yield* again.positions(key), [1])
        assert.isUndefined(yield* again.get(key, 0))
        assert.strictEqual((yield* again.get(key, 1))?.text, "b")
        assert.deepStrictEqual(yield* put(again, key, [0, "new"]), [0])
        assert.strictEqual((yield* store.get(key, 0))?.text, "new")
        yield* again.remove(key, [0, 1])
        assert.deepStrictEqual(yield* listed(store, key.identity), [])
        assert.deepStrictEqual(yield* store.prompts(key.identity, 10), [])
      }))
  })
}
