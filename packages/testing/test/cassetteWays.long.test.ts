// Ways to write and to run tests with cassettes: blocks, `each`, retries, repeats, pools and shards.
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import { folder } from "./support/disk.ts"
import { contentsOf, runVitest } from "./support/vitest.ts"

const recordings = [["--pool=threads"], ["--sequence.concurrent", "--no-isolate"]]

const replays = [
  ["--pool=threads", "--maxWorkers=1"],
  ["--pool=vmThreads"],
  ["--no-isolate", "--sequence.shuffle"],
  ["--sequence.concurrent"],
  ["--shard=1/2"],
  ["--shard=2/2"],
  // Without blocks in `it.layer`, which close after as many tests as they have.
  ["--repeats=2", "--retry=2", "--testNamePattern=at once|each|name|retried|repeated|fork"]
]

for (const flags of recordings) {
  it.live(`cassettes that are recorded by ${flags.join(" ")} replay`, () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const place = { CASSETTE_FOLDER: directory }
      const recording = yield* runVitest(place, "ways", ...flags)
      assert.strictEqual(recording.code, 0, recording.output)
      assert.notInclude(recording.output, "Unfinished recordings")
      const recorded = contentsOf(directory)
      assert.strictEqual(recorded.length, 13)
      assert.isEmpty(recorded.filter(([file]) => !/^\w.*\.jsonl$/.test(file!)))
      const { code, output } = yield* runVitest({ ...place, CI: "true" }, "ways")
      assert.strictEqual(code, 0, output)
      assert.include(output, "llm-cache  0 requests, ")
      assert.deepStrictEqual(contentsOf(directory), recorded)
    }).pipe(Effect.scoped))
}

it.live("cassettes replay in every pool, order, shard and repetition", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    const place = { CASSETTE_FOLDER: directory }
    const recording = yield* runVitest(place)
    assert.strictEqual(recording.code, 0, recording.output)
    const recorded = contentsOf(directory)
    for (const flags of replays) {
      const { code, output } = yield* runVitest({
        ...place,
        CI: "true",
        CASSETTE_MODE: "replay",
        CASSETTE_REPEATS: "0"
      }, ...flags)
      assert.strictEqual(code, 0, output)
      assert.include(output, "llm-cache  0 requests, ")
      assert.deepStrictEqual(contentsOf(directory), recorded)
    }
  }).pipe(Effect.scoped))

it.live("a failed test of a block leaves the block's recording, and its update, unfinished", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    const place = { CASSETTE_FOLDER: directory }
    const failed = yield* runVitest({ ...place, WAY_THAT_FAILS: "blocks" }, "ways")
    assert.strictEqual(failed.code, 1)
    assert.include(failed.output, `Unfinished recordings`)
    const unfinished = ["block.jsonl.partial", "file.jsonl.partial"]
    assert.deepStrictEqual(Fs.readdirSync(directory).filter((name) => /^(block|file)\./.test(name)), unfinished)

    const whole = yield* runVitest(place, "ways")
    assert.match(whole.output, /llm-cache {2}2 requests, /)
    const recorded = contentsOf(directory)
    const update = { ...place, LLM_CACHE_CASSETTES: "update", WAY_THAT_FAILS: "blocks" }
    assert.strictEqual((yield* runVitest(update, "ways")).code, 1)
    assert.deepStrictEqual(contentsOf(directory), recorded)
  }).pipe(Effect.scoped))

it.live("a failed test leaves the cassettes of concurrent tests alone", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    const { code } = yield* runVitest({ CASSETTE_FOLDER: directory, WAY_THAT_FAILS: "at once" }, "ways")
    assert.strictEqual(code, 1)
    assert.match(Fs.readdirSync(directory).join(" "), /at-once-a-\w+\.jsonl\.partial at-once-b-\w+\.jsonl at-once-c/)
  }).pipe(Effect.scoped))

it.live("two tests with a cassette of one name are told to take two", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    const { code, output } = yield* runVitest({ CASSETTE_FOLDER: directory, WAY_THAT_FAILS: "one name" }, "ways")
    assert.strictEqual(code, 1)
    assert.match(output, /one-name-\w+\.jsonl: if another test did, give each test a cassette of its own name/)
  }).pipe(Effect.scoped))
