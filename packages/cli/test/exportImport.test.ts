import { assert, describe, it } from "@effect/vitest"
import * as DirectoryStore from "@llm-cache/core/DirectoryStore"
import * as MemoryStore from "@llm-cache/core/MemoryStore"
import * as SampleStore from "@llm-cache/core/SampleStore"
import type { Store } from "@llm-cache/core/SampleStore"
import * as SqliteStore from "@llm-cache/sqlite/SqliteStore"
import { Effect, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { exportLines } from "../src/exchange/exportLines.ts"
import { linesOf } from "../src/import/files.ts"
import { drawn, file, folder, imported, key, lines } from "./support/exchange.ts"

const exported = (store: Store, portion?: number) =>
  Effect.map(
    Stream.runCollect(exportLines(store, { onDamaged: (error) => Effect.die(error), portion })),
    (lines) => lines.join("")
  )

/** Every kind of sample that a cache may hold. */
const fill = Effect.fnUntraced(function*(store: Store, isReversed = false) {
  const plain = yield* key({ model: "gpt-4o", temperature: 1 }, "A number?")
  const puts = [
    store.put(plain, [{ position: 0, drawn: drawn("92", { request: "a", index: 0, finishReason: "stop" }) }], "drop"),
    store.put(plain, [{ position: 3, drawn: drawn("a gap\r\nbefore \u2028 me ✓\n", {}, [4, 7]) }], "drop"),
    store.put(
      yield* key({ model: "gpt-4o", temperature: 0.5 }, "A number?", ["worker-7", "a/b", "ü"]),
      [{
        position: 0,
        drawn: drawn("", {
          inputTokens: 3,
          reasoning: "\u0000\u001b[31m",
          createdAt: 1.5,
          rest: { toolCalls: [{ b: 1, a: null }], logprobs: -0.5 }
        })
      }],
      "drop"
    ),
    store.put(
      yield* key({ model: "gpt-4o", temperature: 0.5 }, "A number?"),
      [{ position: 0, drawn: drawn("outside of forks") }],
      "drop"
    ),
    store.put(
      yield* key({ model: "Vendor/model", parameters: { system: "Be brief.", max_tokens: 3, stop: ["\n"] } }, ""),
      [{ position: 1, drawn: drawn("no temperature") }],
      "drop"
    ),
    ...yield* Effect.forEach(
      Array.from({ length: 40 }, (_, i) => i),
      (i) =>
        Effect.map(
          key({ model: "m", temperature: 0 }, `Problem ${i}`),
          (key) => store.put(key, [{ position: i % 3, drawn: drawn(`answer ${i}`) }], "drop")
        )
    )
  ]
  yield* Effect.all(isReversed ? puts.toReversed() : puts, { discard: true })
})

const stores = {
  memory: MemoryStore.make,
  directory: Effect.flatMap(folder, DirectoryStore.make),
  sqlite: Effect.flatMap(folder, (folder) => SqliteStore.make({ file: Path.join(folder, "cache.db") }))
}

describe("the export", () => {
  for (const [name, make] of Object.entries(stores)) {
    it.effect(`goes round to the byte, from and to a store in ${name}`, () =>
      Effect.gen(function*() {
        const from = yield* make
        yield* fill(from)
        const text = yield* exported(from)
        assert.strictEqual(text.split("\n").length, 46)
        const path = yield* file("samples.jsonl", text)
        const { counts, to } = yield* imported(path, { to: yield* make })
        assert.deepStrictEqual(counts, { copied: 45, present: 0, skipped: 0, damaged: 0 })
        assert.strictEqual(yield* exported(to), text)
        const again = yield* imported(path, { to })
        assert.deepStrictEqual(again.counts, { copied: 0, present: 45, skipped: 0, damaged: 0 })
        assert.strictEqual(yield* exported(to), text)
      }))
  }

  it.effect("is the same for equal caches of any kind, filled in any order, and sorted in portions", () =>
    Effect.gen(function*() {
      const texts: Array<string> = []
      for (const [i, make] of Object.values(stores).entries()) {
        const store = yield* make
        yield* fill(store, i === 1)
        texts.push(yield* exported(store), yield* exported(store, 3))
      }
      assert.strictEqual(new Set(texts).size, 1)
    }))

  it.effect("has the same columns of the same types in every line, with temperatures first", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      yield* fill(store)
      const rows = (yield* exported(store)).trimEnd().split("\n")
      const types = new Set(
        rows.map((row) =>
          Object.entries(JSON.parse(row)).map(([name, value]) =>
            `${name} ${name === "temperature" ? "" : typeof value}`
          )
            .join(", ")
        )
      )
      assert.deepStrictEqual([...types], [
        "model string, temperature , parameters string, fork string, hash string, prompt string, position number, " +
        "text string, metadata string, origins string"
      ])
      assert.include(rows[0], "\"temperature\":0.5,")
      assert.include(rows[2], "\"temperature\":1.0,")
      assert.include(rows.at(-1), "\"temperature\":null,")
    }))

  it.effect("holds the keys of a portion of a model, and not all", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      yield* fill(store)
      const listed: Array<number> = []
      const spied = SampleStore.make({
        ...store,
        keys: (filter) =>
          filter?.promptHash === undefined ? store.keys(filter) : Stream.unwrap(
            Effect.map(Stream.runCollect(store.keys(filter)), (found) => {
              listed.push(found.length)
              return Stream.fromIterable(found)
            })
          )
      })
      yield* exported(spied, 3)
      assert.isBelow(Math.max(...listed), 12)
    }))

  it.effect("tells of a damaged sample and goes on behind it", () =>
    Effect.gen(function*() {
      const root = yield* folder
      const store = yield* DirectoryStore.make(root)
      yield* fill(store)
      const [sample] = Fs.globSync("gpt-4o_1/*/0.md", { cwd: root })
      Fs.writeFileSync(Path.join(root, sample!), "edited")
      const damaged: Array<string> = []
      const opened = yield* DirectoryStore.make(root)
      const rows = yield* Stream.runCollect(
        exportLines(opened, { onDamaged: (error) => Effect.sync(() => void damaged.push(error.kind)) })
      )
      assert.deepStrictEqual(damaged, ["Damaged"])
      assert.strictEqual(rows.length, 44)
      assert.isTrue(rows.some((row) => row.includes("a gap")))
    }))
})

