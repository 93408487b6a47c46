import { assert, describe, it } from "@effect/vitest"
import type { Sample, SampleStore } from "@llm-cache/core"
import { Effect, Equal } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { FileReader } from "../../src/internal/directory/fileReader.ts"
import { drawn, keyOf } from "../support/caches.ts"
import { makeDirectory } from "../support/directory.ts"
import { patched } from "../support/patched.ts"
import { directoryStore } from "../support/stack.ts"

describe("a sample that is read synchronously", () => {
  const samples = [0, 1, 2].map((i) =>
    drawn(`text ${i}`, { metadata: { request: "r", index: i, finishReason: "stop" }, origins: [i, 7] })
  )

  const fill = Effect.gen(function*() {
    const root = yield* makeDirectory
    const key = yield* keyOf({})
    const writer = yield* directoryStore(root)
    for (const [position, sample] of samples.entries()) {
      yield* writer.put(key, [{ position, drawn: sample }], "drop")
    }
    // A store that has nothing in memory.
    const store = yield* directoryStore(root)
    return { root, key, store, folder: store.describe(key) }
  })

  const peek = (store: SampleStore.Store, ...args: Parameters<NonNullable<SampleStore.Store["peek"]>>) =>
    store.peek!(...args)

  it.effect("reads the metadata log when its metadata are asked for, and once", () =>
    Effect.gen(function*() {
      const { key, store } = yield* fill
      const opened: Array<string> = []
      const noting = patched(["openSync"], (_, original) => (...args) => {
        opened.push(Path.basename(String(args[0])))
        return original(...args)
      })
      yield* noting(Effect.sync(() => {
        const [sample] = peek(store, key, 1, 1)
        assert.strictEqual(sample!.text, "text 1")
        assert.deepStrictEqual(opened, ["1.md"])
        assert.deepStrictEqual(sample!.metadata, samples[1]!.metadata)
        assert.deepStrictEqual(sample!.origins, [1, 7])
        assert.strictEqual(sample!.metadata, sample!.metadata)
        assert.deepStrictEqual(opened, ["1.md", "0-255.jsonl"])
      }))
    }))

  const ways: Record<string, (sample: Sample.Drawn) => unknown> = {
    "as it is": (sample) => sample,
    "spread": (sample) => ({ ...sample }),
    "as JSON": (sample) => JSON.parse(JSON.stringify(sample)),
    "cloned": (sample) => structuredClone(sample),
    "with a text of its own": (sample) => ({ ...sample, text: sample.text })
  }

  it.effect.each(Object.entries(ways))("has its metadata %s", ([, way]) =>
    Effect.gen(function*() {
      const { key, store } = yield* fill
      for (const count of [1, 3]) {
        const found = peek(store, key, 0, count).map(way)
        assert.deepStrictEqual(found, samples.slice(0, count))
        assert.isTrue(Equal.equals(found[0], samples[0]))
      }
      assert.deepStrictEqual((yield* store.getMany(key, 0, 3)).map(way), samples)
    }))

  it.effect("is there as far as a run of samples goes, and no further than asked", () =>
    Effect.gen(function*() {
      const { folder, key, store } = yield* fill
      const texts = (from: number, count: number) => peek(store, key, from, count).map(({ text }) => text)
      assert.deepStrictEqual(texts(0, 0), [])
      assert.deepStrictEqual(texts(0, 2), ["text 0", "text 1"])
      assert.deepStrictEqual(texts(1, Infinity), ["text 1", "text 2"])
      assert.deepStrictEqual(texts(3, 1), [])
      Fs.appendFileSync(Path.join(folder, "1.md"), "damage")
      assert.deepStrictEqual(texts(0, 3), ["text 0"])
      for (const count of [1, 2]) assert.deepStrictEqual(texts(1, count), [])
    }))

  it.effect("is not read from its file again until the file has changed, whatever its time and size are", () =>
    Effect.gen(function*() {
      const { folder, key, store } = yield* fill
      const file = Path.join(folder, "1.md")
      let opened = 0
      const counting = patched(["openSync"], (_, original) => (...args) => {
        opened++
        return original(...args)
      })
      const texts = counting(Effect.sync(() => peek(store, key, 1, 1).map(({ text }) => text)))
      // A file that has just been written is read each time.
      yield* Effect.repeat(texts, {
        until: (found) => {
          assert.deepStrictEqual(found, ["text 1"])
          const isKept = opened === 0
          opened = 0
          return isKept
        }
      })
      const { mtime } = Fs.statSync(file)
      for (
        const change of [
          () => Fs.writeFileSync(file, "text X"),
          () => {
            Fs.writeFileSync(file, "text Y")
            Fs.utimesSync(file, mtime, mtime)
          },
          () => {
            Fs.rmSync(file)
            Fs.writeFileSync(file, "text Z")
          },
          () => Fs.rmSync(file)
        ]
      ) {
        change()
        assert.deepStrictEqual(yield* texts, [])
      }
    }))

  it.effect("is read again from one of too many files, also if all are empty", () =>
    Effect.gen(function*() {
      const folder = yield* makeDirectory
      Fs.writeFileSync(Path.join(folder, "0.md"), "")
      // A file by many paths.
      const paths = Array.from({ length: 2 ** 15 }, (_, i) =>
        `${folder}/${i.toString(2).padStart(15, "0").replaceAll("0", "/").replaceAll("1", "./")}0.md`)
      const reader = new FileReader()
      let opened = 0
      const counting = patched(["openSync"], (_, original) => (...args) => {
        opened++
        return original(...args)
      })
      yield* counting(Effect.sync(() => {
        // A file that has just been written is read each time.
        for (let before = -1; opened > before;) {
          before = opened
          reader.readAgain(paths[0]!)
        }
        for (const path of paths) {
          reader.readAgain(path)
        }
        opened = 0
        for (const path of paths) {
          reader.readAgain(path)
        }
      }))
      assert.isAbove(opened, paths.length / 4)
      assert.isBelow(opened, paths.length)
    }))

  it.effect("is there if the file system fails for another one behind it", () =>
    Effect.gen(function*() {
      const { key, store } = yield* fill
      const failing = patched(["openSync"], (_, original) => (...args) => {
        if (String(args[0]).endsWith("1.md")) throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" })
        return original(...args)
      })
      yield* failing(Effect.gen(function*() {
        assert.deepStrictEqual(peek(store, key, 0, 3), samples.slice(0, 1))
        assert.deepStrictEqual(yield* store.getMany(key, 0, 3), samples.slice(0, 1))
        assert.strictEqual((yield* Effect.flip(store.getMany(key, 1, 2))).kind, "Unavailable")
      }))
    }))

  it.effect("is none, without an error, for a key without a folder and while the file system fails", () =>
    Effect.gen(function*() {
      const { key, root, store } = yield* fill
      const other = yield* keyOf({ model: "other" })
      for (const name of ["openSync", "readFileSync"] as const) {
        const failing = patched([name], () => () => {
          throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" })
        })
        const one = yield* directoryStore(root)
        for (const count of [1, 2]) {
          yield* failing(Effect.sync(() => assert.deepStrictEqual(peek(one, key, 0, count), [])))
        }
      }
      assert.deepStrictEqual(peek(store, other, 0, 1), [])
      assert.deepStrictEqual(peek(store, yield* keyOf({ alias: ".." }), 0, 1), [])
    }))
})
