import { assert, describe, it } from "@effect/vitest"
import { Identity, Key, Trace, TraceIndex } from "@llm-cache/core"
import { Effect, Exit, Schema, Scope, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Numbers } from "../src/internal/trace/numbers.ts"
import { makeDirectory } from "./support/directory.ts"

const below = (most: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: most - 1 }))

describe("The numbers of an index", () => {
  it.prop(
    "are those that were set last, in one, two or four bytes",
    {
      sets: Schema.Array(Schema.Struct({
        at: Schema.Union([below(40), below(50_000)]),
        value: Schema.Union([below(300), below(70_000), below(2 ** 32)])
      }))
    },
    ({ sets }) => {
      const list = new Numbers()
      const model = new Map<number, number>()
      for (const { at, value } of sets) {
        list.set(at, value)
        model.set(at, value)
      }
      assert.strictEqual(list.length, Math.max(0, ...[...model.keys()].map((i) => i + 1)))
      for (const [i, value] of model) assert.strictEqual(list.get(i), value)
      for (let i = 0; i < 50; i++) assert.strictEqual(list.get(i), model.get(i) ?? 0)
    }
  )

  it("keep their neighbours when a greater one comes", () => {
    const list = new Numbers()
    const values = Array.from({ length: 40_000 }, (_, i) => i % 1000 === 999 ? i * 100_000 : i % 7)
    values.forEach((value) => list.push(value))
    assert.deepStrictEqual(values.map((_, i) => list.get(i)), values)
  })
})

describe("An index over many keys", () => {
  it.effect("has the draws of prompts that come in many forks, each with the draw before it", () =>
    Effect.gen(function*() {
      const identity = yield* Identity.make({ model: "gpt-4o", temperature: 1 })
      const scope = yield* Scope.make()
      const directory = yield* makeDirectory
      const { listener, run } = yield* Scope.provide(Trace.make({ directory, name: "many" }), scope)
      const keys = Array.from({ length: 3000 }, (_, i) => new Key.Key(identity, `Question ${i % 900}`, [`${i % 70}`]))
      for (let i = 0; i < 20_000; i++) {
        listener({
          _tag: "Hit",
          key: keys[i % 3 === 0 ? i % 5 : i % keys.length]!,
          position: i,
          store: "store",
          sample: { text: "", metadata: { request: `${i}`, index: 0, inputTokens: i, outputTokens: 0, elapsed: 1 } },
          waited: false
        })
      }
      yield* Scope.close(scope, Exit.void)
      const index = TraceIndex.make(run.file)
      while (yield* index.advance);
      const hits = (yield* Stream.runCollect(Trace.read(run.file))).filter((entry) => entry.type === "hit")
      const last = new Map<string, number>()
      const before = hits.map(({ key }, row) => {
        const name = `${key.promptHash} ${key.path.join()}`
        const found = last.get(name)
        last.set(name, row)
        return found
      })
      const { draws, total } = yield* index.draws({}, 19_000, 1000)
      assert.strictEqual(total, 20_000)
      for (const { before: found, key, position, row } of draws) {
        assert.strictEqual(found, before[row])
        assert.strictEqual(position, row)
        assert.deepStrictEqual(key, hits[row]!.key)
      }
      const hash = hits[1]!.key.promptHash
      const ofPrompt = hits.filter(({ key }) => key.promptHash === hash)
      const prompt = yield* index.prompt(identity, hash)
      assert.strictEqual(prompt?.asked, ofPrompt.length)
      assert.strictEqual(prompt?.forks, new Set(ofPrompt.map(({ key }) => key.path.join())).size)
      assert.strictEqual((yield* index.draws({ promptHashes: [hash] }, 0, 1)).total, ofPrompt.length)
    }))

  it.effect("reads lines that are longer than its parts, and those behind them", () =>
    Effect.gen(function*() {
      const file = Path.join(yield* makeDirectory, "long.jsonl")
      const identity = yield* Identity.make({ model: "gpt-4o", temperature: 1 })
      const text = "é".repeat(200_000)
      const hash = "5d".repeat(32)
      const lines = [
        { t: "run", version: 1, name: "long", at: 1, host: "", pid: 1, birth: "" },
        { t: "key", key: 0, identity: 0, id: identity.id, hash, fork: [] },
        { t: "store", store: 0, id: "store" },
        { t: "prompt", key: 0, text },
        ...Array.from({ length: 3000 }, (_, position) => ({ t: "hit", ms: 1, key: 0, store: 0, position }))
      ]
      Fs.writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
      const index = TraceIndex.make(file)
      while (yield* index.advance);
      const { draws, read, size } = index.state()
      assert.deepStrictEqual({ draws, read }, { draws: 3000, read: size })
      assert.strictEqual(yield* index.promptText({ identity, path: [], promptHash: hash }), text)
      assert.strictEqual((yield* index.draw(2999))?.position, 2999)
    }))
})
