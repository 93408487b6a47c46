import { assert, describe, it } from "@effect/vitest"
import {
  Events,
  Fork,
  Identity,
  Independent,
  Key,
  LlmModel,
  MemoryStore,
  Persistent,
  Sample,
  SampleStore
} from "@llm-cache/core"
import { Effect, Exit, Result, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as ChildProcess from "node:child_process"
import * as Crypto from "node:crypto"
import NodeFs, * as Fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import * as Os from "node:os"
import * as Path from "node:path"
import { crc32 } from "node:zlib"
import { makeDirectory, readTree, samplesIn } from "./support/directory.ts"
import { makeProvider, using } from "./support/provider.ts"
import { directoryStore } from "./support/stack.ts"

const sha256 = (text: string) => Crypto.createHash("sha256").update(text).digest("hex")

const drawn = (text: string, rest?: Partial<Sample.Drawn>): Sample.Drawn => ({
  text,
  metadata: {},
  origins: [],
  ...rest
})

const keyOf = (options: Partial<Identity.Options>, prompt = "p", path: ReadonlyArray<string> = []) =>
  Effect.map(
    Identity.make({ model: "m", temperature: 1, ...options }),
    (identity) => new Key.Key(identity, prompt, path)
  )

/** The folder that the Python original uses: alias, `%.3f` of the temperature without the zeros at its end, SHA-256. */
const originalFolder = (root: string, alias: string, temperature: string, prompt: string) =>
  Path.join(root, `${alias}_${temperature}`, sha256(prompt))

const writeOriginal = (folder: string, samples: Record<string, string>) => {
  Fs.mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries(samples)) Fs.writeFileSync(Path.join(folder, name), text)
}

/** What the original reads: every `*.md`, in the order of the numbers in their names. */
const readOriginal = (folder: string) =>
  Fs.readdirSync(folder).filter((name) => name.endsWith(".md")).map((name) => {
    assert.match(name, /^\d+\.md$/)
    return name
  }).sort((a, b) => parseInt(a) - parseInt(b)).map((name) => Fs.readFileSync(Path.join(folder, name), "utf8"))

const record = (root: string, prompt: string, n: number, model: LlmModel.Model) =>
  LlmModel.sampleMany(prompt, n).pipe(Effect.provide(Persistent.layer({ directory: root })), using(model))

const sampleOne = (root: string, prompt: string, model: LlmModel.Model) =>
  LlmModel.sampleOne(prompt).pipe(Effect.provide(Persistent.layer({ directory: root })), using(model))

const replicate = (root: string, prompt: string, n: number, options?: Partial<Persistent.ReplicationOptions>) =>
  LlmModel.sampleMany(prompt, n).pipe(
    Effect.provide(Persistent.layerReplication({ directory: root, model: "mock", temperature: 1, ...options }))
  )

/** Runs an effect while functions of the file system are others. */
const patched = <Name extends keyof typeof NodeFs>(
  names: ReadonlyArray<Name>,
  patch: (name: Name, original: (...args: Array<any>) => unknown) => (...args: Array<any>) => unknown
) =>
<A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const originals = names.map((name) => [name, NodeFs[name]] as const)
      for (const [name, original] of originals) {
        Object.assign(NodeFs, { [name]: patch(name, original as () => unknown) })
      }
      syncBuiltinESMExports()
      return Object.fromEntries(originals)
    }),
    () => self,
    (originals) =>
      Effect.sync(() => {
        Object.assign(NodeFs, originals)
        syncBuiltinESMExports()
      })
  )

