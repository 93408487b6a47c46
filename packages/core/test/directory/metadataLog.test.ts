import { assert, describe, it } from "@effect/vitest"
import { Transfer } from "@llm-cache/core"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { crc32 } from "node:zlib"
import { sampleName } from "../../src/internal/store/sampleName.ts"
import { drawn, keyOf } from "../support/caches.ts"
import { makeDirectory } from "../support/directory.ts"
import { patched } from "../support/patched.ts"
import { directoryStore } from "../support/stack.ts"

describe("the metadata log", () => {
  it.effect("a line that was torn by a kill does not spoil the lines behind it", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const key = yield* keyOf({})
      const store = yield* directoryStore(root)
      yield* store.put(key, [{ position: 0, drawn: drawn("zero", { origins: [4] }) }], "drop")
      const log = Path.join(store.describe(key), "0-255.jsonl")
      Fs.appendFileSync(log, "\n{\"position\":1,\"by")
      yield* store.put(key, [{ position: 1, drawn: drawn("one", { origins: [5] }) }], "drop")
      const again = yield* directoryStore(root)
      assert.deepStrictEqual(yield* again.get(key, 0), drawn("zero", { origins: [4] }))
      assert.deepStrictEqual(yield* again.get(key, 1), drawn("one", { origins: [5] }))
    }))

  it.effect("a changed rest of an answer is damage, whichever way the sample is read", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const key = yield* keyOf({})
      const store = yield* directoryStore(root)
      const rest = { call: "f(1)" }
      yield* store.put(key, [{ position: 0, drawn: drawn("zero", { metadata: { rest } }) }], "drop")
      yield* store.put(key, [{ position: 1, drawn: drawn("one") }], "drop")
      assert.deepStrictEqual(store.peek!(key, 0, 1)[0]?.metadata, { rest })
      const log = Path.join(store.describe(key), "0-255.jsonl")
      const before = Fs.readFileSync(log, "utf8")
      Fs.writeFileSync(log, before.replace("f(1)", "f(20)"))
      for (const again of [store, yield* directoryStore(root)]) {
        assert.deepStrictEqual(again.peek!(key, 0, 1), [])
        assert.deepStrictEqual(again.peek!(key, 0, 2), [])
        const error = yield* Effect.flip(again.get(key, 0))
        assert.strictEqual(error.kind, "Damaged")
        assert.include(error.message, "\"rest\" was changed")
        assert.strictEqual((yield* again.get(key, 1))?.text, "one")
      }
      assert.strictEqual((yield* Transfer.verify(store)).damaged.length, 1)
      Fs.writeFileSync(log, before)
      assert.deepStrictEqual((yield* (yield* directoryStore(root)).get(key, 0))?.metadata, { rest })
    }))

  it.effect("metadata are found at any position of a long sequence", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const key = yield* keyOf({})
      const store = yield* directoryStore(root)
      const positions = [0, 255, 256, 257, 511, 512, 100_000]
      for (const position of positions) {
        yield* store.put(key, [{ position: position, drawn: drawn(`${position}`, { origins: [position] }) }], "drop")
      }
      assert.deepStrictEqual(yield* store.positions(key), positions)
      for (const position of positions) {
        assert.deepStrictEqual(yield* store.get(key, position), drawn(`${position}`, { origins: [position] }))
      }
    }))

  it.effect("a store that has read the file finds a line that another process appends", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const key = yield* keyOf({})
      const [one, two] = [yield* directoryStore(root), yield* directoryStore(root)]
      yield* one.put(key, [{ position: 0, drawn: drawn("zero", { origins: [0] }) }], "drop")
      yield* two.get(key, 0)
      yield* one.put(key, [{ position: 1, drawn: drawn("one", { origins: [1] }) }], "drop")
      assert.deepStrictEqual(yield* two.get(key, 1), drawn("one", { origins: [1] }))
      // Deleted and drawn again.
      Fs.rmSync(Path.join(one.describe(key), "1.md"))
      yield* one.put(key, [{ position: 1, drawn: drawn("other", { origins: [2] }) }], "drop")
      assert.deepStrictEqual(yield* two.get(key, 1), drawn("other", { origins: [2] }))
    }))

  it.effect("a sample that another process drew again with an equal text has its own metadata", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const [here, there] = [yield* directoryStore(root), yield* directoryStore(root)]
      const key = yield* keyOf({})
      const [one, other] = [drawn("7", { origins: [0] }), drawn("7", { metadata: { request: "other" }, origins: [5] })]
      yield* there.put(key, [{ position: 0, drawn: one }], "drop")
      assert.deepStrictEqual(yield* here.get(key, 0), one)
      yield* there.remove(key, [0])
      yield* there.put(key, [{ position: 0, drawn: other }], "drop")
      assert.deepStrictEqual(yield* here.get(key, 0), other)
      assert.deepStrictEqual(yield* here.getMany(key, 0, 2), [other])
    }))

  it.effect("a sample that another process writes during a read has its metadata", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const [here, there] = [yield* directoryStore(root), yield* directoryStore(root, { durability: "process" })]
      const key = yield* keyOf({})
      const samples = ["zero", "one", "two"].map((text, i) => drawn(text, { origins: [i] }))
      const put = (position: number) => there.put(key, [{ position, drawn: samples[position]! }], "drop")
      yield* put(0)
      yield* put(1)
      const writing = patched(["openSync"], (_, original) => (...args) => {
        if (String(args[0]).endsWith("1.md") && args[1] === "r" && !Fs.existsSync(`${here.describe(key)}/2.md`)) {
          Effect.runSync(put(2))
        }
        return original(...args)
      })
      assert.deepStrictEqual(yield* writing(here.getMany(key, 0, 3)), samples)
    }))

  it.effect("a sample that is put again is found by the id that its line has", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const key = yield* keyOf({})
      const store = yield* directoryStore(root)
      const named = drawn("x", { metadata: { request: "r", index: 0 } })
      yield* store.put(key, [{ position: 0, drawn: named, id: "a 0" }], "drop")
      yield* store.put(key, [{ position: 1, drawn: drawn("x") }], "drop")
      const lines = Fs.readFileSync(Path.join(store.describe(key), "0-255.jsonl"), "utf8").trim().split("\n")
      assert.strictEqual(JSON.parse(lines[0]!).id, "a 0")
      const other = yield* directoryStore(root)
      const again = (position: number, id: string | undefined) =>
        other.put(key, [{ position, drawn: drawn("x"), id }], "drop")
      assert.deepStrictEqual(yield* again(0, "a 0"), [0])
      for (const id of ["another", sampleName(named), undefined]) {
        assert.deepStrictEqual(yield* again(0, id), [undefined])
      }
      assert.deepStrictEqual(yield* other.get(key, 0), named)
    }))

  it.effect("a lone retraction is no line of the sample at its position", () =>
    Effect.gen(function*() {
      const store = yield* directoryStore(yield* makeDirectory)
      const key = yield* keyOf({})
      yield* store.prepare(key)
      Fs.writeFileSync(Path.join(store.describe(key), "0.md"), "x")
      const line = { position: 0, bytes: 1, crc32: crc32("x"), request: "r", index: 0, retracted: true }
      Fs.writeFileSync(Path.join(store.describe(key), "0-255.jsonl"), JSON.stringify(line))
      assert.strictEqual((yield* Effect.flip(store.get(key, 0))).kind, "Damaged")
    }))
})
