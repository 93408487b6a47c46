import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

const examples = Path.join(import.meta.dirname, "..")

/** Runs an example as its user does, in a folder of its own, with no key in its environment. */
const run = (name: string, directory: string, env: Record<string, string> = {}) =>
  Effect.callback<string>((resume) => {
    const child = ChildProcess.execFile(
      process.execPath,
      [Path.join(examples, name, "main.ts")],
      { cwd: directory, env: { PATH: process.env["PATH"], ...env } },
      (error, stdout, stderr) => {
        assert.strictEqual(error, null, `${stdout}${stderr}`)
        assert.strictEqual(stderr, "")
        resume(Effect.succeed(stdout))
      }
    )
    return Effect.sync(() => child.kill())
  })

const makeDirectory = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-example-"))),
  (directory) => Effect.sync(() => Fs.rmSync(directory, { recursive: true, force: true }))
)

const lines = (output: string, start: string) =>
  output.split("\n").map((line) => line.trim()).filter((line) => line.startsWith(start)).map((line) =>
    line.slice(start.length)
  )

it.effect("quickstart: the second run gives the same samples and sends no request", () =>
  Effect.gen(function*() {
    const directory = yield* makeDirectory
    const first = yield* run("quickstart", directory)
    const second = yield* run("quickstart", directory)
    assert.include(first, "no API key is set")
    for (const what of ["sampleOne: ", "sample, three of them: ", "sampleMany, five of them: "]) {
      assert.deepStrictEqual(lines(first, what), lines(second, what))
    }
    const [p1, p2, i1, i2, r1, r2, r3, r4] = lines(first, "sampleOne: ")
    assert.strictEqual(p1, p2)
    assert.strictEqual(i1, p1)
    assert.strictEqual(i2, lines(first, "sample, three of them: ")[0]!.split(",")[1])
    assert.strictEqual(r1, r2)
    assert.strictEqual(r3, r4)
    assert.notStrictEqual(lines(first, "Requests sent: ")[0], "0")
    assert.deepStrictEqual(lines(second, "Requests sent: "), ["0"])
    assert.deepStrictEqual(lines(second, "Samples used: "), ["14, of them served from the cache: 14"])
    assert.deepStrictEqual(lines(first, "The cache lies in "), [
      Path.join(Fs.realpathSync(directory), ".llm_cache/quickstart")
    ])
    assert.isTrue(Fs.existsSync(lines(first, "The cache lies in ")[0]!))
  }), 60_000)

it.effect("quickstart: a replication that misses says how to find out why", () =>
  Effect.gen(function*() {
    const directory = yield* makeDirectory
    yield* run("quickstart", directory)
    for (const file of Fs.globSync(".llm_cache/quickstart/*/*/3.md", { cwd: directory })) {
      Fs.rmSync(Path.join(directory, file))
    }
    const { status, stderr } = yield* Effect.sync(() =>
      ChildProcess.spawnSync(process.execPath, [Path.join(examples, "quickstart/main.ts")], {
        cwd: directory,
        encoding: "utf8",
        env: { PATH: process.env["PATH"], LLM_CACHE_REPLICATION: "true" }
      })
    )
    assert.strictEqual(status, 1)
    assert.include(stderr, `llm-cache why-miss last --cache ${Fs.realpathSync(directory)}`)
    assert.lengthOf(Fs.globSync(".llm_cache/quickstart/.runs/*.jsonl", { cwd: directory }), 2)
  }), 60_000)

it.effect("agentic-retry: a second run takes the same attempts from the cache", () =>
  Effect.gen(function*() {
    const output = yield* run("agentic-retry", yield* makeDirectory)
    const [first, second] = lines(output, "accepted: ")
    assert.match(first!, /^\d+, with [1-9]\d* requests$/)
    assert.strictEqual(second, first!.replace(/with \d+/, "with 0"))
    const refused = output.split("\n").filter((line) => line.endsWith("was not accepted"))
    assert.deepStrictEqual(refused.slice(0, refused.length / 2), refused.slice(refused.length / 2))
  }), 60_000)

it.effect("cache-slicing: the slice holds the samples that the experiment used", () =>
  Effect.gen(function*() {
    const output = yield* run("cache-slicing", yield* makeDirectory)
    assert.deepStrictEqual(lines(output, "Samples in the original cache: "), ["30"])
    assert.deepStrictEqual(lines(output, "Samples in the slice: "), ["4"])
    assert.deepStrictEqual(lines(output, "The experiment: "), lines(output, "The experiment, from the slice alone: "))
  }), 60_000)

