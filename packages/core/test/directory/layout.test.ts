import { assert, describe, it } from "@effect/vitest"
import { type Identity, Key, LlmModel, Persistent, Transfer } from "@llm-cache/core"
import { Effect, Result, Stream } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { drawn, keyOf, originalFolder, record, replicate, sha256, writeOriginal } from "../support/caches.ts"
import { makeDirectory, readTree, settled } from "../support/directory.ts"
import { patched } from "../support/patched.ts"
import { makeProvider } from "../support/provider.ts"
import { directoryStore } from "../support/stack.ts"

/** The samples that the original reads: every `*.md`, in the order of the numbers in their names. */
const readOriginal = (folder: string) =>
  Fs.readdirSync(folder).filter((name) => name.endsWith(".md")).map((name) => {
    assert.match(name, /^\d+\.md$/)
    return name
  }).sort((a, b) => parseInt(a) - parseInt(b)).map((name) => Fs.readFileSync(Path.join(folder, name), "utf8"))

describe("the layout of a directory", () => {
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
  ])("temperature %s is part of the folder's name", ([temperature, printed]) =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root)
      const key = yield* keyOf({ temperature: temperature as number | undefined })
      assert.strictEqual(store.describe(key), `${root}/m_${printed}/${sha256("p")}`)
    }))

  // A cache that an upgrade no longer finds costs its owner every request again.
  const hash = "148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940"
  it.effect.each<readonly [string, Partial<Identity.Options>, string?, ReadonlyArray<string>?]>([
    [`gpt-4o_1/${hash}`, { model: "gpt-4o" }],
    [
      "vendor/gpt-4o_0.7/f83e039796c6453a10f5519e39fd113901572316a1a8ea07cb525d2801dfd074",
      { model: "gpt-4o", alias: "vendor/gpt-4o", temperature: 0.7 },
      "Grüße"
    ],
    ["m_0/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", { temperature: 0 }, ""],
    [`m_default/${hash}`, { temperature: undefined }],
    [`m_0.1234/${hash}`, { temperature: 0.1234 }],
    [`m_1e-7/${hash}`, { temperature: 1e-7 }],
    [`m_1e+21/${hash}`, { temperature: 1e21 }],
    [`m_1_p-44810af4b6c66c77f2d1ee95f8d31816/${hash}`, { parameters: { max_tokens: 5 } }],
    [
      `m_1_p-f2d2c3899d29879ecae4e808282da254/${hash}`,
      { parameters: { system: "Answer in one word.", top_p: 0.9, stop: ["\n"] } }
    ],
    [
      `m_default_p-04f3e37cb3ea58f93b70d6da0cd5d4ed/${hash}/forks/trial/forks/7`,
      { temperature: undefined, parameters: { system: "Grüße" } },
      "p",
      ["trial", "7"]
    ],
    [
      `m_1/${hash}/forks/a%20b/forks/x%2Fy/forks/%2E%2E/forks/%2A/forks/%C3%A9`,
      {},
      "p",
      ["a b", "x/y", "..", "*", "é"]
    ]
  ])("a sample is in %s in every version", ([folder, options, prompt, path]) =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root)
      const key = yield* keyOf(options, prompt, path)
      for (const position of [0, 300]) {
        yield* store.put(key, [{ position, drawn: drawn("x") }], "drop")
      }
      yield* settled(root)
      const files = Object.keys(readTree(root))
      for (const name of ["0.md", "0-255.jsonl", "300.md", "256-511.jsonl"]) {
        assert.include(files, Path.join(folder, name))
      }
      const identityFolder = folder.slice(0, folder.search(/\/[0-9a-f]{64}/))
      const promptFolder = folder.replace(/\/forks\/.*/, "")
      assert.sameMembers(
        files.filter((file) => !file.startsWith(`${folder}/`) || /(txt|identity.json)$/.test(file)),
        [".gitattributes", `${identityFolder}/identity.json`, `${promptFolder}/prompt.txt`]
      )
      yield* store.put(key, [{ position: 1, drawn: drawn("y") }, { position: 2, drawn: drawn("z") }], "drop")
      assert.include(Fs.readdirSync(root), ".purchases")
    }))

  it.effect("no two keys share a folder, and none is outside of the root", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root, { durability: "process" })
      const folders = new Set<string>()
      const names = [
        "forks",
        "x",
        "X",
        "x/y",
        ".",
        "..",
        "%2E",
        "0.md",
        "a b",
        "é",
        "É",
        "e\u0301",
        "%58",
        "x".repeat(300),
        "X".repeat(300)
      ]
      const paths = [[], ...names.map((name) => [name]), ...names.map((name) => ["x", name])]
      let keys = 0
      for (
        const alias of ["a", "a_1", "a/b", "A/b", "a/B", "a_default", "A", "é", "e\u0301", "É", "ß", "ss", "SS", "ſs"]
      ) {
        for (const temperature of [undefined, 0, 1, 0.123, 0.1234, 0.12341]) {
          for (const parameters of [{}, { top_p: 1 }, { top_p: "1" }, { max_tokens: 1, top_p: 1 }]) {
            const first = yield* keyOf({ alias, temperature, parameters }, "first")
            yield* store.prepare(first)
            // A name of a fork means the same under all identities: one of each alias has them all.
            const isFirst = temperature === undefined && Object.keys(parameters).length === 0
            for (const prompt of ["a", "b"]) {
              for (const path of isFirst ? paths : paths.slice(0, 3)) {
                const folder = store.describe(new Key.Key(first.identity, prompt, path))
                assert.isTrue(folder.startsWith(`${root}/`) && Path.normalize(folder) === folder, folder)
                // As a file system may take them that ignores case and Unicode form.
                folders.add(folder.normalize("NFKC").toUpperCase().toLowerCase())
                keys++
              }
            }
          }
        }
      }
      assert.strictEqual(folders.size, keys)
    }))

  it.effect("an alias has the folder of the original, unless a file system may take it for another one's", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const aliases = ["Qwen/Qwen2.5-7B", "modèle", "qwen/qwen2.5-7b", "QWEN/Qwen2.5-7B", "mode\u0300le"]
      const folders: Array<string> = []
      for (const alias of aliases) {
        const store = yield* directoryStore(root)
        const key = yield* keyOf({ alias }, "p")
        yield* store.put(key, [{ position: 0, drawn: drawn(alias) }], "drop")
        folders.push(Path.relative(root, Path.dirname(store.describe(key))))
      }
      assert.deepStrictEqual(folders.slice(0, 2), ["Qwen/Qwen2.5-7B_1", "modèle_1"])
      for (const folder of folders.slice(2)) assert.match(folder, /_1_n-[0-9a-f]{32}$/)
      // Another process finds each again.
      const store = yield* directoryStore(root)
      for (const alias of aliases) {
        assert.strictEqual((yield* store.get(yield* keyOf({ alias }, "p"), 0))?.text, alias)
      }
      const listed = yield* Stream.runCollect(store.keys())
      assert.sameMembers(listed.map((element) => Result.getOrThrow(element).key.identity.name), aliases)
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

  it.effect("a folder that the file system gives to two identities belongs to the first, and the second has its own", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const provider = yield* makeProvider({ model: "Model" })
      yield* record(root, "p", 1, provider.model)
      // A file system that ignores case does this.
      const folder = (yield* directoryStore(root)).describe(new Key.Key(provider.model.identity, "p", []))
      Fs.renameSync(Path.dirname(folder), Path.join(root, "model_1"))
      const other = yield* makeProvider({ model: "model" })
      yield* record(root, "p", 1, other.model)
      assert.deepStrictEqual(other.requests, [1])
      const key = new Key.Key(other.model.identity, "p", [])
      assert.match((yield* directoryStore(root)).describe(key), /\/model_1_n-[0-9a-f]{32}\//)
      assert.deepStrictEqual(yield* replicate(root, "p", 1, { model: "model" }), other.given)
      // The file only explains: a spoilt file is no obstacle, nor a missing one as in a cache of the original.
      for (const content of ["", "{", "[]", "{}"]) {
        Fs.writeFileSync(Path.join(root, "model_1", "identity.json"), content)
        assert.deepStrictEqual(yield* replicate(root, "p", 1, { model: "model" }), ["p #0"])
      }
    }))

  it.effect("names of any length and script have folders that fit, and the keys are listed by their whole names", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root, { durability: "process" })
      const nested = Array.from({ length: 20 }, (_, i) => `a step of the plan, number ${i}`)
      const keys = [
        // Exactly 252 bytes once encoded, and 258.
        yield* keyOf({}, "p", ["é".repeat(42)]),
        yield* keyOf({}, "p", ["é".repeat(43)]),
        yield* keyOf({}, "p", ["x".repeat(300)]),
        yield* keyOf({}, "p", ["x".repeat(301)]),
        yield* keyOf({}, "p", ["第".repeat(60), "一"]),
        yield* keyOf({}, "p", nested),
        yield* keyOf({}, "p", [...nested, "twenty-first"]),
        yield* keyOf({ model: "é".repeat(130) }),
        yield* keyOf({ model: `${"模型".repeat(200)}/${"模型".repeat(200)}` }),
        yield* keyOf({ model: "a/".repeat(200) + "b" }, "p", nested)
      ]
      for (const [i, key] of keys.entries()) {
        yield* store.put(key, [{ position: 0, drawn: drawn(`${i}`) }], "drop")
        const folder = Path.relative(root, store.describe(key))
        for (const name of folder.split(Path.sep)) assert.isAtMost(Buffer.byteLength(name), 255)
        assert.isAtMost(Buffer.byteLength(folder), 800)
      }
      const other = yield* directoryStore(root)
      for (const [i, key] of keys.entries()) assert.strictEqual((yield* other.get(key, 0))?.text, `${i}`)
      const listed = yield* Stream.runCollect(other.keys())
      const nameOf = ({ identity, path }: Key.Key) => JSON.stringify([identity.id, path])
      assert.sameMembers(listed.map((element) => nameOf(Result.getOrThrow(element).key)), keys.map(nameOf))
      // Without its file, a folder with a part of the names is not lost in silence.
      Fs.rmSync(Path.join(store.describe(keys[5]!), "fork.json"))
      const { damaged } = yield* Transfer.verify(other)
      assert.strictEqual(damaged.length, 1)
      assert.include(damaged[0]!.message, "fork.json")
    }))

  it.effect("a folder of an earlier version, or of the original, stays that of its key", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const long = Array.from({ length: 20 }, (_, i) => `a step of the plan, number ${i}`)
      const keys = [
        [yield* keyOf({ model: "Qwen/Qwen2.5-7B" }), `Qwen/Qwen2.5-7B_1/${sha256("p")}`],
        [yield* keyOf({ model: "é" }, "p", ["Trial", "x"]), `é_1/${sha256("p")}/forks/Trial/forks/x`],
        [
          yield* keyOf({}, "p", long),
          [`m_1/${sha256("p")}`, ...long.flatMap((name) => ["forks", encodeURIComponent(name)])].join("/")
        ]
      ] as const
      for (const [, folder] of keys) writeOriginal(Path.join(root, folder), { "0.md": folder })
      const store = yield* directoryStore(root)
      for (const [key, folder] of keys) {
        assert.strictEqual((yield* store.get(key, 0))?.text, folder)
        yield* store.prepare(key)
        yield* store.put(key, [{ position: 1, drawn: drawn("1") }], "drop")
        assert.isTrue(Fs.existsSync(Path.join(root, folder, "1.md")))
      }
      const listed = yield* Stream.runCollect(store.keys())
      assert.sameMembers(
        listed.map((element) => Result.getOrThrow(element).key.path.join()),
        ["", "Trial,x", long.join()]
      )
    }))

  it.effect("a folder that only a file system without case takes for that of an earlier version is not used", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const store = yield* directoryStore(root)
      const [lower, upper] = [yield* keyOf({}, "p", ["trial"]), yield* keyOf({}, "p", ["Trial"])]
      yield* store.put(lower, [{ position: 0, drawn: drawn("lower") }], "drop")
      const folding = patched(
        ["existsSync"],
        (_, original) => (path) => original(String(path).replace("Trial", "trial"))
      )
      assert.isUndefined(yield* folding(store.get(upper, 0)))
      assert.notInclude(store.describe(upper), "Trial")
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
    `a_1/${"0".repeat(64)}`
  ])(
    "the alias %j is a StoreError before any file is read or written, and before any request",
    (alias) =>
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
      })
  )

  it.effect.each(["", "\uD800"])("so is the fork %j", (name) =>
    Effect.gen(function*() {
      const store = yield* directoryStore(yield* makeDirectory)
      const error = yield* Effect.flip(store.get(yield* keyOf({}, "p", [name]), 0))
      assert.strictEqual(error.kind, "InvalidName")
    }))
})