describe("the layout", () => {
  it.effect("a cache that the original wrote is read", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      writeOriginal(originalFolder(root, "vendor/gpt-4o", "0.5", "Grüße"), {
        "0.md": "eins\r\nzwei",
        "1.md": "",
        "10.md": "elf",
        "2.md": "drei"
      })
      const read = (n: number) => replicate(root, "Grüße", n, { model: "x", alias: "vendor/gpt-4o", temperature: 0.5 })
      assert.deepStrictEqual(yield* read(3), ["eins\r\nzwei", "", "drei"])
      const miss = yield* Effect.flip(read(4))
      assert.strictEqual(miss._tag, "ReplicationCacheMiss")
      assert.deepStrictEqual((miss as typeof miss & { present: unknown }).present, [0, 1, 2, 10])
    }))

  it.effect("a cache that we wrote is read by the original", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider({ temperature: 0.70 })
      const texts = yield* LlmModel.sampleMany("p", 12).pipe(
        Effect.provide(Persistent.layer({ directory: root })),
        Effect.provide(provider.layer)
      )
      assert.deepStrictEqual(readOriginal(originalFolder(root, "mock", "0.7", "p")), texts)
      assert.strictEqual(
        Fs.readFileSync(Path.join(originalFolder(root, "mock", "0.7", "p"), "prompt.txt"), "utf8"),
        "p"
      )
    }))

  it.effect.each([
    [1, "1"],
    [0, "0"],
    [-0, "0"],
    [0.5, "0.5"],
    [0.25, "0.25"],
    [0.125, "0.125"],
    [10, "10"],
    [100, "100"],
    [1.5, "1.5"],
    [0.1234, "0.1234"],
    [1e-7, "1e-7"],
    [undefined, "default"]
  ])("temperature %s is printed so", ([temperature, printed]) =>
    Effect.gen(function*() {
      const store = yield* directoryStore("/nowhere")
      const key = yield* keyOf({ temperature: temperature as number | undefined })
      assert.strictEqual(store.describe(key), `/nowhere/m_${printed}/${sha256("p")}`)
    }))

  it.effect("no two keys share a folder, and none is outside of the root", () =>
    Effect.gen(function*() {
      const store = yield* directoryStore("/nowhere")
      const folders = new Set<string>()
      const names = ["forks", "x", "x/y", ".", "..", "%2E", "0.md", "a b", "é"]
      let keys = 0
      for (const alias of ["a", "a_1", "a/b", "a_1/b", "a_1_default", "a_default", "A"]) {
        for (const temperature of [undefined, 0, 1, 0.123, 0.1234, 0.12341]) {
          for (const parameters of [{}, { top_p: 1 }, { top_p: "1" }, { max_tokens: 1, top_p: 1 }]) {
            for (const prompt of ["a", "b"]) {
              for (const path of [[], ...names.map((name) => [name]), ...names.map((name) => ["x", name])]) {
                const folder = store.describe(yield* keyOf({ alias, temperature, parameters }, prompt, path))
                assert.isTrue(folder.startsWith("/nowhere/") && Path.normalize(folder) === folder, folder)
                folders.add(folder)
                keys++
              }
            }
          }
        }
      }
      assert.strictEqual(folders.size, keys)
    }))

  it.effect("parameters in another order are the same identity, and identity.json explains the folder", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root)
      const one = yield* keyOf({ parameters: { stop: ["a"], max_tokens: 5, none: undefined } })
      const two = yield* keyOf({ parameters: { max_tokens: 5, stop: ["a"] } })
      assert.strictEqual(store.describe(one), store.describe(two))
      yield* store.prepare(one)
      const explained = JSON.parse(Fs.readFileSync(Path.join(store.describe(one), "..", "identity.json"), "utf8"))
      assert.deepStrictEqual(explained, { name: "m", temperature: 1, parameters: { max_tokens: 5, stop: ["a"] } })
    }))

  it.effect("a folder that the file system gives to two identities is refused to the second", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider({ model: "Model" })
      yield* record(root, "p", 1, provider.model)
      // what a file system that ignores case would do
      Fs.renameSync(Path.join(root, "Model_1"), Path.join(root, "model_1"))
      const other = yield* makeProvider({ model: "model" })
      for (const read of [record(root, "p", 1, other.model), replicate(root, "p", 1, { model: "model" })]) {
        const error = yield* Effect.flip(read)
        assert.strictEqual((error as { kind?: string }).kind, "InvalidName")
        assert.include(error.message, `the folder of "Model"`)
      }
      assert.deepStrictEqual(other.requests, [])
      // the file only explains: one that is spoilt, or missing as in a cache of the original, is no obstacle
      for (const content of ["", "{", "[]", "{}"]) {
        Fs.writeFileSync(Path.join(root, "model_1", "identity.json"), content)
        assert.deepStrictEqual(yield* replicate(root, "p", 1, { model: "model" }), ["p #0"])
      }
    }))

  it.effect("the samples of forks lie below the prompt's folder, where the original does not look", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root)
      for (const path of [[], ["0.md"], ["trial", "x"]]) {
        const key = yield* keyOf({}, "p", path)
        yield* store.prepare(key)
        assert.deepStrictEqual(yield* store.put(key, [{ position: 0, drawn: drawn(`sample of ${path}`) }], "drop"), [0])
        assert.strictEqual((yield* store.get(key, 0))?.text, `sample of ${path}`)
      }
      const folder = originalFolder(root, "m", "1", "p")
      assert.deepStrictEqual(readOriginal(folder), ["sample of "])
      assert.isTrue(Fs.existsSync(Path.join(folder, "forks", "trial", "forks", "x", "0.md")))
    }))

  it.effect("a root that starts with ~ is in the home folder", () =>
    Effect.gen(function*() {
      const store = yield* directoryStore("~/caches")
      assert.isTrue(store.describe(yield* keyOf({})).startsWith(Path.join(Os.homedir(), "caches", "m_1")))
      const other = yield* directoryStore("/x/~/caches")
      assert.isTrue(other.describe(yield* keyOf({})).startsWith("/x/~/caches/m_1"))
    }))
})