it.effect("batch-sampling: four requests of ten", () =>
  Effect.gen(function*() {
    const output = yield* run("batch-sampling", yield* makeDirectory)
    assert.deepStrictEqual(lines(output, "Samples processed: "), ["40"])
    assert.deepStrictEqual(lines(output, "Samples asked for in each request: "), ["10, 10, 10, 10"])
  }), 60_000)

it.effect("replication: a miss is caught by its tag, and no provider is needed", () =>
  Effect.gen(function*() {
    const output = yield* run("replication", yield* makeDirectory)
    assert.match(lines(output, "Another prompt: ")[0]!, /^a miss\. Nothing is stored for prompt [0-9a-f]{64}/)
    assert.deepStrictEqual(lines(output, "Replicated, with no provider and no key: "), lines(output, "Recorded: "))
  }), 60_000)

it.effect("provider-alias: the second vendor is not asked for samples of the first", () =>
  Effect.gen(function*() {
    const output = yield* run("provider-alias", yield* makeDirectory)
    const [one] = lines(output, "Vendor one: ")
    const [two] = lines(output, "Vendor two: ")
    assert.match(one!, /with 1 requests$/)
    assert.strictEqual(two, one!.replace("with 1", "with 0"))
  }), 60_000)

it.effect(
  "parallel-agents: each agent draws the same in a second run, however they are scheduled",
  () =>
    Effect.gen(function*() {
      const output = yield* run("parallel-agents", yield* makeDirectory)
      assert.deepStrictEqual(lines(output, "First run, "), ["with 12 requests"])
      assert.deepStrictEqual(lines(output, "Second run, "), ["with 0 requests"])
      for (const agent of ["Ada: ", "Grace: ", "Hedy: ", "Katherine: "]) {
        const [first, second] = lines(output, agent)
        assert.match(first!, /^\d+ \d+ \d+$/)
        assert.strictEqual(second, first)
      }
    }),
  60_000
)

it.effect(
  "pass-at-k: a second run gives the same estimates and sends no request",
  () =>
    Effect.gen(function*() {
      const output = yield* run("pass-at-k", yield* makeDirectory)
      assert.deepStrictEqual(lines(output, "requests: "), ["2", "0"])
      for (const start of ["pass@1: ", "pass@3: ", "pass@10: ", "the majority of 9 says "]) {
        const [first, second] = lines(output, start)
        assert.isDefined(first)
        assert.strictEqual(second, first)
      }
    }),
  60_000
)

/** The output of two runs in one folder, without what they say of requests and time. */
const runTwice = Effect.fnUntraced(function*(name: string) {
  const directory = yield* makeDirectory
  const first = yield* run(name, directory)
  const second = yield* run(name, directory)
  const same = (output: string) => output.replace(/Requests sent: \d+| in \d+ ms/g, "")
  assert.strictEqual(same(second), same(first))
  assert.deepStrictEqual(lines(second, "Requests sent: "), ["0"])
  return { first, sent: lines(first, "Requests sent: ")[0] }
})

it.effect(
  "pass-at-k-of-an-agent: a second run gives the same estimates and sends no request",
  () =>
    Effect.gen(function*() {
      const { first, sent } = yield* runTwice("pass-at-k-of-an-agent")
      // 19 trials of two requests
      assert.strictEqual(sent, "38")
      for (const k of [1, 3, 5]) assert.match(lines(first, `pass@${k}: `)[0]!, /^[01]\.\d{3}$/)
      assert.match(lines(first, "The majority: ")[0]!, /^.+ by [2-9] of 9 votes, among [1-6] answers$/)
    }),
  60_000
)

it.effect(
  "chat-agent: a second run looks up the same, says the same, and sends no request",
  () =>
    Effect.gen(function*() {
      const { first, sent } = yield* runTwice("chat-agent")
      assert.strictEqual(sent, "4")
      assert.deepStrictEqual(lines(first, "The agent looks up "), ["Oslo", "Rome", "Oslo", "Bergen"])
      assert.deepStrictEqual(lines(first, "Rome: "), ["it is sunny there, and Oslo has rain."])
    }),
  60_000
)

