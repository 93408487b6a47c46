import { assert, describe, it } from "@effect/vitest"
import * as DirectoryStore from "@llm-cache/core/DirectoryStore"
import * as MemoryStore from "@llm-cache/core/MemoryStore"
import { Effect, Stream } from "effect"
import * as Zip from "effect/encoding/Zip"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { contents, drawn, file, folder, imported, key } from "./support/exchange.ts"

const hash = (prompt: string) => Crypto.hash("sha256", prompt, "hex")

const samples = {
  [`gpt-4o_1/${hash("A number?")}/0.md`]: "92",
  [`gpt-4o_1/${hash("A number?")}/2.md`]: "a gap\r\n",
  [`vendor/model_0.5/${hash("A word?")}/0.md`]: "sun",
  [`gpt-4o_1/${hash("unknown")}/0.md`]: "?",
  [`gpt-4o_1/${hash("A number?")}/._0.md`]: "a fork of macOS",
  [`gpt-4o_1/${hash("A number?")}/.DS_Store`]: "",
  [`gpt-4o_1/README.md`]: "about",
  [`notemperature/${hash("A number?")}/0.md`]: "92"
}

const write = (root: string, files: Record<string, string | Uint8Array>) => {
  for (const [name, content] of Object.entries(files)) {
    Fs.mkdirSync(Path.dirname(Path.join(root, name)), { recursive: true })
    Fs.writeFileSync(Path.join(root, name), content)
  }
  return root
}

const zip = (files: Record<string, string>) =>
  Effect.flatMap(
    Stream.fromIterable(Object.entries(files).map(([name, content]) => Zip.file(name, content))).pipe(
      Stream.pipeThroughChannel(Zip.encode()),
      Stream.runCollect
    ),
    (chunks) => file("cache.zip", Buffer.concat(chunks))
  )

const expected = {
  "gpt-4o, temperature 1 | A number?": ["0: 92", "2: a gap\r\n"],
  "vendor/model, temperature 0.5 | A word?": ["0: sun"]
}

describe("a folder of the Python original", () => {
  const prompts = ["A word?", "A number?", "not asked"]

  it.effect("gives its samples to the prompts that are known", () =>
    Effect.gen(function*() {
      const root = write(yield* folder, samples)
      const { counts, problems, to } = yield* imported(root, { prompts })
      assert.deepStrictEqual(counts, { copied: 3, present: 0, skipped: 1, damaged: 1 })
      assert.deepStrictEqual(yield* contents(to), expected)
      assert.match(problems.join("\n"), /--prompts/)
      assert.strictEqual((yield* imported(root, { prompts, to })).counts.present, 3)
    }))

  it.effect("gives its samples to prompts that the cache has already", () =>
    Effect.gen(function*() {
      const root = write(yield* folder, samples)
      const to = yield* MemoryStore.make
      yield* to.put(yield* key({ model: "other" }, "A number?"), [{ position: 0, drawn: drawn("1") }], "drop")
      assert.strictEqual((yield* imported(root, { to })).counts.copied, 2)
    }))

  it.effect("is read from an archive, with the folders of macOS or without", () =>
    Effect.gen(function*() {
      const inFolder = Object.fromEntries(
        Object.entries(samples).flatMap(([name, content]) => [[`my_cache/${name}`, content], [
          `__MACOSX/my_cache/${name}`,
          "junk"
        ]])
      )
      for (const files of [samples, inFolder]) {
        const { to } = yield* imported(yield* zip(files), { prompts })
        assert.deepStrictEqual(yield* contents(to), expected)
      }
    }))

  it.effect("with a sample that is not UTF-8 is told", () =>
    Effect.gen(function*() {
      const root = write(yield* folder, { [`m_1/${hash("A word?")}/0.md`]: Buffer.from([0xff]) })
      const { counts, problems } = yield* imported(root, { prompts })
      assert.deepStrictEqual(counts, { copied: 0, present: 0, skipped: 0, damaged: 1 })
      assert.match(problems[0]!, /UTF-8/)
    }))

  it.effect("writes nothing outside of the cache, whatever the paths of an archive", () =>
    Effect.gen(function*() {
      const root = yield* folder
      const archive = yield* zip({
        [`../../evil_1/${hash("A word?")}/0.md`]: "evil",
        [`/tmp/evil_1/${hash("A word?")}/1.md`]: "evil"
      }).pipe(Effect.orElseSucceed(() => undefined))
      // The encoder refuses absolute paths.
      const path = archive ?? (yield* zip({ [`../../evil_1/${hash("A word?")}/0.md`]: "evil" }))
      const to = yield* DirectoryStore.make(Path.join(root, "a/b/cache"))
      yield* Effect.exit(imported(path, { prompts, to }))
      assert.deepStrictEqual(Fs.readdirSync(root).filter((name) => name !== "a"), [])
      assert.isFalse(Fs.existsSync("/tmp/evil_1"))
    }))

  it.effect("is told from a cache of this library, which is copied", () =>
    Effect.gen(function*() {
      const root = yield* folder
      const store = yield* DirectoryStore.make(root)
      yield* store.put(yield* key({ model: "m", temperature: 1 }, "p"), [{ position: 0, drawn: drawn("a") }], "drop")
      assert.match((yield* Effect.flip(imported(root))).message, /llm-cache copy/)
    }))
})