describe("samples", () => {
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
      const memory = yield* Effect.provide(SampleStore.SampleStore, MemoryStore.layer)
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
      // and where the other writer comes between the look and the write
      const store = yield* directoryStore(root)
      let links = 0
      const race = patched(["linkSync"], (_, original) => (...args) => {
        if (++links === 1) Fs.writeFileSync(args[1], "yes")
        return original(...args)
      })
      assert.deepStrictEqual(yield* race(store.put(key, [{ position: 2, drawn: second }], "append")), [3])
      assert.deepStrictEqual(yield* store.get(key, 2), drawn("yes"))
      assert.deepStrictEqual(yield* store.get(key, 3), second)
      assert.deepStrictEqual(yield* Effect.flatMap(directoryStore(root), (other) => other.get(key, 2)), drawn("yes"))
      // what is drawn again has its own
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

  it.effect("strays in a folder are passed over, and left alone", () =>
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

  it.effect("a line that was torn by a kill does not spoil the lines behind it", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const key = yield* keyOf({})
      const store = yield* directoryStore(root)
      yield* store.put(key, [{ position: 0, drawn: drawn("zero", { origins: [4] }) }], "drop")
      const journal = Path.join(store.describe(key), "0-255.jsonl")
      Fs.appendFileSync(journal, "\n{\"position\":1,\"by")
      yield* store.put(key, [{ position: 1, drawn: drawn("one", { origins: [5] }) }], "drop")
      const again = yield* directoryStore(root)
      assert.deepStrictEqual(yield* again.get(key, 0), drawn("zero", { origins: [4] }))
      assert.deepStrictEqual(yield* again.get(key, 1), drawn("one", { origins: [5] }))
    }))

  it.effect("what is known of a sample is found at any position of a long sequence", () =>
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

  it.effect("what another process appends is found by a store that has read the file before", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const key = yield* keyOf({})
      const [one, two] = [yield* directoryStore(root), yield* directoryStore(root)]
      yield* one.put(key, [{ position: 0, drawn: drawn("zero", { origins: [0] }) }], "drop")
      yield* two.get(key, 0)
      yield* one.put(key, [{ position: 1, drawn: drawn("one", { origins: [1] }) }], "drop")
      assert.deepStrictEqual(yield* two.get(key, 1), drawn("one", { origins: [1] }))
      // deleted and drawn again
      Fs.rmSync(Path.join(one.describe(key), "1.md"))
      yield* one.put(key, [{ position: 1, drawn: drawn("other", { origins: [2] }) }], "drop")
      assert.deepStrictEqual(yield* two.get(key, 1), drawn("other", { origins: [2] }))
    }))

  it.effect("what is known of a sample is its own, also where another process had one of the same text drawn again", () =>
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
})

describe("damage", () => {
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
        // as the message says
        Fs.rmSync(file, { recursive: true })
        assert.deepStrictEqual(yield* record(root, "p", 3, provider.model), [before[0]!, "p #3", before[2]!])
      })
  )

  it.effect.each(damage)(
    "so is a first sample that is %s and asked for alone",
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

  it.effect("so is one that another one was moved over, with its time", () =>
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

  it.effect("a sample of the original, of which nothing is known, must be UTF-8", () =>
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

  it.effect("a journal that is lost or spoilt takes no sample with it", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const before = yield* record(root, "p", 3, provider.model)
      const journal = Path.join(originalFolder(root, "mock", "1", "p"), "0-255.jsonl")
      Fs.writeFileSync(journal, "\u0000garbage\n{\"position\":1,}\n[]\n{\"position\":2,\"bytes\":null")
      assert.deepStrictEqual(yield* replicate(root, "p", 3), before)
      Fs.rmSync(journal)
      assert.deepStrictEqual(yield* replicate(root, "p", 3), before)
    }))
})