it.effect("Two stores that create the folder of an identity at once agree on it", () =>
  Effect.gen(function*() {
    const root = yield* makeDirectory
    const key = yield* keyOf({ alias: "org/Model" }, "p")
    const [one, other] = [yield* directoryStore(root), yield* directoryStore(root)]
    // The other creates the folder while this one looks whether it exists.
    let isFirst = true
    const described = yield* Effect.sync(() => one.describe(key)).pipe(
      patched(["existsSync", "readdirSync"], (_, original) => (...args) => {
        const found = original(...args)
        if (isFirst) {
          isFirst = false
          Effect.runSync(Effect.exit(other.prepare(key)))
        }
        return found
      })
    )
    assert.strictEqual(described, other.describe(key))
    assert.include(described, `${Path.sep}Model_1${Path.sep}`)
  }).pipe(Effect.scoped))

it.effect("Two aliases that differ in case alone have two folders, also if both are asked for before either exists", () =>
  Effect.gen(function*() {
    const store = yield* directoryStore(yield* makeDirectory)
    const keys = [yield* keyOf({ alias: "Model" }, "p"), yield* keyOf({ alias: "model" }, "p")]
    for (const key of keys) assert.isUndefined(yield* store.get(key, 0))
    for (const key of keys) {
      yield* store.prepare(key)
      yield* store.put(key, [{ position: 0, drawn: drawn(key.identity.name) }], "drop")
    }
    const folders = keys.map((key) => store.describe(key).toLowerCase())
    assert.notStrictEqual(folders[0], folders[1])
    for (const key of keys) assert.strictEqual((yield* store.get(key, 0))?.text, key.identity.name)
  }).pipe(Effect.scoped))

it.effect("Two stores that create the first folder of a model at once both have it", () =>
  Effect.gen(function*() {
    const root = yield* makeDirectory
    const keys = [yield* keyOf({ alias: "org/Model" }, "one"), yield* keyOf({ alias: "org/Model" }, "other")] as const
    const [one, other] = [yield* directoryStore(root), yield* directoryStore(root)]
    // The other creates the folder of the model after this one missed it.
    let isFirst = true
    yield* one.prepare(keys[0]).pipe(
      patched(["mkdirSync"], (_, original) => (...args) => {
        try {
          return original(...args)
        } finally {
          if (isFirst) {
            isFirst = false
            Effect.runSync(other.prepare(keys[1]))
          }
        }
      })
    )
    for (const key of keys) yield* one.put(key, [{ position: 0, drawn: drawn(key.prompt) }], "drop")
    for (const key of keys) assert.strictEqual((yield* other.get(key, 0))?.text, key.prompt)
  }).pipe(Effect.scoped))
