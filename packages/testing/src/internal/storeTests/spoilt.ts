import { assert, describe, it } from "@effect/vitest"
import { type Key, SampleStore } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { makeKey, put, type Subject } from "./subject.ts"

export const spoilt = ({ open, other, test, damage }: Subject): void => {
  describe("that is damaged", () => {
    const damaged = <A, E>(
      name: string,
      self: (damage: NonNullable<Subject["damage"]>) => Effect.Effect<A, E, Scope.Scope>
    ) =>
      damage === undefined
        ? it.effect.skip(`${name} (no way to damage it was given)`, () => Effect.void)
        : test(name, () => self(damage))

    damaged("tells a sample that is not what was put from one that is missing", (damage) =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        yield* put(store, key, [0, "a"], [1, "b"], [2, "c"])
        yield* damage(key, 1)
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

    damaged("ends many samples before one that is not what was put", (damage) =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        yield* put(store, key, [0, "a"], [1, "b"], [2, "c"], [3, "d"])
        yield* damage(key, 2)
        const again = yield* other(store)
        assert.deepStrictEqual((yield* again.getMany(key, 0, 4)).map(({ text }) => text), ["a", "b"])
        const error = yield* Effect.flip(again.getMany(key, 2, 2))
        assert.deepStrictEqual(error, yield* Effect.flip(again.get(key, 2)))
        assert.deepStrictEqual((yield* again.getMany(key, 3, 4)).map(({ text }) => text), ["d"])
      }))

    damaged("keeps what is there until it is removed", (damage) =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        yield* put(store, key, [0, "a"])
        yield* damage(key, 0)
        assert.deepStrictEqual(yield* put(store, key, [0, "b"]), [undefined])
        assert.strictEqual((yield* Effect.flip(store.get(key, 0))).kind, "Damaged")
        yield* store.remove(key, [0])
        assert.deepStrictEqual(yield* put(store, key, [0, "b"]), [0])
        assert.strictEqual((yield* store.get(key, 0))?.text, "b")
      }))

    damaged("says what is damaged when it is verified, and only that", (damage) =>
      Effect.gen(function*() {
        const key = yield* makeKey()
        const store = yield* open
        yield* put(store, key, [0, "a"], [1, "b"])
        const filter = ({ identity }: Key.Key) => identity.id === key.identity.id
        assert.deepStrictEqual((yield* SampleStore.verify(store, { filter })).damaged, [])
        yield* damage(key, 1)
        const { damaged, keys, samples } = yield* SampleStore.verify(store, { filter })
        assert.deepStrictEqual([keys, samples], [1, 2])
        assert.deepStrictEqual(damaged.map(({ key, position }) => [key?.prompt, position]), [[key.prompt, 1]])
      }))
  })
}