describe("the seal of a sample, by which it is known without the journal", () => {
  /** Samples the first one of a prompt, and says which files that opened. */
  const opened = Effect.fnUntraced(function*(root: string, prompt: string, model: LlmModel.Model) {
    const files: Array<string> = []
    const text = yield* sampleOne(root, prompt, model).pipe(
      patched(["openSync"], (_, original) => (...args) => {
        files.push(Path.basename(String(args[0])))
        return original(...args)
      })
    )
    return [text, ...files]
  })

  it.effect("is in its file's time, which stays what it was to the second", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      for (let i = 0; i < 100; i++) {
        // the clock of files may be some milliseconds late
        const before = Math.floor(Date.now() / 1000) - 1
        const text = yield* sampleOne(root, `${i}`, provider.model)
        assert.deepStrictEqual(yield* opened(root, `${i}`, provider.model), [text, "0.md"])
        const { mtimeMs } = Fs.statSync(Path.join(originalFolder(root, "mock", "1", `${i}`), "0.md"))
        assert.isTrue(before <= mtimeMs / 1000 && mtimeMs < Date.now() + 1000)
      }
      assert.strictEqual(provider.requests.length, 100)
    }))

  it.effect("is had by samples of purchases, of forks, and where the root was moved", () =>
    Effect.gen(function*() {
      const root = Path.join(yield* makeDirectory, "root")
      const provider = yield* makeProvider()
      yield* record(root, "p", 3, provider.model)
      const forked = Fork.fork("trial")(sampleOne(root, "p", provider.model))
      assert.strictEqual(yield* forked, "p #3")
      Fs.renameSync(root, `${root} of another name`)
      assert.deepStrictEqual(yield* opened(`${root} of another name`, "p", provider.model), ["p #0", "0.md"])
      const fork = Fork.fork("trial")(opened(`${root} of another name`, "p", provider.model))
      assert.deepStrictEqual(yield* fork, ["p #3", "0.md"])
    }))

  it.effect("is lost with the file's time, and where the file system keeps none: the journal tells then", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const refusing = patched(["futimesSync"], () => () => {
        throw Object.assign(new Error("EPERM: operation not permitted"), { code: "EPERM" })
      })
      const texts = {
        p: yield* refusing(sampleOne(root, "p", provider.model)),
        q: yield* sampleOne(root, "q", provider.model)
      }
      Fs.utimesSync(Path.join(originalFolder(root, "mock", "1", "q"), "0.md"), 1, 1)
      for (const [prompt, text] of Object.entries(texts)) {
        assert.deepStrictEqual(yield* opened(root, prompt, provider.model), [text, "0.md", "0-255.jsonl"])
      }
    }))

  it.effect("does not hide what a store does that wraps the directory", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      yield* record(root, "p", 1, provider.model)
      const store = yield* directoryStore(root)
      const wrapped: SampleStore.Store = {
        ...store,
        get: (key, position) => Effect.map(store.get(key, position), (found) => found && drawn(`<${found.text}>`))
      }
      const model = yield* Persistent.make(provider.model, wrapped)
      assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(using(model)), "<p #0>")
    }))

  it.effect("does not hide hits from who listens", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      yield* record(root, "p", 2, provider.model)
      const events: Array<Events.Event> = []
      yield* Effect.gen(function*() {
        yield* Events.listen((event) => events.push(event))
        yield* sampleOne(root, "p", provider.model)
        yield* record(root, "p", 2, provider.model)
      }).pipe(Effect.scoped, Effect.provide(Events.layer))
      assert.deepStrictEqual(events.map(({ _tag, position }) => `${_tag} ${position}`), ["Hit 0", "Hit 0", "Hit 1"])
    }))

  it.effect("does not hide what the file system refuses", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      yield* record(root, "p", 1, provider.model)
      for (const name of ["openSync", "readSync", "fstatSync"] as const) {
        const faulty = patched([name], (_, original) => (...args) => {
          if (name === "openSync" && !String(args[0]).endsWith(".md")) return original(...args)
          throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" })
        })
        const read = faulty(Effect.result(sampleOne(root, "p", provider.model)))
        // the time alone is not needed
        if (name === "fstatSync") assert.strictEqual(yield* Effect.fromResult(yield* read), "p #0")
        else assert.strictEqual((yield* Effect.flip(Effect.fromResult(yield* read)))._tag, "StoreError")
      }
      assert.strictEqual(provider.requests.length, 1)
    }))

  it.effect("does not keep a shared reader beneath from being told what is recorded", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const make = Effect.gen(function*() {
        const big = yield* Persistent.make(provider.model, yield* directoryStore(Path.join(root, "big")))
        const reader = yield* Independent.make(big)
        return { reader, recording: yield* Persistent.make(reader, yield* directoryStore(Path.join(root, "slice"))) }
      })
      const [one, two] = [yield* make, yield* make]
      for (const { reader } of [one, two]) {
        assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(using(reader)), "p #0")
      }
      for (const { recording } of [one, two]) {
        assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(using(recording)), "p #1")
      }
      assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(using(two.reader)), "p #2")
    }))
})

