import { assert, describe, it } from "@effect/vitest"
import { MemoryStore } from "@llm-cache/core"
import { Effect, Result, Schema, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { drawn, keyOf, originalFolder, record, replicate, writeOriginal } from "../support/caches.ts"
import { makeDirectory, readTree } from "../support/directory.ts"
import { patched } from "../support/patched.ts"
import { makeProvider } from "../support/provider.ts"
import { directoryStore } from "../support/stack.ts"

describe("samples in a directory", () => {
  const texts = [
    "",
    "\r\n",
    "a\nb\r\nc\r",
    "\u0000",
    "\uFEFFbom",
    "\uFFFD",
    "🙂",
    "é".normalize("NFD"),
    "x".repeat(1_000_000)
  ]

  it.effect.each(texts.map((text) => [text, text.length] as const))(
    "come back to the byte",
    ([text]) =>
      Effect.gen(function*() {
        const root = yield* makeDirectory
        const key = yield* keyOf({})
        const metadata = {
          request: "r",
          index: 1,
          model: "m-1",
          finishReason: "stop",
          createdAt: 5,
          elapsed: 7,
          requestSamples: 2,
          inputTokens: 3,
          outputTokens: 4
        }
        yield* Effect.flatMap(
          directoryStore(root),
          (store) => store.put(key, [{ position: 3, drawn: drawn(text, { metadata, origins: [7, 1] }) }], "drop")
        )
        const store = yield* directoryStore(root)
        assert.deepStrictEqual(yield* store.get(key, 3), { text, metadata, origins: [7, 1] })
        assert.strictEqual(
          Buffer.compare(Fs.readFileSync(Path.join(store.describe(key), "3.md")), Buffer.from(text)),
          0
        )
      })
  )

  it.effect.prop("any text comes back, and any prompt is kept in prompt.txt", {
    text: Schema.String,
    prompt: Schema.String
  }, ({ prompt, text }) =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root)
      const key = yield* keyOf({}, prompt.toWellFormed())
      yield* store.put(key, [{ position: 0, drawn: drawn(text.toWellFormed()) }], "drop")
      assert.strictEqual((yield* store.get(key, 0))?.text, text.toWellFormed())
      const listed = yield* Stream.runCollect(store.keys({ identity: key.identity }))
      assert.deepStrictEqual(listed.map((element) => Result.getOrThrow(element).key.prompt), [prompt.toWellFormed()])
    }).pipe(Effect.scoped))

  it.effect("the first writer wins, in this process and among processes, and nothing is overwritten", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const [one, two] = [yield* directoryStore(root), yield* directoryStore(root)]
      const key = yield* keyOf({})
      assert.deepStrictEqual(
        yield* one.put(key, [{ position: 0, drawn: drawn("first", { metadata: { model: "one" } }) }], "drop"),
        [0]
      )
      assert.deepStrictEqual(
        yield* two.put(key, [{ position: 0, drawn: drawn("second, longer", { metadata: { model: "two" } }) }], "drop"),
        [undefined]
      )
      assert.deepStrictEqual(yield* one.put(key, [{ position: 0, drawn: drawn("third") }], "drop"), [undefined])
      for (const store of [one, two]) {
        assert.deepStrictEqual(yield* store.get(key, 0), drawn("first", { metadata: { model: "one" } }))
      }
      assert.isTrue(Object.keys(readTree(root)).every((path) => !path.endsWith(".tmp")))
    }))

  it.effect("the first writer's metadata and origins win too, also where the texts are the same", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const memory = yield* MemoryStore.make
      const key = yield* keyOf({})
      const first = drawn("yes", { metadata: { model: "first" }, origins: [0] })
      const second = drawn("yes", { metadata: { model: "second" }, origins: [7] })
      for (const store of [memory, yield* directoryStore(root)]) {
        assert.deepStrictEqual(yield* store.put(key, [{ position: 0, drawn: first }], "drop"), [0])
        assert.deepStrictEqual(yield* store.put(key, [{ position: 0, drawn: second }], "drop"), [undefined])
        assert.deepStrictEqual(yield* store.put(key, [{ position: 0, drawn: second }], "append"), [1])
        assert.deepStrictEqual(yield* store.get(key, 0), first)
        assert.deepStrictEqual(yield* store.get(key, 1), second)
      }
      // The other writer may come between the look and the write.
      const store = yield* directoryStore(root)
      let links = 0
      const other = yield* directoryStore(root, { durability: "process" })
      const race = patched(["linkSync"], (_, original) => (...args) => {
        if (++links === 1) Effect.runSync(other.put(key, [{ position: 2, drawn: drawn("yes") }], "drop"))
        return original(...args)
      })
      assert.deepStrictEqual(yield* race(store.put(key, [{ position: 2, drawn: second }], "append")), [3])
      assert.deepStrictEqual(yield* store.get(key, 2), drawn("yes"))
      assert.deepStrictEqual(yield* store.get(key, 3), second)
      assert.deepStrictEqual(yield* Effect.flatMap(directoryStore(root), (other) => other.get(key, 2)), drawn("yes"))
      // A sample that is drawn again has its own metadata.
      Fs.rmSync(Path.join(store.describe(key), "0.md"))
      assert.deepStrictEqual(yield* store.put(key, [{ position: 0, drawn: second }], "drop"), [0])
      assert.deepStrictEqual(yield* store.get(key, 0), second)
    }))

  it.effect("a file that is deleted is drawn again, and the positions behind it stay what they are", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const before = yield* record(root, "p", 5, provider.model)
      Fs.rmSync(Path.join(originalFolder(root, "mock", "1", "p"), "2.md"))
      const after = yield* record(root, "p", 5, provider.model)
      assert.deepStrictEqual(after, [before[0]!, before[1]!, "p #5", before[3]!, before[4]!])
      assert.deepStrictEqual(provider.requests, [5, 1])
      assert.deepStrictEqual(yield* record(root, "p", 5, provider.model), after)
    }))

  it.effect("files of other names are skipped, and not touched", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const strays = {
        "README.md": "x",
        "._0.md": "x",
        ".DS_Store": "x",
        "01.md": "x",
        "1.md.bak": "x",
        "-1.md": "x",
        "1e3.md": "x",
        "notes.txt": "x"
      }
      const folder = originalFolder(root, "mock", "1", "p")
      writeOriginal(folder, strays)
      Fs.mkdirSync(Path.join(root, "mock_1", "stray"))
      Fs.writeFileSync(Path.join(root, "mock_1", "0".repeat(64)), "a file with a name like a prompt's folder")
      assert.deepStrictEqual(yield* record(root, "p", 2, provider.model), ["p #0", "p #1"])
      const files = readTree(folder)
      for (const [name, text] of Object.entries(strays)) assert.strictEqual(files[name], text)
      const miss = yield* Effect.flip(replicate(root, "q", 1))
      assert.strictEqual((miss as unknown as { nearest: { prompt: string } }).nearest.prompt, "p")
    }))
})
