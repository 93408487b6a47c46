import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { listed, makeKey, putTexts, type Subject } from "./subject.ts"

export const positions = ({ open, other, test }: Subject): void => {
  describe("lists positions", () => {
    test("in ascending order, with gaps", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const positions = [10, 2, 1_000_000_000_000, 0, 9, 100]
        yield* Effect.forEach(positions, (position) => putTexts(store, key, [position, `at ${position}`]))
        const again = yield* other(store)
        assert.deepStrictEqual(yield* again.positions(key), positions.toSorted((a, b) => a - b))
        for (const position of positions) {
          assert.strictEqual((yield* again.get(key, position))?.text, `at ${position}`)
        }
        assert.isUndefined(yield* again.get(key, 1))
        assert.isUndefined(yield* again.get(key, 1_000_000_000_001))
      }))

    test("of a prompt after discard: all of them, and none of a prompt without samples", () =>
      Effect.gen(function*() {
        const store = yield* open
        const { discard } = store
        if (discard === undefined) return
        const key = yield* makeKey()
        for (let i = 0; i < 2; i++) {
          yield* store.prepare(key)
          yield* discard(key)
          assert.deepStrictEqual(yield* store.positions(key), [])
          assert.deepStrictEqual(yield* listed(store, key.identity), [])
        }
        yield* putTexts(store, key, [0, "a"], [2, "c"])
        yield* discard(key)
        assert.deepStrictEqual(yield* (yield* other(store)).positions(key), [0, 2])
      }))

    test("of a new prompt: none, also after prepare", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        for (let i = 0; i < 2; i++) {
          assert.deepStrictEqual(yield* store.positions(key), [])
          assert.isUndefined(yield* store.get(key, 0))
          assert.deepStrictEqual(yield* listed(store, key.identity), [])
          yield* store.prepare(key)
        }
      }))

    test("without the removed ones, and the others stay", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        yield* putTexts(store, key, [0, "a"], [1, "b"], [2, "c"])
        yield* store.remove(key, [0, 2])
        yield* store.remove(key, [0, 7])
        const again = yield* other(store)
        assert.deepStrictEqual(yield* again.positions(key), [1])
        assert.isUndefined(yield* again.get(key, 0))
        assert.strictEqual((yield* again.get(key, 1))?.text, "b")
        assert.deepStrictEqual(yield* putTexts(again, key, [0, "new"]), [0])
        assert.strictEqual((yield* store.get(key, 0))?.text, "new")
        yield* again.remove(key, [0, 1])
        assert.deepStrictEqual(yield* listed(store, key.identity), [])
      }))
  })
}