describe("a root that cannot be used", () => {
  // In a process of its own, because it gives up the rights of root for good.
  const unprivileged = (root: string) => {
    const child = ChildProcess.spawnSync(process.execPath, [
      Path.join(import.meta.dirname, "support/unprivileged.ts"),
      root
    ], {
      encoding: "utf8"
    })
    assert.strictEqual(child.stderr, "")
    return JSON.parse(child.stdout) as Array<string>
  }

  it.effect("that is a file, or below one, or has no name: a StoreError when the layer is built", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const file = Path.join(root, "file")
      Fs.writeFileSync(file, "precious")
      const provider = yield* makeProvider()
      for (const directory of [file, Path.join(file, "below"), "", "a\u0000b"]) {
        for (const replication of [false, true]) {
          const error = yield* Effect.flip(
            LlmModel.sampleOne("p").pipe(
              Effect.provide(Persistent.layer({ directory, replication })),
              Effect.provide(provider.layer)
            )
          )
          assert.strictEqual(error._tag, "StoreError", directory)
        }
      }
      assert.deepStrictEqual(provider.requests, [])
      assert.strictEqual(Fs.readFileSync(file, "utf8"), "precious")
    }))

  it.effect("that may not be written, or not be read: a StoreError before anything is bought, not a miss", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const before = yield* record(root, "p", 2, provider.model)
      const folder = originalFolder(root, "mock", "1", "p")
      const paths = [folder, Path.dirname(folder), root]
      for (const path of paths) Fs.chmodSync(path, 0o555)
      // two recorded samples, a third one, and another prompt
      assert.deepStrictEqual(unprivileged(root), [
        before.join(),
        "StoreError Unavailable",
        "StoreError Unavailable",
        "0 requests"
      ])
      for (const path of paths) Fs.chmodSync(path, 0o000)
      assert.deepStrictEqual(unprivileged(root), [...Array(3).fill("StoreError Unavailable"), "0 requests"])
      for (const path of paths.toReversed()) Fs.chmodSync(path, 0o755)
    }))

  it.effect("that is missing: made when the first sample is recorded, and not by replication", () =>
    Effect.gen(function*() {
      const root = Path.join(yield* makeDirectory, "a", "b")
      const provider = yield* makeProvider()
      const miss = yield* Effect.flip(replicate(root, "p", 1))
      assert.strictEqual(miss._tag, "ReplicationCacheMiss")
      assert.isFalse(Fs.existsSync(root))
      yield* record(root, "p", 1, provider.model)
      assert.deepStrictEqual(yield* replicate(root, "p", 1), ["p #0"])
    }))

  it.effect("that becomes unusable during a request: what was bought is stored by the next draw", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const folder = originalFolder(root, "mock", "1", "p")
      const away = Path.join(root, "away")
      provider.gate = Effect.sync(() => {
        Fs.renameSync(folder, away)
        Fs.writeFileSync(folder, "in the way")
      })
      const independent = Effect.gen(function*() {
        const model = yield* Independent.make(yield* Persistent.make(provider.model, yield* directoryStore(root)))
        const error = yield* Effect.flip(LlmModel.sampleMany("p", 3).pipe(using(model)))
        assert.strictEqual(error._tag, "StoreError")
        assert.deepStrictEqual(provider.requests, [3])
        Fs.rmSync(folder)
        Fs.renameSync(away, folder)
        provider.gate = Effect.void
        assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 3).pipe(using(model)), provider.given.slice(0, 3))
        assert.deepStrictEqual(provider.requests, [3])
        assert.sameMembers(Object.values(samplesIn(folder)), provider.given)
      })
      yield* Effect.scoped(independent)
    }))
})

