import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { texts } from "../values.ts"
import { entry, makeKey, nonEmpty, putTexts, type Subject } from "./subject.ts"

export const getMany = ({ open, other, test }: Subject): void => {
  describe("reads many samples at once", () => {
    test("with their metadata and origins", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const entries = texts.map(([, text], position) => ({
          position,
          drawn: { text, metadata: { request: "r", index: position, finishReason: "stop" }, origins: [position, 7] }
        }))
        yield* store.put(key, nonEmpty(entries), "drop")
        const again = yield* other(store)
        const drawn = entries.map(({ drawn }) => drawn)
        assert.deepStrictEqual(yield* again.getMany(key, 0, drawn.length), drawn)
        assert.deepStrictEqual(yield* again.getMany(key, 0, 1_000_000_000), drawn)
        assert.deepStrictEqual(yield* again.getMany(key, 2, 3), drawn.slice(2, 5))
        assert.deepStrictEqual(yield* again.getMany(key, drawn.length, 3), [])
        assert.deepStrictEqual(yield* again.getMany(key, 0, 0), [])
        assert.deepStrictEqual(yield* again.getMany(yield* makeKey(), 0, 3), [])
      }))

    test("up to the first gap", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const far = 1_000_000_000_000
        const positions = [0, 1, 3, 4, 5, 1_048_574, 1_048_575, 1_048_576, 1_048_577, far, far + 1]
        for (const position of positions) yield* putTexts(store, key, [position, `at ${position}`])
        const read = (from: number, count: number) =>
          Effect.map(store.getMany(key, from, count), (found) => found.map(({ text }) => text))
        assert.deepStrictEqual(yield* read(0, 10), ["at 0", "at 1"])
        assert.deepStrictEqual(yield* read(1, 1), ["at 1"])
        assert.deepStrictEqual(yield* read(2, 10), [])
        assert.deepStrictEqual(yield* read(3, 1000), ["at 3", "at 4", "at 5"])
        assert.deepStrictEqual(yield* read(1_048_574, 10), positions.slice(5, 9).map((position) => `at ${position}`))
        assert.deepStrictEqual(yield* read(far, 10), [`at ${far}`, `at ${far + 1}`])
      }))

    test("a thousand of them", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const entries = Array.from({ length: 1000 }, (_, i) => entry(i, `sample ${i}`))
        for (let i = 0; i < entries.length; i += 100) {
          yield* store.put(key, nonEmpty(entries.slice(i, i + 100)), "drop")
        }
        const drawn = entries.map(({ drawn }) => drawn)
        assert.deepStrictEqual(yield* store.getMany(key, 0, 1000), drawn)
        assert.deepStrictEqual(yield* store.getMany(key, 100, 600), drawn.slice(100, 700))
        yield* store.remove(key, [512])
        assert.deepStrictEqual(yield* store.getMany(key, 0, 1000), drawn.slice(0, 512))
      }))
  })
}
