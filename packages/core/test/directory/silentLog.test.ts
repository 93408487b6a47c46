import { assert, describe, it } from "@effect/vitest"
import { Independent, LlmModel, Persistent, type SampleError, Transfer, Usage } from "@llm-cache/core"
import { Effect, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { drawn, keyOf, originalFolder, record, replicate, sampleOne, writeOriginal } from "../support/caches.ts"
import { makeDirectory } from "../support/directory.ts"
import { makeProvider } from "../support/provider.ts"
import { directoryStore } from "../support/stack.ts"

const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 12\n`

describe("a sample that its folder's metadata log does not know", () => {
  /** Records 30 samples, and spoils the log, and 20 of the files as a power failure does. */
  const spoil = Effect.fnUntraced(function*(spoilt: (log: string) => void) {
    const root = yield* makeDirectory
    const provider = yield* makeProvider()
    yield* record(root, "p", 30, provider.model)
    const folder = originalFolder(root, "mock", "1", "p")
    spoilt(Path.join(folder, "0-255.jsonl"))
    for (let position = 0; position < 20; position++) Fs.truncateSync(Path.join(folder, `${position}.md`), 0)
    return { folder, provider, root }
  })

  it.effect.each<readonly [string, RegExp, (log: string) => void]>([
    ["NUL characters", /NUL characters/, (log) => Fs.writeFileSync(log, Buffer.alloc(Fs.statSync(log).size))],
    ["nothing", /is empty/, (log) => Fs.truncateSync(log, 0)],
    ["a pointer of Git LFS", /git lfs pull/, (log) => Fs.writeFileSync(log, pointer)],
    ["a half of its first line", /was cut off/, (log) => Fs.truncateSync(log, 40)],
    ["something else", /has no line/, (log) => Fs.writeFileSync(log, "\n{\"position\":0,}\n[]\n{\"position\":1,\"by")]
  ])("is damaged if the log holds %s", ([, message, spoilt]) =>
    Effect.gen(function*() {
      const { folder, provider, root } = yield* spoil(spoilt)
      const reads: ReadonlyArray<Effect.Effect<string | ReadonlyArray<string>, SampleError.SampleError>> = [
        replicate(root, "p", 30),
        record(root, "p", 30, provider.model),
        sampleOne(root, "p", provider.model)
      ]
      for (const read of reads) {
        const error = yield* Effect.flip(read)
        assert.strictEqual((error as { kind?: string }).kind, "Damaged")
        assert.match((error as Error).message, message)
      }
      assert.strictEqual(provider.requests.length, 1)
      const { damaged, samples } = yield* Transfer.verify(yield* directoryStore(root))
      assert.deepStrictEqual([damaged.length, samples], [30, 30])
      // Without any log the folder is one of the original.
      Fs.rmSync(Path.join(folder, "0-255.jsonl"))
      assert.strictEqual((yield* replicate(root, "p", 30)).at(-1), provider.given[29])
    }))

  it.effect("is damaged behind the place where the log was cut off, and not before it", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const before = yield* record(root, "p", 3, provider.model)
      const folder = originalFolder(root, "mock", "1", "p")
      const log = Path.join(folder, "0-255.jsonl")
      Fs.truncateSync(log, Fs.statSync(log).size - 5)
      const { damaged } = yield* Transfer.verify(yield* directoryStore(root))
      assert.deepStrictEqual(damaged.map(({ position }) => position), [2])
      // The time of the file has another checksum of its text.
      assert.deepStrictEqual(yield* replicate(root, "p", 3), before)
      Fs.utimesSync(Path.join(folder, "2.md"), 1, 1)
      assert.deepStrictEqual(yield* replicate(root, "p", 2), before.slice(0, 2))
      const error = yield* Effect.flip(replicate(root, "p", 3))
      assert.include(error.message, "2.md")
      // The message has the line that accepts the file.
      Fs.appendFileSync(log, `\n${/: (\{"position".*\})/.exec(error.message)![1]!}`)
      assert.deepStrictEqual(yield* replicate(root, "p", 3), before)
    }))

  it.effect("has no metadata and no origins, whether or not someone listens to events", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      yield* record(root, "p", 3, provider.model)
      const log = Path.join(originalFolder(root, "mock", "1", "p"), "0-255.jsonl")
      Fs.truncateSync(log, Fs.statSync(log).size - 5)
      const replication = Persistent.layerReplication({ directory: root, model: "mock", temperature: 1 })
      const independent = LlmModel.stack(Independent.layer, replication)
      const reads: ReadonlyArray<Effect.Effect<object, SampleError.SampleError>> = [
        Effect.provide(LlmModel.sampleManyWithMetadata("p", 3), replication),
        Effect.provide(LlmModel.sampleWithMetadata("p").pipe(Stream.take(3), Stream.runCollect), replication),
        Effect.provide(LlmModel.sampleMany("p", 3), independent)
      ]
      for (const read of [...reads, ...reads.map((read) => Usage.measure(read))]) {
        const error = yield* Effect.flip(read)
        assert.strictEqual((error as { kind?: string }).kind, "Damaged")
        assert.include(error.message, "2.md")
      }
    }))

  it.effect("is damaged if its part of the log is missing, and the folder has another part", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      yield* record(root, "p", 258, provider.model)
      Fs.rmSync(Path.join(originalFolder(root, "mock", "1", "p"), "256-511.jsonl"))
      assert.include((yield* Effect.flip(replicate(root, "p", 258))).message, "256-511.jsonl is missing")
    }))

  it.effect("is damaged also if the original, or a person, put it there, until the log is told", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const before = yield* record(root, "p", 1, provider.model)
      const folder = originalFolder(root, "mock", "1", "p")
      writeOriginal(folder, { "1.md": "by hand\n" })
      const error = yield* Effect.flip(record(root, "p", 2, provider.model))
      assert.include(error.message, "put there by hand or by the Python original")
      Fs.appendFileSync(Path.join(folder, "0-255.jsonl"), `\n${/: (\{"position".*\})/.exec(error.message)![1]!}`)
      assert.deepStrictEqual(yield* record(root, "p", 2, provider.model), [...before, "by hand\n"])
    }))

  it.effect("is a sample if the original wrote it before the first line of the log", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const folder = originalFolder(root, "mock", "1", "p")
      const samples = Array.from({ length: 300 }, (_, i) => `original ${i}`)
      writeOriginal(folder, Object.fromEntries(samples.map((text, i) => [`${i}.md`, text])))
      assert.deepStrictEqual(yield* record(root, "p", 301, provider.model), [...samples, "p #0"])
      assert.deepStrictEqual(yield* replicate(root, "p", 301), [...samples, "p #0"])
      // From now on it is checked like the others.
      for (const position of [7, 280]) {
        Fs.writeFileSync(Path.join(folder, `${position}.md`), "original x")
        const error = yield* Effect.flip(replicate(root, "p", 301))
        assert.strictEqual((error as { position?: number }).position, position)
        Fs.writeFileSync(Path.join(folder, `${position}.md`), samples[position]!)
      }
    }))

  it.effect("is damaged if it is a pointer of Git LFS, with and without a log", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      yield* record(root, "p", 1, provider.model)
      const folders = ["p", "q"].map((prompt) => originalFolder(root, "mock", "1", prompt))
      for (const folder of folders) writeOriginal(folder, { "0.md": pointer })
      for (const prompt of ["p", "q"]) {
        const one = Effect.map(sampleOne(root, prompt, provider.model), (text) => [text])
        for (const read of [replicate(root, prompt, 1), one]) {
          assert.match((yield* Effect.flip(read)).message, /0\.md is a pointer of Git LFS.*git lfs pull/)
        }
      }
    }))

  it.effect("is said to differ in its line endings alone if it does", () =>
    Effect.gen(function*() {
      for (const [stored, found] of [["a\nb\n", "a\r\nb\r\n"], ["a\r\nb\r\n", "a\nb\n"]] as const) {
        const store = yield* directoryStore(yield* makeDirectory)
        const key = yield* keyOf({})
        yield* store.put(key, [{ position: 0, drawn: drawn(stored) }], "drop")
        const file = Path.join(store.describe(key), "0.md")
        Fs.writeFileSync(file, found)
        assert.include((yield* Effect.flip(store.get(key, 0))).message, "line endings alone")
        Fs.writeFileSync(file, `${found}c`)
        assert.notInclude((yield* Effect.flip(store.get(key, 0))).message, "line endings")
      }
    }))
})
