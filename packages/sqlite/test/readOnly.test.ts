import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { SqliteStore } from "../src/index.ts"
import { keyOf, newFile, put } from "./support/file.ts"

describe("a file opened for reading", () => {
  it.effect("is read without a further file in its folder, and refuses samples", () =>
    Effect.gen(function*() {
      const file = yield* newFile
      const key = yield* keyOf("p")
      yield* Effect.scoped(Effect.flatMap(SqliteStore.make({ file }), (store) => put(store, key, 0)))
      const names = Fs.readdirSync(Path.dirname(file))
      const content = Fs.readFileSync(file)
      const store = yield* SqliteStore.make({ file, isReadOnly: true })
      assert.isDefined(yield* store.get(key, 0))
      assert.lengthOf(yield* Stream.runCollect(store.identities), 1)
      for (const write of [store.prepare(key), put(store, key, 1), store.remove(key, [0])]) {
        const { kind, message } = yield* Effect.flip(write)
        assert.strictEqual(kind, "Unavailable")
        assert.include(message, "opened for reading. Leave out `isReadOnly`")
      }
      assert.deepStrictEqual(Fs.readdirSync(Path.dirname(file)), names)
      assert.isTrue(content.equals(Fs.readFileSync(file)))
    }))

  it.effect("shows the samples that another process stores meanwhile", () =>
    Effect.gen(function*() {
      const file = yield* newFile
      const key = yield* keyOf("p")
      const reader = yield* SqliteStore.make({ file, isReadOnly: true })
      assert.deepStrictEqual(yield* reader.positions(key), [])
      for (const position of [0, 1]) {
        yield* Effect.scoped(Effect.flatMap(SqliteStore.make({ file }), (store) => put(store, key, position)))
        assert.lengthOf(yield* reader.positions(key), position + 1)
      }
      const writer = yield* SqliteStore.make({ file })
      yield* put(writer, key, 2)
      assert.lengthOf(yield* reader.positions(key), 3)
    }))
})
