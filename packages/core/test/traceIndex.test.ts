import { assert, describe, it } from "@effect/vitest"
import {
  Fork,
  Identity,
  Independent,
  Key,
  LlmModel,
  MemoryStore,
  Persistent,
  Repeatable,
  Trace,
  TraceIndex
} from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Effect, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { makeDirectory } from "./support/directory.ts"
import { using } from "./support/provider.ts"
import { traced } from "./support/traced.ts"

const makeMetered = Effect.map(
  TestModel.make({
    model: "metered",
    script: ({ n, path, prompt }, i) => ({
      samples: Array.from({ length: n }, (_, j) => `${path.join()} ${prompt} ${i} ${j}`),
      inputTokens: 10,
      outputTokens: 3 * n
    })
  }),
  ({ model }) => model
)

const readAll = ({ advance }: TraceIndex.TraceIndex) => Effect.repeat(advance, { while: (isMore) => isMore })

const indexed = Effect.fnUntraced(function*(file: string) {
  const index = TraceIndex.make(file)
  yield* readAll(index)
  return index
})

/** A run with replays, purchases, attempts, forks, races, misses and a request that goes by the cache. */
const manifold = Effect.gen(function*() {
  const source = yield* makeMetered
  const store = yield* MemoryStore.make
  const cache = yield* Persistent.make(source, store)
  yield* LlmModel.sampleMany("known", 3).pipe(using(cache))
  const replica = yield* Persistent.make(source, store, { replication: true })
  return Effect.gen(function*() {
    yield* LlmModel.sampleMany("known", 4).pipe(using(cache))
    yield* LlmModel.sampleMany("new", 2).pipe(using(cache), Fork.fork("a"))
    yield* LlmModel.sampleMany("new", 1).pipe(using(cache), Fork.fork("inner"), Fork.fork("a"))
    const reader = yield* Independent.make(cache)
    for (let i = 0; i < 2; i++) {
      const attempt = yield* Repeatable.make(reader)
      yield* Effect.replicateEffect(LlmModel.sampleMany("known", 2), 2).pipe(using(attempt))
    }
    const racing = yield* Independent.make(cache)
    const one = Effect.andThen(Effect.yieldNow, LlmModel.sampleOne("race"))
    yield* Effect.all([one, one], { concurrency: 2 }).pipe(using(racing))
    yield* Effect.ignore(LlmModel.sampleOne("missed").pipe(using(replica), Fork.fork("b")))
    yield* LlmModel.sampleOne("bypassed").pipe(using(source))
  })
})