describe("a purchase of several samples that a process did not finish storing", () => {
  const namespace = Fs.existsSync("/proc/self/ns/pid") ? Fs.readlinkSync("/proc/self/ns/pid") : ""
  const host = encodeURIComponent(`${Os.hostname()} ${namespace}`).replaceAll("_", "%5F")
  const entries = [0, 1, 2].map((position) => ({ position, drawn: drawn(`text ${position}`) }))

  /** What a killed process leaves: the log of the purchase, and of its samples those at `positions`. */
  const leave = Effect.fnUntraced(function*(options: {
    readonly positions: ReadonlyArray<number>
    readonly owner?: string
    readonly content?: string
    readonly folder?: string
  }) {
    const root = Path.join(yield* makeDirectory, "root")
    const provider = yield* makeProvider()
    const key = new Key.Key(provider.model.identity, "p", [])
    const store = yield* directoryStore(root)
    const folder = Path.relative(root, store.describe(key))
    // The log's own way of storing, cut off.
    if (options.positions.length > 0) {
      yield* store.prepare(key)
      for (const position of options.positions) {
        Fs.writeFileSync(Path.join(root, folder, `${position}.md`), `text ${position}`)
        const line = { position, bytes: 6, crc32: crc32(`text ${position}`), id: `purchase ${position}` }
        Fs.appendFileSync(Path.join(root, folder, "0-255.jsonl"), `\n${JSON.stringify(line)}`)
      }
    }
    Fs.mkdirSync(Path.join(root, ".purchases"), { recursive: true })
    const log = Path.join(root, ".purchases", `${options.owner ?? `${host}_4194305-_gone`}_0.json`)
    const purchase = { id: "purchase", folder: options.folder ?? folder, entries, ifTaken: "append" }
    Fs.writeFileSync(log, options.content ?? JSON.stringify(purchase))
    return { root, provider, log, folder: Path.join(root, folder) }
  })

  it.effect.each([[[]], [[0]], [[0, 1]], [[1, 2]], [[0, 1, 2]]])(
    "with %j stored: the next to write finishes it, and buys nothing for it",
    ([positions]) =>
      Effect.gen(function*() {
        const { folder, log, provider, root } = yield* leave({ positions: positions! })
        assert.deepStrictEqual(yield* record(root, "p", 4, provider.model), ["text 0", "text 1", "text 2", "p #0"])
        assert.strictEqual(provider.given.length, 1)
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2", 3: "p #0" })
        assert.isFalse(Fs.existsSync(log))
        assert.deepStrictEqual(Fs.readdirSync(Path.join(root, ".purchases")), [])
      })
  )

  it.effect("whose places were taken by others since gets other places", () =>
    Effect.gen(function*() {
      const { folder, provider, root } = yield* leave({ positions: [0] })
      Fs.writeFileSync(Path.join(folder, "1.md"), "of another process")
      yield* record(root, "q", 1, provider.model)
      assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "of another process", 2: "text 1", 3: "text 2" })
    }))

  it.effect("that is still running is left to it, for a minute", () =>
    Effect.gen(function*() {
      for (const owner of [`${host}_${process.pid}-_other`, "elsewhere_4194305-_other"]) {
        const { folder, log, provider, root } = yield* leave({ positions: [0], owner })
        const now = Fs.statSync(log).mtimeMs
        yield* TestClock.setTime(now + 59_000)
        yield* record(root, "q", 1, provider.model)
        assert.isTrue(Fs.existsSync(log))
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0" })
        yield* TestClock.setTime(now + 61_000)
        yield* record(root, "r", 1, provider.model)
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2" })
      }
    }))

  it.effect("and that is taken over has as long as any other, and is left to who has it", () =>
    Effect.gen(function*() {
      const { folder, log, provider, root } = yield* leave({ positions: [0], owner: "elsewhere_4194305-_other" })
      const now = Fs.statSync(log).mtimeMs + 100_000
      yield* TestClock.setTime(now)
      const [one, two] = [yield* directoryStore(root), yield* directoryStore(root)]
      const key = new Key.Key(provider.model.identity, "p", [])
      // while the one stores it, the other looks, again and again
      let looks = 0
      const looking = patched(["linkSync"], (_, original) => (...args) => {
        if (String(args[1]).endsWith(".md") && looks++ < 3) Effect.runSync(Effect.orDie(two.prepare(key)))
        return original(...args)
      })
      yield* looking(one.prepare(key))
      assert.strictEqual(looks, 2)
      assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2" })
    }))

  it.effect("that another process has taken over meanwhile is left to it from then on", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const store = yield* directoryStore(root)
      const key = new Key.Key(provider.model.identity, "p", [])
      yield* store.prepare(key)
      const taking = patched(["linkSync"], (_, original) => (...args) => {
        if (String(args[1]).endsWith("1.md")) {
          // the process was stopped here, for long
          const purchases = Path.join(root, ".purchases")
          for (const name of Fs.readdirSync(purchases)) {
            Fs.renameSync(Path.join(purchases, name), Path.join(root, "taken"))
          }
        }
        return original(...args)
      })
      const stored = [entries[0]!, entries[1]!, entries[2]!] as const
      assert.deepStrictEqual(yield* taking(store.put(key, stored, "append")), [0, 1, undefined])
      assert.deepStrictEqual(samplesIn(store.describe(key)), { 0: "text 0", 1: "text 1" })
    }))

  it.effect("by a process that was killed while this one runs is finished by this one", () =>
    Effect.gen(function*() {
      const { folder, log, provider, root } = yield* leave({ positions: [0] })
      Fs.renameSync(log, `${root}.json`)
      yield* Effect.scoped(Effect.gen(function*() {
        const model = yield* Persistent.make(provider.model, yield* directoryStore(root))
        yield* LlmModel.sampleOne("q").pipe(using(model))
        Fs.renameSync(`${root}.json`, log)
        assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 3).pipe(using(model)), ["text 0", "text 1", "text 2"])
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2" })
        assert.deepStrictEqual(provider.requests, [1])
      }))
    }))

  it.effect("that cannot be stored stops draws of its own prompt, and of no other", () =>
    Effect.gen(function*() {
      const { folder, provider, root } = yield* leave({ positions: [] })
      Fs.mkdirSync(Path.dirname(folder), { recursive: true })
      Fs.writeFileSync(folder, "in the way")
      assert.deepStrictEqual(yield* record(root, "q", 1, provider.model), ["q #0"])
      assert.strictEqual((yield* Effect.flip(record(root, "p", 1, provider.model)))._tag, "StoreError")
      Fs.rmSync(folder)
      // the log is that of a store of this process now, which is gone
      yield* TestClock.adjust("61 seconds")
      assert.deepStrictEqual(yield* record(root, "p", 3, provider.model), ["text 0", "text 1", "text 2"])
      assert.deepStrictEqual(provider.requests, [1])
    }))

  it.effect("keeps a sample whose text another process has at its place", () =>
    Effect.gen(function*() {
      const { folder, provider, root } = yield* leave({ positions: [0] })
      Fs.writeFileSync(Path.join(folder, "1.md"), "text 1")
      yield* record(root, "q", 1, provider.model)
      assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 1", 3: "text 2" })
    }))

  it.effect("keeps a sample that was announced where another process then put one of the same text", () =>
    Effect.gen(function*() {
      for (const isFirst of [true, false]) {
        const { folder, provider, root } = yield* leave({ positions: [0] })
        const key = new Key.Key(provider.model.identity, "p", [])
        const other = yield* directoryStore(root)
        const announced = { position: 1, bytes: 6, crc32: crc32("text 1"), id: "purchase 1", inode: 1, request: "gone" }
        const announce = () => Fs.appendFileSync(Path.join(folder, "0-255.jsonl"), `\n${JSON.stringify(announced)}`)
        const theirs = {
          position: 1,
          drawn: { text: "text 1", metadata: { request: "theirs", index: 0 }, origins: [] }
        }
        if (isFirst) announce()
        const puts = patched(["linkSync"], (_, original) => (...args) => {
          if (!isFirst && String(args[1]).endsWith("1.md")) announce()
          return original(...args)
        })
        yield* puts(other.put(key, [theirs], "drop"))
        yield* record(root, "q", 1, provider.model)
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 1", 3: "text 2" })
        for (const store of [other, yield* directoryStore(root)]) {
          assert.deepStrictEqual(yield* store.get(key, 1), theirs.drawn)
        }
      }
    }))

  it.effect("of which it was the last act is found out later by a store that found it running", () =>
    Effect.gen(function*() {
      const { folder, log, provider, root } = yield* leave({ positions: [0], owner: `${host}_${process.pid}-_other` })
      yield* Effect.scoped(Effect.gen(function*() {
        const model = yield* Persistent.make(provider.model, yield* directoryStore(root))
        yield* LlmModel.sampleOne("q").pipe(using(model))
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0" })
        Fs.renameSync(log, log.replace(`_${process.pid}-`, "_4194305-"))
        yield* LlmModel.sampleOne("r").pipe(using(model))
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2" })
      }))
    }))

  it.effect.runIf(process.platform === "linux")(
    "whose number another process has by now is not mistaken for that",
    () =>
      Effect.gen(function*() {
        const { folder, provider, root } = yield* leave({ positions: [0], owner: `${host}_${process.pid}-1_gone` })
        yield* record(root, "q", 1, provider.model)
        assert.deepStrictEqual(samplesIn(folder), { 0: "text 0", 1: "text 1", 2: "text 2" })
      })
  )

  it.effect.each<readonly [string, { readonly content?: string; readonly folder?: string }]>([
    ["is cut off", { content: "{\"id\":\"purchase\",\"ent" }],
    ["is empty", { content: "" }],
    ["is of something else", { content: "[1]" }],
    ["leads out of the root", { folder: "../escape" }],
    ["leads to an absolute folder", { folder: "/escape" }]
  ])("and whose log %s is put aside, and recording goes on", ([, options]) =>
    Effect.gen(function*() {
      const { provider, root } = yield* leave({ positions: [], ...options })
      assert.deepStrictEqual(yield* record(root, "p", 2, provider.model), ["p #0", "p #1"])
      assert.deepStrictEqual(Fs.readdirSync(Path.dirname(root)), ["root"])
      assert.isFalse(Fs.existsSync("/escape"))
      assert.match(Fs.readdirSync(Path.join(root, ".purchases")).join(), /^\S+\.damaged$/)
    }))

  it.effect("because the file system failed halfway: the next draw finishes it when that is mended", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      const folder = originalFolder(root, "mock", "1", "p")
      yield* Effect.scoped(Effect.gen(function*() {
        const model = yield* Persistent.make(provider.model, yield* directoryStore(root))
        yield* LlmModel.sampleMany("p", 254).pipe(using(model))
        // the file of what is known of position 256 and the next ones
        Fs.mkdirSync(Path.join(folder, "256-511.jsonl"))
        const error = yield* Effect.flip(LlmModel.sampleMany("p", 260).pipe(using(model)))
        assert.strictEqual(error._tag, "StoreError")
        assert.strictEqual((yield* LlmModel.sampleMany("p", 256).pipe(using(model))).at(-1), "p #255")
        assert.deepStrictEqual(provider.requests, [254, 6])
        Fs.rmdirSync(Path.join(folder, "256-511.jsonl"))
        assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 260).pipe(using(model)), provider.given)
        assert.deepStrictEqual(provider.requests, [254, 6])
        assert.deepStrictEqual(Object.values(samplesIn(folder)), provider.given)
      }))
    }))
})

