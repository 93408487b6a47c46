import { assert, describe, it } from "@effect/vitest"
import { type Key, Transfer } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { makeKey, putTexts, type Subject } from "./subject.ts"

export const damage = ({ open, other, test, damage: spoil }: Subject): void => {
  describe("with a damaged sample", () => {
    const damaged = <A, E>(
      name: string,
      self: (spoil: NonNullable<Subject["damage"]>) => Effect.Effect<A, E, Scope.Scope>
    ) =>
      spoil === undefined
        ? it.effect.skip(`${name} (needs an option)`, () => Effect.void)
        : test(name, () => self(spoil))

    damaged("fails to read it, and reads the others", (spoil) =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        yield* putTexts(store, key, [0, "a"], [1, "b"], [2, "c"])
        yield* spoil(key, 1)
        const again = yield* other(store)
        const error = yield* Effect.flip(again.get(key, 1))
        assert.strictEqual(error.kind, "Damaged")
        assert.strictEqual(error.operation, "get")
        assert.strictEqual(error.key?.promptHash, key.promptHash)
        assert.strictEqual(error.position, 1)
        assert.isUndefined(yield* again.get(key, 3))
        assert.strictEqual((yield* again.get(key, 0))?.text, "a")
        assert.strictEqual((yield* again.get(key, 2))?.text, "c")
        assert.deepStrictEqual(yield* again.positions(key), [0, 1, 2])
      }))

    damaged("getMany stops before it", (spoil) =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        yield* putTexts(store, key, [0, "a"], [1, "b"], [2, "c"], [3, "d"])
        yield* spoil(key, 2)
        const again = yield* other(store)
        assert.deepStrictEqual((yield* again.getMany(key, 0, 4)).map(({ text }) => text), ["a", "b"])
        const error = yield* Effect.flip(again.getMany(key, 2, 2))
        assert.deepStrictEqual(error, yield* Effect.flip(again.get(key, 2)))
        assert.deepStrictEqual((yield* again.getMany(key, 3, 4)).map(({ text }) => text), ["d"])
      }))

    damaged("keeps it until it is removed", (spoil) =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        yield* putTexts(store, key, [0, "a"])
        yield* spoil(key, 0)
        assert.deepStrictEqual(yield* putTexts(store, key, [0, "b"]), [undefined])
        assert.strictEqual((yield* Effect.flip(store.get(key, 0))).kind, "Damaged")
        yield* store.remove(key, [0])
        assert.deepStrictEqual(yield* putTexts(store, key, [0, "b"]), [0])
        assert.strictEqual((yield* store.get(key, 0))?.text, "b")
      }))

    damaged("verify names it, and no other", (spoil) =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        yield* putTexts(store, key, [0, "a"], [1, "b"])
        const filter = ({ identity }: Key.Key) => identity.id === key.identity.id
        assert.deepStrictEqual((yield* Transfer.verify(store, { filter })).damaged, [])
        yield* spoil(key, 1)
        const { damaged, keys, samples } = yield* Transfer.verify(store, { filter })
        assert.deepStrictEqual([keys, samples], [1, 2])
        assert.deepStrictEqual(damaged.map(({ key, position }) => [key?.prompt, position]), [[key.prompt, 1]])
      }))
  })
}
