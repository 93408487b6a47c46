import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { entry, makeKey, nonEmpty, putTexts, type Subject, textsOf } from "./subject.ts"

export const put = ({ open, other, test }: Subject): void => {
  describe("never writes over a sample", () => {
    test("the first writer wins, and put tells the second", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const again = yield* other(store)
        assert.deepStrictEqual(yield* putTexts(store, key, [1, "first"]), [1])
        assert.deepStrictEqual(yield* putTexts(again, key, [0, "zero"], [1, "second"], [2, "two"]), [0, undefined, 2])
        assert.deepStrictEqual(yield* textsOf(store, key), ["zero", "first", "two"])
      }))

    test("appended samples go to the next free positions, in their order", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const again = yield* other(store)
        yield* putTexts(store, key, [0, "a"], [1, "b"], [3, "d"])
        const entries = [entry(0, "x"), entry(1, "y"), entry(2, "z")]
        assert.deepStrictEqual(yield* again.put(key, nonEmpty(entries), "append"), [2, 4, 5])
        assert.deepStrictEqual(yield* textsOf(store, key), ["a", "b", "x", "d", "y", "z"])
      }))

    for (const ifTaken of ["drop", "append"] as const) {
      test(`a sample that is put twice is stored once (${ifTaken})`, () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const again = yield* other(store)
          yield* putTexts(store, key, [1, "taken"])
          const entries = nonEmpty([
            { ...entry(0, "same"), id: "a 0" },
            { ...entry(1, "same"), id: "a 1" },
            { ...entry(2, "same"), id: "a 2" }
          ])
          const positions = ifTaken === "drop" ? [0, undefined, 2] : [0, 2, 3]
          assert.deepStrictEqual(yield* store.put(key, entries, ifTaken), positions)
          assert.deepStrictEqual(yield* again.put(key, entries, ifTaken), positions)
          // Alone as well.
          for (const [i, entry] of entries.entries()) {
            assert.deepStrictEqual(yield* again.put(key, [entry], ifTaken), [positions[i]])
          }
          const others = nonEmpty(entries.map((entry) => ({ ...entry, id: `b ${entry.id}` })))
          assert.deepStrictEqual(
            yield* store.put(key, others, ifTaken),
            ifTaken === "drop" ? [undefined, undefined, undefined] : [4, 5, 6]
          )
          assert.strictEqual((yield* again.get(key, 1))?.text, "taken")
          assert.strictEqual((yield* again.positions(key)).length, ifTaken === "drop" ? 3 : 7)
        }))
    }

    test("a removed sample is put anew, although another sample took its position", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const again = yield* other(store)
        const mine = { ...entry(0, "mine"), id: "a 0" }
        assert.deepStrictEqual(yield* store.put(key, [mine], "drop"), [0])
        yield* store.remove(key, [0])
        assert.deepStrictEqual(yield* again.put(key, [{ ...entry(0, "theirs"), id: "b 0" }], "drop"), [0])
        assert.deepStrictEqual(yield* store.put(key, [mine], "drop"), [undefined])
        assert.deepStrictEqual(yield* store.put(key, [mine], "append"), [1])
        assert.deepStrictEqual(yield* textsOf(again, key), ["theirs", "mine"])
      }))

    test("many writers at once lose no sample, and each sample has one position", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const again = yield* other(store)
        const texts = Array.from({ length: 60 }, (_, i) => `sample ${i}`)
        const placed = yield* Effect.forEach(texts, (text, i) =>
          (i % 2 === 0 ? store : again).put(
            key,
            [{ ...entry(0, `${text} a`), id: `${i} a` }, { ...entry(1, `${text} b`), id: `${i} b` }],
            "append"
          ), { concurrency: "unbounded" })
        const positions = Array.from({ length: 120 }, (_, i) => i)
        assert.deepStrictEqual(placed.flat().toSorted((a, b) => a! - b!), positions)
        assert.deepStrictEqual(yield* store.positions(key), positions)
        for (const [i, [a, b]] of placed.entries()) {
          assert.strictEqual((yield* store.get(key, a!))?.text, `${texts[i]} a`)
          assert.strictEqual((yield* again.get(key, b!))?.text, `${texts[i]} b`)
        }
      }))

    test("of many writers of one position one wins, and all see its sample", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const again = yield* other(store)
        const results = yield* Effect.forEach(
          Array.from({ length: 40 }, (_, i) => i),
          (i) => Effect.map(putTexts(i % 2 === 0 ? store : again, key, [0, `by ${i}`]), ([at]) => ({ i, at })),
          { concurrency: "unbounded" }
        )
        const winners = results.filter(({ at }) => at === 0)
        assert.strictEqual(winners.length, 1)
        assert.strictEqual((yield* store.get(key, 0))?.text, `by ${winners[0]!.i}`)
        assert.strictEqual((yield* again.get(key, 0))?.text, `by ${winners[0]!.i}`)
      }))
  })
}
