import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, LlmModel, MemoryStore, Persistent, Transfer } from "@llm-cache/core"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { crc32 } from "node:zlib"
import { drawn, keyOf, record } from "../support/caches.ts"
import { makeDirectory, readTree, samplesIn, settled } from "../support/directory.ts"
import { patched } from "../support/patched.ts"
import { makeProvider, using } from "../support/provider.ts"
import { directoryStore } from "../support/stack.ts"

const fault = (code: string, syscall: string) => Object.assign(new Error(`${code}: ${syscall}`), { code, syscall })

describe("a file system without hard links", () => {
  const withoutLinks = patched(["linkSync"], () => () => {
    throw fault("EPERM", "link")
  })

  it.effect("keeps samples whole, with their metadata, and the first writer wins", () =>
    withoutLinks(Effect.gen(function*() {
      for (const durability of ["power", "process"] as const) {
        const root = yield* makeDirectory
        const [one, two] = [yield* directoryStore(root, { durability }), yield* directoryStore(root, { durability })]
        const key = yield* keyOf({})
        const [first, second] = [drawn("first", { origins: [3] }), drawn("second", { origins: [4] })]
        yield* one.prepare(key)
        assert.deepStrictEqual(yield* one.put(key, [{ position: 0, drawn: first }], "append"), [0])
        assert.deepStrictEqual(yield* two.put(key, [{ position: 0, drawn: second }], "append"), [1])
        assert.deepStrictEqual(yield* two.put(key, [{ position: 0, drawn: second }], "drop"), [undefined])
        assert.deepStrictEqual(yield* one.getMany(key, 0, 3), [first, second])
        assert.strictEqual(one.peek!(key, 0, 1)[0]?.text, "first")
        yield* settled(root)
        assert.deepStrictEqual(Object.keys(readTree(root)).filter((path) => path.endsWith(".tmp")), [])
      }
    })))

  it.effect("completes the part of a sample that a killed process left", () =>
    withoutLinks(Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root)
      const key = yield* keyOf({})
      yield* store.prepare(key)
      const folder = store.describe(key)
      const entries = ["zero é", "one"].map((text, position) => ({ position, id: `r ${position}`, drawn: drawn(text) }))
      Fs.writeFileSync(Path.join(folder, "0.md"), Buffer.from("zero é").subarray(0, 6))
      const line = { position: 0, bytes: 7, crc32: crc32("zero é"), id: "r 0", inode: 1 }
      Fs.writeFileSync(Path.join(folder, "0-255.jsonl"), `\n${JSON.stringify(line)}`)
      Fs.mkdirSync(Path.join(root, ".purchases"), { recursive: true })
      const host = yield* hostOf(root, store)
      Fs.writeFileSync(
        Path.join(root, ".purchases", `${host}_4194305-1_gone_0.jsonl`),
        JSON.stringify({ request: 0, folder: Path.relative(root, folder), ifTaken: "append", entries })
      )
      yield* store.prepare(key)
      assert.deepStrictEqual(yield* store.getMany(key, 0, 3), entries.map(({ drawn }) => drawn))
    })))

  const hostOf = (root: string, store: { put: Effect.Success<ReturnType<typeof directoryStore>>["put"] }) =>
    Effect.gen(function*() {
      yield* store.put(yield* keyOf({}, "other"), [{ position: 0, drawn: drawn("x") }], "append")
      return Fs.readdirSync(Path.join(root, ".purchases"))[0]!.split("_")[0]!
    })
})

it.effect("A name that the file system refuses is an InvalidName that names `alias`, before any request", () =>
  Effect.gen(function*() {
    for (const code of ["EINVAL", "EILSEQ", "ENOENT"]) {
      const root = yield* makeDirectory
      const provider = yield* makeProvider({ model: "qwen2.5:7b" })
      const refusing = patched(["mkdirSync"], (_, original) => (...args) => {
        if (String(args[0]).includes(":")) throw fault(code, "mkdir")
        return original(...args)
      })
      const error = yield* Effect.flip(refusing(record(root, "p", 1, provider.model)))
      assert.strictEqual((error as { kind?: string }).kind, "InvalidName")
      assert.include(error.message, "`alias`")
      assert.deepStrictEqual(provider.requests, [])
    }
  }))

it.effect("A new prompt on a read-only file system says that it is read-only", () =>
  Effect.gen(function*() {
    const root = yield* makeDirectory
    const provider = yield* makeProvider()
    const readOnly = patched(["mkdirSync"], () => (_, options) => {
      // As Node reports it.
      throw fault(options?.recursive ? "ENOENT" : "EROFS", "mkdir")
    })
    const error = yield* Effect.flip(readOnly(record(root, "p", 1, provider.model)))
    assert.include(error.message, "read-only")
    assert.deepStrictEqual(provider.requests, [])
  }))

