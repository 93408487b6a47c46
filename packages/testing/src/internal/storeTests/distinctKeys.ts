import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { paths, triples } from "../values.ts"
import { listed, makeKey, putTexts, type Subject, textsOf, unique } from "./subject.ts"

export const distinctKeys = ({ open, other, test }: Subject): void => {
  describe("keeps apart the keys", () => {
    test("of identities that differ in one parameter", () =>
      Effect.gen(function*() {
        const model = unique()
        const store = yield* open
        const again = yield* other(store)
        const keys = yield* Effect.forEach(triples(model), (options) => makeKey(options))
        yield* Effect.forEach(keys, (key, i) => putTexts(store, key, [0, `${i}`], [1, `${i} too`]))
        for (const [i, key] of keys.entries()) {
          assert.deepStrictEqual(yield* textsOf(again, key), [`${i}`, `${i} too`], key.identity.toString())
          assert.deepStrictEqual((yield* listed(again, key.identity)).map(({ key }) => key.identity.id), [
            key.identity.id
          ])
        }
      }))

    test("of prompts that differ in case, spaces or composed letters", () =>
      Effect.gen(function*() {
        const model = unique()
        const store = yield* open
        const prompts = ["a", "A", "a ", " a", "a\n", "\u00E9", "e\u0301", "", "\0", "a\0"]
        const keys = yield* Effect.forEach(prompts, (prompt) => makeKey({ model, prompt }))
        yield* Effect.forEach(keys, (key, i) => putTexts(store, key, [0, `${i}`]))
        for (const [i, key] of keys.entries()) assert.deepStrictEqual(yield* textsOf(store, key), [`${i}`])
        const stored = yield* listed(store, keys[0]!.identity)
        assert.deepStrictEqual(stored.map(({ key }) => key.prompt).toSorted(), prompts.toSorted())
      }))

    test("of different forks", () =>
      Effect.gen(function*() {
        const model = unique()
        const store = yield* open
        const again = yield* other(store)
        const keys = yield* Effect.forEach(paths, (path) => makeKey({ model, path }))
        yield* Effect.forEach(keys, (key, i) => putTexts(store, key, [0, `${i}`]))
        for (const [i, key] of keys.entries()) {
          assert.deepStrictEqual(yield* textsOf(again, key), [`${i}`], JSON.stringify(key.path))
        }
        const found = yield* listed(again, keys[0]!.identity)
        assert.deepStrictEqual(
          found.map(({ key }) => JSON.stringify(key.path)).toSorted(),
          paths.map((path) => JSON.stringify(path)).toSorted()
        )
      }))
  })
}