it.effect(
  "structured-extraction: a second run makes the same attempts and sends no request",
  () =>
    Effect.gen(function*() {
      const { first, sent } = yield* runTwice("structured-extraction")
      assert.strictEqual(sent, "4")
      assert.deepStrictEqual(lines(first, "Book Cellar, "), ["2050 cents, in attempt 2"])
      assert.deepStrictEqual(lines(first, "The reading before was off by "), ["99"])
    }),
  60_000
)

it.effect("streaming: a second run shows the same parts and sends no request", () =>
  Effect.gen(function*() {
    const { first, sent } = yield* runTwice("streaming")
    assert.strictEqual(sent, "1")
    assert.match(first, /\n27 parts in \d+ ms\n161 characters, for 20 tokens\n/)
  }), 60_000)

it.effect(
  "best-of-n: the best of the same attempts in a second run",
  () =>
    Effect.gen(function*() {
      const output = yield* run("best-of-n", yield* makeDirectory)
      const [first] = lines(output, "First run: ")
      assert.match(first!, /^\d+, of attempt [1-5] of 5, with 5 requests$/)
      assert.deepStrictEqual(lines(output, "Second run: "), [first!.replace("with 5", "with 0")])
    }),
  60_000
)

it.effect("accounting: a run reports its cost, and its cost without the cache", () =>
  Effect.gen(function*() {
    const output = yield* run("accounting", yield* makeDirectory)
    assert.deepStrictEqual(lines(output, "Prefetched: "), ["5 of 15", "10 of 15", "15 of 15"])
    assert.deepStrictEqual(lines(output, "In the cache: "), ["15"])
    assert.deepStrictEqual(lines(output, "Asked for "), ["1: Choose a number that was not prefetched."])
    assert.match(lines(output, "Spent: ")[0]!, /^1 requests, 1 samples, 8 tokens, \d+ ms$/)
    assert.match(lines(output, "Replayed: ")[0]!, /^2 requests, 6 samples, 21 tokens, \d+ ms$/)
    assert.deepStrictEqual(lines(output, "Hits and misses: "), ["6, 1"])
  }), 60_000)

it.effect(
  "own-provider: a server of one's own is retried, and a second run sends it no request",
  () =>
    Effect.gen(function*() {
      const output = yield* run("own-provider", yield* makeDirectory)
      const [first] = lines(output, "First run: ")
      assert.match(first!, /^(\d+ ){4}\d+, with 1 requests$/)
      assert.deepStrictEqual(lines(output, "Second run: "), [first!.replace("with 1", "with 0")])
      assert.match(output, /A request failed, and is sent again in \d+m?s: .* \(in-house-7b\): .* \(503\)/)
    }),
  60_000
)

it.effect(
  "fallback: the second vendor answers where the first is busy or down, and only there",
  () =>
    Effect.gen(function*() {
      const output = yield* run("fallback", yield* makeDirectory)
      const [busy] = lines(output, "The first vendor is busy: ")
      const [again] = lines(output, "Again, from the cache: ")
      assert.match(busy!, /^\d+ \d+ \d+; the second vendor was asked 1 times$/)
      assert.strictEqual(again, busy)
      assert.deepStrictEqual(lines(output, "The first vendor is busy still, and was asked "), [
        "1 times; the second vendor was asked 2 times"
      ])
      assert.deepStrictEqual(lines(output, "The first vendor is down: "), [
        "3 samples; the second vendor was asked 3 times"
      ])
      assert.deepStrictEqual(lines(output, "A request that no vendor would take: "), [
        "BadRequest; the second vendor was asked 3 times"
      ])
      assert.deepStrictEqual(lines(output, "Not in the cache that is replicated: "), [
        "ReplicationCacheMiss; the second vendor was asked 3 times"
      ])
    }),
  60_000
)

it.effect(
  "output: samples that cannot be read are followed by others, the same in a second run",
  () =>
    Effect.gen(function*() {
      const output = yield* run("output", yield* makeDirectory)
      assert.deepStrictEqual(lines(output, "First run: "), ["Sort numbers. With 3 requests"])
      assert.deepStrictEqual(lines(output, "Second run: "), ["Sort numbers. With 0 requests"])
      assert.deepStrictEqual(lines(output, "The library's: "), ["1 lines", "1 lines"])
      assert.deepStrictEqual(lines(output, "Counting: "), ["2 lines", "2 lines"])
      assert.deepStrictEqual(lines(output, "A query that goes on behind what is recorded: "), ["a miss at position 3"])
    }),
  60_000
)
