import { assert, describe } from "@effect/vitest"
import { type Key, MemoryStore, type Sample, Transfer } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import { texts } from "../values.ts"
import { makeKey, putTexts, type Subject, textsOf, unique } from "./subject.ts"

export const transfers = ({ open, test }: Subject): void => {
  describe("transfers", () => {
    test("metadata that only a later version knows", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const metadata = { model: "m", later: { field: ["\0", null, 1.5] }, flag: false }
        const drawn: Sample.Drawn = { text: "a", metadata, origins: [1] }
        const [from, to] = [yield* MemoryStore.make, yield* MemoryStore.make]
        yield* from.put(key, [{ position: 0, drawn }], "drop")
        const store = yield* open
        yield* Transfer.copy(from, store)
        yield* Transfer.copy(store, to, { filter: ({ identity }) => identity.id === key.identity.id })
        assert.deepStrictEqual({ ...yield* to.get(key, 0) }, drawn)
      }))

    test("all samples to another store and back, in order", () =>
      Effect.gen(function*() {
        const model = unique()
        const store = yield* open
        const keys = yield* Effect.forEach(
          texts.slice(0, -1),
          ([, text]) => makeKey({ model, prompt: text, path: [`fork ${text.length}`] })
        )
        for (const [i, key] of keys.entries()) {
          yield* putTexts(store, key, ...texts.map(([, text], j): readonly [number, string] => [j + i, text]))
        }
        const filter = ({ identity }: Key.Key) => identity.name === model
        const samples = keys.length * texts.length
        const memory = yield* MemoryStore.make
        const nothing = { copied: 0, present: 0, kept: 0, replaced: 0, appended: 0, damaged: [] }
        assert.deepStrictEqual(yield* Transfer.copy(store, memory, { filter }), { ...nothing, copied: samples })
        assert.deepStrictEqual(yield* Transfer.copy(memory, store), { ...nothing, present: samples })
        for (const key of keys) yield* store.remove(key, [2, 5])
        const again = yield* Transfer.copy(memory, store)
        const removed = again.copied
        assert.deepStrictEqual(again, { ...nothing, copied: removed, present: samples - removed })
        assert.isAbove(removed, 0)
        for (const key of keys) assert.deepStrictEqual(yield* textsOf(store, key), yield* textsOf(memory, key))
      }))

    for (const ifDifferent of ["ours", "theirs", "append"] as const) {
      test(`different samples once, by the policy ${ifDifferent}`, () =>
        Effect.gen(function*() {
          const key = yield* makeKey()
          const store = yield* open
          const memory = yield* MemoryStore.make
          yield* putTexts(store, key, [0, "a"], [1, "ours"], [2, "ours too"])
          yield* putTexts(memory, key, [0, "a"], [1, "theirs"], [2, "theirs too"], [3, "new"])
          const error = yield* Effect.flip(Transfer.merge(memory, store))
          assert.strictEqual(error._tag, "SampleConflict")
          if (error._tag === "SampleConflict") {
            assert.strictEqual(error.key.prompt, key.prompt)
            assert.strictEqual(error.position, 1)
            assert.include(error.message, key.promptHash)
          }
          const expected = {
            ours: ["a", "ours", "ours too", "new"],
            theirs: ["a", "theirs", "theirs too", "new"],
            append: ["a", "ours", "ours too", "new", "theirs", "theirs too"]
          }[ifDifferent]
          for (let i = 0; i < 2; i++) {
            yield* Transfer.merge(memory, store, { ifDifferent })
            assert.deepStrictEqual(yield* textsOf(store, key), expected)
          }
        }))
    }
  })
}