describe("names that can be no folder", () => {
  it.effect.each([
    "..",
    "../x",
    "a/../../x",
    "a/..",
    "/etc",
    "a//b",
    "a/",
    "./a",
    "a/.",
    "a\u0000b",
    "x".repeat(300),
    "é".repeat(130),
    `a_1/${"0".repeat(64)}`
  ])("the alias %j is a StoreError before anything is read, written or bought", (alias) =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider({ model: alias })
      for (const directory of [root]) {
        const error = yield* Effect.flip(record(directory, "p", 1, provider.model))
        assert.strictEqual(error._tag, "StoreError")
        assert.strictEqual((error as { kind?: string }).kind, "InvalidName")
        assert.include(error.message, "alias")
        assert.strictEqual((yield* Effect.flip(replicate(directory, "p", 1, { alias })))._tag, "StoreError")
      }
      assert.deepStrictEqual(provider.requests, [])
      assert.deepStrictEqual(Fs.readdirSync(root), [])
    }))

  it.effect.each(["", "x".repeat(300), "\uD800"])("so is the fork %j", (name) =>
    Effect.gen(function*() {
      const store = yield* directoryStore(yield* makeDirectory)
      const error = yield* Effect.flip(store.get(yield* keyOf({}, "p", [name]), 0))
      assert.strictEqual(error.kind, "InvalidName")
    }))
})

