import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { originalFolder, record, replicate, sampleOne, writeOriginal } from "../support/caches.ts"
import { makeDirectory } from "../support/directory.ts"
import { makeProvider } from "../support/provider.ts"

describe("a damaged sample", () => {
  const damage: ReadonlyArray<readonly [string, (file: string) => void]> = [
    ["cut off", (file) => Fs.truncateSync(file, 3)],
    ["emptied", (file) => Fs.truncateSync(file, 0)],
    ["made longer", (file) => Fs.appendFileSync(file, "x")],
    ["edited at the same length", (file) => Fs.writeFileSync(file, "P #1")],
    ["edited, and given the time back that it had", (file) => {
      const { atimeMs, mtimeMs } = Fs.statSync(file)
      Fs.writeFileSync(file, "P #1")
      Fs.utimesSync(file, atimeMs / 1000, mtimeMs / 1000)
    }],
    ["not UTF-8", (file) => Fs.writeFileSync(file, Buffer.from([0x70, 0x20, 0xff, 0xfe]))],
    ["replaced by a link that leads nowhere", (file) => {
      Fs.rmSync(file)
      Fs.symlinkSync("nowhere", file)
    }],
    ["replaced by a folder", (file) => {
      Fs.rmSync(file)
      Fs.mkdirSync(file)
    }]
  ]

  it.effect.each(damage)(
    "a sample that is %s is a StoreError, not a sample and not a miss",
    ([, hurt]) =>
      Effect.gen(function*() {
        const root = yield* makeDirectory
        const provider = yield* makeProvider()
        const before = yield* record(root, "p", 3, provider.model)
        const file = Path.join(originalFolder(root, "mock", "1", "p"), "1.md")
        hurt(file)
        for (const read of [record(root, "p", 3, provider.model), replicate(root, "p", 3)]) {
          const error = yield* Effect.flip(read)
          assert.strictEqual(error._tag, "StoreError")
          assert.strictEqual((error as { kind?: string }).kind, "Damaged")
          assert.include(error.message, "1.md")
          assert.strictEqual((error as { position?: number }).position, 1)
        }
        assert.strictEqual(provider.requests.length, 1)
        assert.deepStrictEqual(yield* replicate(root, "p", 1), [before[0]!])
        // The message says so.
        Fs.rmSync(file, { recursive: true })
        assert.deepStrictEqual(yield* record(root, "p", 3, provider.model), [before[0]!, "p #3", before[2]!])
      })
  )

  it.effect.each(damage)(
    "a first sample that is %s, and is asked for alone, is a StoreError",
    ([, hurt]) =>
      Effect.gen(function*() {
        const root = yield* makeDirectory
        const provider = yield* makeProvider()
        yield* record(root, "p", 2, provider.model)
        const folder = originalFolder(root, "mock", "1", "p")
        hurt(Path.join(folder, "0.md"))
        const error = yield* Effect.flip(sampleOne(root, "p", provider.model))
        assert.strictEqual((error as { kind?: string }).kind, "Damaged")
        assert.strictEqual((error as { position?: number }).position, 0)
        Fs.rmSync(Path.join(folder, "0.md"), { recursive: true })
        assert.strictEqual(yield* sampleOne(root, "p", provider.model), "p #2")
      })
  )

  it.effect("a sample that another was moved over, with its time, is a StoreError", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      for (const prompt of ["p", "q"]) yield* record(root, prompt, 2, provider.model)
      const [p, q] = [originalFolder(root, "mock", "1", "p"), originalFolder(root, "mock", "1", "q")]
      Fs.renameSync(Path.join(p, "1.md"), Path.join(p, "0.md"))
      Fs.renameSync(Path.join(p, "0.md"), Path.join(q, "0.md"))
      yield* record(root, "p", 2, provider.model)
      Fs.renameSync(Path.join(p, "1.md"), Path.join(p, "0.md"))
      for (const prompt of ["p", "q"]) {
        const error = yield* Effect.flip(sampleOne(root, prompt, provider.model))
        assert.strictEqual((error as { kind?: string }).kind, "Damaged", prompt)
      }
    }))

  it.effect("a sample of the original, which has no line in the metadata log, must be UTF-8", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const folder = originalFolder(root, "mock", "1", "p")
      writeOriginal(folder, { "0.md": "\uFFFD is a character" })
      assert.deepStrictEqual(yield* replicate(root, "p", 1), ["\uFFFD is a character"])
      const { model } = yield* makeProvider()
      assert.strictEqual(yield* sampleOne(root, "p", model), "\uFFFD is a character")
      Fs.writeFileSync(Path.join(folder, "0.md"), Buffer.from([0x61, 0xc3]))
      assert.strictEqual((yield* Effect.flip(replicate(root, "p", 1)))._tag, "StoreError")
      assert.strictEqual((yield* Effect.flip(sampleOne(root, "p", model)))._tag, "StoreError")
    }))

  it.effect("without its metadata log, every sample is still there", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const before = yield* record(root, "p", 3, provider.model)
      Fs.rmSync(Path.join(originalFolder(root, "mock", "1", "p"), "0-255.jsonl"))
      assert.deepStrictEqual(yield* replicate(root, "p", 3), before)
    }))
})
