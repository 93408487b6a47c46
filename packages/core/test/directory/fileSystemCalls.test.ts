import { assert, it } from "@effect/vitest"
import { LlmModel, Persistent } from "@llm-cache/core"
import { Effect, Stream } from "effect"
import * as Fs from "node:fs"
import { drawn, keyOf, record } from "../support/caches.ts"
import { makeDirectory, settled } from "../support/directory.ts"
import { patched } from "../support/patched.ts"
import { makeProvider } from "../support/provider.ts"
import { directoryStore } from "../support/stack.ts"

it.effect("reading n samples lists no folder, and opens three files more than there are samples", () =>
  Effect.gen(function*() {
    const root = yield* makeDirectory
    const provider = yield* makeProvider()
    yield* record(root, "p", 100, provider.model)
    const calls = { openSync: 0, readFileSync: 0, readdirSync: 0, opendirSync: 0, statSync: 0 }
    const texts = yield* LlmModel.sample("p").pipe(
      Stream.take(100),
      Stream.runCollect,
      Effect.provide(Persistent.layer({ directory: root })),
      Effect.provide(provider.layer),
      patched(Object.keys(calls) as Array<keyof typeof calls>, (name, original) => (...args) => {
        if (String(args[0]).startsWith(root)) calls[name]++
        return original(...args)
      })
    )
    assert.strictEqual(texts.length, 100)
    assert.deepStrictEqual(calls, { openSync: 102, readFileSync: 1, readdirSync: 0, opendirSync: 0, statSync: 4 })
  }))

it.effect("recording in batches lists a prompt's folder when it is prepared, for its positions, and before its first line", () =>
  Effect.gen(function*() {
    const root = yield* makeDirectory
    const provider = yield* makeProvider({ maxBatch: 10 })
    let lists = 0
    const count = patched(["readdirSync"], (_, original) => (...args) => {
      if (String(args[0]).startsWith(root) && !String(args[0]).endsWith(".purchases")) lists++
      return original(...args)
    })
    yield* count(record(root, "p", 200, provider.model))
    assert.strictEqual(provider.requests.length, 20)
    // As long as the folder of the model does not exist, the root is listed, for one that may be taken for it.
    assert.strictEqual(lists, 7)
    yield* settled(root)
  }))

it.effect.runIf(process.platform === "linux")(
  "reading and writing close the files that they open",
  () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root)
      const key = yield* keyOf({})
      const openFiles = () => Fs.readdirSync("/proc/self/fd").length
      yield* store.prepare(key)
      const before = openFiles()
      for (let position = 0; position < 20; position++) {
        yield* store.put(key, [{ position, drawn: drawn("x") }], "drop")
        yield* store.put(key, [{ position, drawn: drawn("dropped") }], "drop")
        yield* store.getMany(key, 0, position + 2)
      }
      yield* store.put(key, [{ position: 20, drawn: drawn("x") }, { position: 21, drawn: drawn("y") }], "drop")
      yield* Stream.runDrain(Stream.take(store.keys(), 1))
      yield* settled(root)
      assert.isAtMost(openFiles(), before)
    })
)