it.effect("reading n samples lists no folder, and reads three files more than there are samples", () =>
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
        calls[name]++
        return original(...args)
      })
    )
    assert.strictEqual(texts.length, 100)
    assert.deepStrictEqual(calls, { openSync: 102, readFileSync: 1, readdirSync: 0, opendirSync: 0, statSync: 5 })
  }))

it.effect("recording in batches lists a prompt's folder once", () =>
  Effect.gen(function*() {
    const root = yield* makeDirectory
    const provider = yield* makeProvider({ maxBatch: 10 })
    let lists = 0
    const count = patched(["readdirSync"], (_, original) => (...args) => {
      if (!String(args[0]).endsWith(".purchases")) lists++
      return original(...args)
    })
    yield* count(record(root, "p", 200, provider.model))
    assert.strictEqual(provider.requests.length, 20)
    assert.strictEqual(lists, 1)
  }))

it.effect("a fault that passes costs nothing once a purchase is in the log", () =>
  Effect.gen(function*() {
    for (let failing = 1; failing <= 8; failing++) {
      const root = yield* makeDirectory
      const provider = yield* makeProvider()
      yield* Effect.scoped(Effect.gen(function*() {
        const store = yield* directoryStore(root)
        const model = yield* Persistent.make(provider.model, store)
        // so that all that follows are the writes of the purchase
        yield* store.prepare(new Key.Key(provider.model.identity, "p", []))
        let writes = 0
        const faulty = patched(["writeFileSync", "appendFileSync", "linkSync"], (_, original) => (...args) => {
          if (++writes === failing) throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" })
          return original(...args)
        })
        const exit = yield* LlmModel.sampleMany("p", 3).pipe(using(model), faulty, Effect.exit)
        // the first two write the log
        assert.strictEqual(Exit.isSuccess(exit), failing > 2, `${failing}`)
        assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 3).pipe(using(model)), provider.given)
        assert.deepStrictEqual(provider.requests, [3])
      }))
    }
  }))

it.effect("a disk that is full halfway leaves no part of a sample, and no sample is lost", () =>
  Effect.gen(function*() {
    for (const n of [1, 3]) {
      // the writes of a purchase, one after the other
      for (let failing = 1; failing <= 12; failing++) {
        const root = yield* makeDirectory
        const provider = yield* makeProvider()
        const folder = originalFolder(root, "mock", "1", "p")
        yield* Effect.scoped(Effect.gen(function*() {
          const model = yield* Persistent.make(provider.model, yield* directoryStore(root))
          let writes = 0
          const full = patched(["writeFileSync", "appendFileSync", "linkSync"], (name, original) => (...args) => {
            if (++writes < failing) return original(...args)
            if (name !== "linkSync") original(args[0], String(args[1]).slice(0, 3), ...args.slice(2))
            throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" })
          })
          const exit = yield* LlmModel.sampleMany("p", n).pipe(using(model), full, Effect.exit)
          if (Exit.isFailure(exit)) assert.strictEqual(Exit.findError(exit).pipe(Result.getOrThrow)._tag, "StoreError")
          for (const text of Object.values(samplesIn(folder))) assert.include(provider.given, text)
          assert.sameMembers(yield* LlmModel.sampleMany("p", n).pipe(using(model)), provider.given)
          assert.strictEqual(provider.requests.length, 1)
          assert.sameMembers(Object.values(samplesIn(folder)), provider.given)
        }))
      }
    }
  }))

it.effect("a store lists the keys of one identity alone", () =>
  Effect.gen(function*() {
    for (const store of [yield* directoryStore(yield* makeDirectory), yield* MemoryStore.make]) {
      const key = yield* keyOf({})
      for (const prompt of ["a", "b", "c"]) {
        yield* store.put(yield* keyOf({}, prompt), [{ position: 0, drawn: drawn("x") }], "drop")
      }
      yield* store.put(yield* keyOf({ temperature: 2 }, "other"), [{ position: 0, drawn: drawn("x") }], "drop")
      const listed = yield* Stream.runCollect(store.keys({ identity: key.identity }))
      assert.sameMembers(listed.map((element) => Result.getOrThrow(element).key.prompt), ["a", "b", "c"])
      assert.lengthOf(yield* Stream.runCollect(store.keys()), 4)
    }
  }))