it.effect("A root with ~ is a StoreError for a user without a home folder", () =>
  Effect.gen(function*() {
    const home = process.env["HOME"]
    yield* Effect.acquireRelease(
      Effect.sync(() => void (process.env["HOME"] = "")),
      () => Effect.sync(() => void (process.env["HOME"] = home))
    )
    for (const root of ["~", "~/caches"]) {
      const error = yield* Effect.flip(DirectoryStore.make(root))
      assert.strictEqual(error._tag, "StoreError")
      assert.include(error.message, "set HOME")
    }
  }).pipe(Effect.scoped))

it.effect("A root tells Git to leave line endings alone, unless it says otherwise or is the top of a work tree", () =>
  Effect.gen(function*() {
    const provider = yield* makeProvider()
    const [plain, own, top] = [yield* makeDirectory, yield* makeDirectory, yield* makeDirectory]
    Fs.writeFileSync(Path.join(own, ".gitattributes"), "*.md text\n")
    Fs.mkdirSync(Path.join(top, ".git"))
    for (const root of [plain, own, top]) yield* record(root, "p", 1, provider.model)
    assert.strictEqual(Fs.readFileSync(Path.join(plain, ".gitattributes"), "utf8"), "* -text\n")
    assert.strictEqual(Fs.readFileSync(Path.join(own, ".gitattributes"), "utf8"), "*.md text\n")
    assert.isFalse(Fs.existsSync(Path.join(top, ".gitattributes")))
  }))

it.effect("A full disk is found before a request", () =>
  Effect.gen(function*() {
    const root = yield* makeDirectory
    const provider = yield* makeProvider()
    const full = patched(["statfsSync"], (_, original) => (...args) =>
      Object.assign(original(...args) as Fs.StatsFs, { bavail: 3, bfree: 3 }))
    const error = yield* Effect.flip(full(record(root, "p", 1, provider.model)))
    assert.include(error.message, "disk is full")
    assert.deepStrictEqual(provider.requests, [])
  }))

it.effect("No sample is lost if no descriptor is left for a moment while 68 draws are put", () =>
  Effect.gen(function*() {
    const root = yield* makeDirectory
    const provider = yield* makeProvider()
    let failures = 0
    const out = patched(["openSync", "open"], (name, original) => (...args) => {
      if (provider.given.length < 68 || failures++ > 300) return original(...args)
      const cause = fault("EMFILE", "open")
      if (name === "openSync") throw cause
      return setImmediate(() => args.at(-1)(cause))
    })
    const prompts = Array.from({ length: 68 }, (_, i) => `${i}`)
    const texts = yield* Effect.scoped(out(Effect.gen(function*() {
      const model = yield* Persistent.make(provider.model, yield* directoryStore(root))
      return yield* Effect.forEach(prompts, (prompt) => LlmModel.sampleOne(prompt).pipe(using(model)), {
        concurrency: "unbounded"
      })
    })))
    assert.isAbove(failures, 300)
    assert.deepStrictEqual(texts.toSorted(), provider.given.toSorted())
    assert.strictEqual(provider.requests.length, 68)
    const stored = Object.entries(readTree(root)).flatMap(([path, text]) => path.endsWith(".md") ? [text] : [])
    assert.deepStrictEqual(stored.toSorted(), texts.toSorted())
  }))

it.effect("A file that a killed process left is removed when its prompt is prepared, and one that is being written is not", () =>
  Effect.gen(function*() {
    const root = yield* makeDirectory
    const key = yield* keyOf({})
    const folder = (yield* directoryStore(root)).describe(key)
    Fs.mkdirSync(folder, { recursive: true })
    const id = crypto.randomUUID()
    const [killed, running, old, older, other] = [
      `.4194305_${id}.tmp`,
      `.${process.pid}_${id}.tmp`,
      `.${process.ppid}_${id}.tmp`,
      `.${id}.tmp`,
      "mine.tmp"
    ]
    for (const name of [killed, running, old, older, other]) Fs.writeFileSync(Path.join(folder, name), "part")
    for (const name of [old, older]) Fs.utimesSync(Path.join(folder, name), 1, 1)
    const store = yield* directoryStore(root)
    const { damaged } = yield* Transfer.verify(store)
    assert.sameMembers(damaged.map(({ description }) => Path.basename(description.split(" ")[0]!)), [
      killed,
      old,
      older
    ])
    // They stand in the way of no copy.
    yield* Transfer.copy(store, yield* MemoryStore.make)
    yield* store.prepare(key)
    assert.sameMembers(Fs.readdirSync(folder).filter((name) => name.endsWith(".tmp")), [running, other])
    assert.deepStrictEqual(samplesIn(root), {})
  }))