describe("An index over a trace", () => {
  it.effect("counts as the receipt does: in all, by fork, by prompt and over time", () =>
    Effect.gen(function*() {
      const { file } = yield* traced(yield* makeDirectory, yield* manifold)
      const index = yield* indexed(file)
      const { receipt, series } = index.state()
      assert.deepStrictEqual(receipt, yield* Trace.receipt(file))
      assert.isAbove(receipt.racing, 0)
      for (const counts of [index.forks(), yield* index.prompts("asked", 100)]) {
        const total = (name: keyof TraceIndex.Counts) => counts.reduce((sum, one) => sum + one[name], 0)
        assert.strictEqual(total("asked"), receipt.asked)
        assert.strictEqual(total("replayed"), receipt.replayed)
        assert.strictEqual(total("bought"), receipt.bought)
        assert.strictEqual(total("missed"), receipt.missed)
        assert.strictEqual(total("racing"), receipt.racing)
        assert.strictEqual(total("spentTokens"), receipt.inputTokens + receipt.outputTokens)
        assert.strictEqual(total("replayedTokens"), receipt.replayedInputTokens + receipt.replayedOutputTokens)
      }
      const sum = (name: "asked" | "spent" | "replayed") =>
        series.buckets.reduce((sum, bucket) => sum + bucket[name], 0)
      assert.deepStrictEqual([sum("asked"), sum("spent"), sum("replayed")], [
        receipt.asked,
        receipt.inputTokens + receipt.outputTokens,
        receipt.replayedInputTokens + receipt.replayedOutputTokens
      ])
    }))

  it.effect("gives draws by pages, with the keys and positions of their lines, and by filters", () =>
    Effect.gen(function*() {
      const { file } = yield* traced(yield* makeDirectory, yield* manifold)
      const index = yield* indexed(file)
      const lines: Array<string> = []
      yield* Stream.runForEach(Trace.read(file), (entry) =>
        Effect.sync(() => {
          if (entry.type === "hit" || (entry.type === "miss" && entry.asks !== "cache")) {
            lines.push(`${entry.key.promptHash} ${entry.key.path.join("/")} ${entry.position} ${entry.at}`)
          }
        }))
      const drawn: Array<TraceIndex.Draw> = []
      for (let from = 0, total = 1; from < total; from += 4) {
        const page = yield* index.draws({}, from, 4)
        drawn.push(...page.draws)
        total = page.total
      }
      const ofCaches = drawn.filter(({ number }) => number !== undefined)
      assert.deepStrictEqual(
        ofCaches.map(({ at, key, position }) => `${key.promptHash} ${key.path.join("/")} ${position} ${at}`),
        lines
      )
      assert.deepStrictEqual(ofCaches.map(({ number }) => number), lines.map((_, i) => i + 1))
      const count = (filter: TraceIndex.Filter) => Effect.map(index.draws(filter, 0, 0), ({ total }) => total)
      const { receipt } = index.state()
      assert.strictEqual(yield* count({ outcome: "replayed" }), receipt.replayed)
      assert.strictEqual(yield* count({ outcome: "bought" }), receipt.bought)
      assert.strictEqual(yield* count({ outcome: "missed" }), 1)
      assert.strictEqual(yield* count({ outcome: "racing" }), receipt.racing)
      assert.strictEqual(yield* count({ outcome: "bypassed" }), 1)
      assert.strictEqual(yield* count({ fork: ["a"] }), 3)
      assert.strictEqual(yield* count({ fork: ["a", "inner"] }), 1)
      assert.strictEqual(yield* count({ fork: ["none"] }), 0)
      const { identity, promptHash } = (yield* index.draws({ outcome: "missed" }, 0, 1)).draws[0]!.key
      assert.strictEqual(yield* count({ promptHashes: [promptHash] }), 1)
      assert.strictEqual(yield* count({ promptHashes: [promptHash.slice(0, 6)] }), 1)
      assert.strictEqual(yield* count({ identity }), receipt.asked)
      assert.strictEqual(yield* count({ identity: yield* Identity.make({ model: "other" }) }), 0)
      assert.strictEqual(
        yield* index.promptText({ identity, promptHash, path: [] }),
        "missed"
      )
    }))

  it.effect("knows which attempt took which samples of a sequence", () =>
    Effect.gen(function*() {
      const { file } = yield* traced(yield* makeDirectory, yield* manifold)
      const index = yield* indexed(file)
      const { identity } = (yield* index.draw(0))!.key
      const { promptHash } = new Key.Key(identity, "known", [])
      const byReader = new Map<number | string | undefined, Array<number>>()
      for (const { position, reader } of index.taken(identity, promptHash, 0, 10)) {
        byReader.set(reader, [...byReader.get(reader) ?? [], position])
      }
      // The draws without an attempt, and two attempts that share nothing.
      assert.deepStrictEqual([...byReader], [[undefined, [0, 1, 2, 3]], [1, [0, 1]], [2, [2, 3]]])
      const some = index.taken(identity, promptHash, 2, 1)
      assert.deepStrictEqual(some.map(({ position, reader }) => [position, reader]), [[2, undefined], [2, 2]])
    }))

  it.effect("of clients of a server knows their places, without the samples that they did not get", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const identity = yield* Identity.make({ model: "m" })
      const key = new Key.Key(identity, "p", [])
      const file = yield* Effect.scoped(Effect.gen(function*() {
        const trace = yield* Trace.make({ directory: root, name: "served" })
        yield* trace.give(key, [0, 1], "/independent")
        yield* trace.give(key, [2], "/independent/repeatable/a")
        yield* trace.give(key, [3], "/independent/repeatable/b")
        yield* trace.takeBack(key, [3], "/independent/repeatable/b")
        yield* trace.give(key, [3], "/independent/repeatable/c")
        return trace.run.file
      }))
      const index = yield* indexed(file)
      assert.deepStrictEqual(
        index.taken(identity, key.promptHash, 0, 10).map(({ position, reader }) => [position, reader]),
        [[0, "/independent"], [1, "/independent"], [2, "/independent/repeatable/a"], [3, "/independent/repeatable/c"]]
      )
    }))

  it.effect("lists the requests that a server passed on", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const file = yield* Effect.scoped(Effect.gen(function*() {
        const trace = yield* Trace.make({ directory: root, name: "served" })
        yield* trace.bypass("POST", "/v1/audio/speech", 200)
        yield* trace.bypass("POST", "/v1/audio/speech", 200)
        yield* trace.bypass("GET", "/v1/files", 404)
        return trace.run.file
      }))
      const { passed, receipt } = (yield* indexed(file)).state()
      assert.deepStrictEqual(passed, [
        { method: "POST", path: "/v1/audio/speech", status: 200, count: 2 },
        { method: "GET", path: "/v1/files", status: 404, count: 1 }
      ])
      assert.strictEqual(receipt.bypassed, 3)
    }))

  it.effect("of a run that goes on reads what was added, and leaves a torn line for later", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const whole = Fs.readFileSync((yield* traced(root, yield* manifold)).file, "utf8")
      const file = Path.join(root, "growing.jsonl")
      const index = TraceIndex.make(file)
      const other = yield* indexed(
        yield* Effect.sync(() => {
          Fs.writeFileSync(`${file}.whole`, whole)
          return `${file}.whole`
        })
      )
      Fs.writeFileSync(file, "")
      assert.isFalse(yield* index.advance)
      for (let i = 0; i < whole.length; i += 100) {
        Fs.appendFileSync(file, whole.slice(i, i + 100))
        yield* readAll(index)
        const { read, size } = index.state()
        assert.isAtMost(read, size)
      }
      assert.deepStrictEqual(index.state(), other.state())
    }))

  it.effect("has the prompts that spent most first, and those that only replayed behind them", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const cache = yield* Persistent.make(yield* makeMetered, yield* MemoryStore.make)
      yield* LlmModel.sampleMany("replayed", 9).pipe(using(cache))
      yield* LlmModel.sampleOne("replayed less").pipe(using(cache))
      const { file } = yield* traced(
        root,
        Effect.gen(function*() {
          yield* LlmModel.sampleOne("replayed less").pipe(using(cache))
          yield* LlmModel.sampleMany("replayed", 9).pipe(using(cache))
          yield* LlmModel.sampleOne("spent less").pipe(using(cache))
          yield* LlmModel.sampleMany("spent", 2).pipe(using(cache))
        })
      )
      const prompts = yield* (yield* indexed(file)).prompts("tokens", 3)
      assert.deepStrictEqual(
        prompts.map(({ replayedTokens, spentTokens }) => [spentTokens, replayedTokens]),
        [[16, 0], [13, 0], [0, 37]]
      )
    }))

  it.effect("gives draws a signature that is the same in another run", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const signatures = Effect.gen(function*() {
        const index = yield* indexed((yield* traced(root, yield* manifold)).file)
        return Array.from({ length: index.state().draws }, (_, row) => index.signature(row))
      })
      const [one, other] = [yield* signatures, yield* signatures]
      assert.deepStrictEqual(one, other)
      const index = yield* indexed((yield* traced(root, yield* manifold)).file)
      const { draws } = yield* index.draws({}, 0, 100)
      const names = new Set(draws.map(({ key, position }) => `${key.promptHash} ${key.path.join("/")} ${position}`))
      assert.strictEqual(new Set(one).size, names.size)
    }))

  it.effect("tells of a line that belongs to no trace, and of a file that is gone", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const file = Path.join(root, "bad.jsonl")
      Fs.writeFileSync(file, `{"t":"run","version":1,"name":"x","at":1,"pid":1}\ngarbage\n`)
      const error = yield* Effect.flip(readAll(TraceIndex.make(file)))
      assert.include(error.message, "line 2 is no line of a trace")
      assert.include((yield* Effect.flip(TraceIndex.make(Path.join(root, "none.jsonl")).advance)).message, "none.jsonl")
    }))
})
