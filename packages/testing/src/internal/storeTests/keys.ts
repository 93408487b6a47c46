import { assert, describe, it } from "@effect/vitest"
import type { SampleStore } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { triples } from "../values.ts"
import { listed, makeKey, putTexts, type Subject, unique } from "./subject.ts"

export const keys = ({ damage, open, other, test }: Subject): void => {
  describe("lists", () => {
    test("every key with samples once, and how many it has", () =>
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
          for (let position = 0; position < i % 4; position++) yield* putTexts(store, key, [position, `${position}`])
        }
        const expected = keys.flatMap((key, i) => i % 4 === 0 ? [] : [[key.prompt, key.path, i % 4]])
        const found = yield* listed(again, keys[0]!.identity)
        assert.deepStrictEqual(sorted(found.map(toRow)), sorted(expected))
      }))

    test("the keys of one identity, as a list of all keys has them", () =>
      Effect.gen(function*() {
        const model = unique()
        const store = yield* open
        const again = yield* other(store)
        for (const [i, options] of triples(model).entries()) {
          for (const prompt of ["a", "b"]) {
            yield* putTexts(store, yield* makeKey({ ...options, prompt }), [0, `${i}`], [2, `${i} too`])
            yield* putTexts(store, yield* makeKey({ ...options, prompt, path: [`fork ${i}`] }), [0, `${i} in a fork`])
          }
        }
        const all = (yield* Stream.runCollect(again.keys())).filter(Result.isSuccess).map(({ success }) => success)
        for (const options of triples(model)) {
          const { identity } = yield* makeKey(options)
          const found = (yield* Stream.runCollect(again.keys({ identity }))).map(Result.getOrThrow)
          const expected = all.filter(({ key }) => key.identity.id === identity.id)
          assert.strictEqual(expected.length, 4)
          for (const { key } of found) assert.strictEqual(key.identity.id, identity.id)
          assert.deepStrictEqual(sorted(found.map(toRow)), sorted(expected.map(toRow)))
        }
      }))

    test("the keys of one identity: none for an unknown identity, or after the last sample was removed", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        const list = Stream.runCollect(store.keys({ identity: key.identity }))
        assert.deepStrictEqual(yield* list, [])
        yield* store.prepare(key)
        assert.deepStrictEqual(yield* list, [])
        yield* putTexts(store, key, [0, "a"])
        assert.strictEqual((yield* list).length, 1)
        yield* store.remove(key, [0])
        assert.deepStrictEqual(yield* list, [])
      }))

    test("the keys of one identity, hundreds of them, each once", () =>
      Effect.gen(function*() {
        const model = unique()
        const store = yield* open
        const keys = yield* Effect.forEach(
          Array.from({ length: 300 }, (_, i) => i),
          (i) => makeKey({ model, prompt: `p${i % 43}`, path: i < 43 ? [] : [`${i}`] })
        )
        yield* Effect.forEach(keys, (key) => putTexts(store, key, [0, "x"]), { concurrency: 20 })
        const { identity } = keys[0]!
        const found = (yield* Stream.runCollect(store.keys({ identity }))).map(Result.getOrThrow)
        assert.deepStrictEqual(sorted(found.map(toRow)), sorted(keys.map((key) => [key.prompt, key.path, 1])))
        assert.strictEqual((yield* Stream.runCollect(Stream.take(store.keys({ identity }), 7))).length, 7)
      }))

    if (damage === undefined) {
      it.effect.skip("the key of a damaged sample (needs an option)", () => Effect.void)
      return
    }

    test("the key of a damaged sample", () =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        yield* putTexts(store, key, [0, "a"])
        yield* damage(key, 0)
        const found = yield* Stream.runCollect(store.keys({ identity: key.identity }))
        assert.deepStrictEqual(found.map((element) => toRow(Result.getOrThrow(element))), [[key.prompt, key.path, 1]])
      }))
  })
}

const toRow = ({ key, samples }: SampleStore.Listed) => [key.prompt, key.path, samples]

const sorted = (items: ReadonlyArray<unknown>) => items.map((item) => JSON.stringify(item)).toSorted()