describe("lines that are imported", () => {
  const good = { model: "m", temperature: 1, prompt: "p", position: 0, text: "a" }

  it.effect("are put in, though others are torn, of wrong types or no JSON", () =>
    Effect.gen(function*() {
      const path = yield* file(
        "samples.jsonl",
        lines(
          "{\"model\":\"m\",\"prom",
          good,
          { ...good, position: -1 },
          { ...good, position: "1" },
          { ...good, text: 3 },
          { ...good, model: "" },
          { ...good, temperature: "hot" },
          { ...good, parameters: "{\"b\":1,\"a\":2}" },
          { ...good, fork: "[1]" },
          { ...good, metadata: "{\"inputTokens\":\"3\"}" },
          { ...good, origins: "[-1]" },
          { ...good, metadata: "{\"rest\":[1]}" },
          { ...good, text: "another at the same position" },
          "",
          JSON.stringify({ ...good, position: 1 }).slice(0, -3)
        )
      )
      const { counts, problems } = yield* imported(path)
      assert.deepStrictEqual(counts, { copied: 1, present: 0, skipped: 0, damaged: 13 })
      assert.deepStrictEqual(
        problems.map((problem) => Number(/line (\d+)/.exec(problem)![1])),
        [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15]
      )
    }))

  it.effect("that are not UTF-8 are told", () =>
    Effect.gen(function*() {
      const path = yield* file(
        "samples.jsonl",
        Buffer.concat([Buffer.from(lines(good)), Buffer.from([0x7b, 0xff, 0xfe, 0x0a])])
      )
      const { counts, problems } = yield* imported(path)
      assert.strictEqual(counts.copied, 1)
      assert.deepStrictEqual(problems, ["damaged: line 2: it is not text in UTF-8"])
    }))

  it.effect("that are too long are told and not held", () =>
    Effect.gen(function*() {
      const path = yield* file("samples.jsonl", `${"x".repeat(300_000)}\nshort\n${"y".repeat(100)}`)
      const found = yield* Stream.runCollect(linesOf(path, 99))
      assert.deepStrictEqual(found.map((line) => line.kind === "line" ? line.text : line.where), [
        "line 1",
        "short",
        "line 3"
      ])
    }))

  it.effect("fail with a conflict where the cache has another sample", () =>
    Effect.gen(function*() {
      const path = yield* file("samples.jsonl", lines(good))
      const { to } = yield* imported(path)
      const other = yield* file("samples.jsonl", lines({ ...good, text: "b" }))
      assert.strictEqual((yield* Effect.flip(imported(other, { to })))._tag, "SampleConflict")
    }))

  it.effect("need no columns but the model, the prompt, the position and the text", () =>
    Effect.gen(function*() {
      const path = yield* file("samples.jsonl", lines({ model: "m", prompt: "p", position: 2, text: "a" }))
      const { to } = yield* imported(path)
      assert.deepStrictEqual(yield* to.positions(yield* key({ model: "m" }, "p")), [2])
    }))
})
