import { assert, describe, it } from "@effect/vitest"
import * as DirectoryStore from "@llm-cache/core/DirectoryStore"
import * as Events from "@llm-cache/core/Events"
import * as Fork from "@llm-cache/core/Fork"
import * as Independent from "@llm-cache/core/Independent"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Persistent from "@llm-cache/core/Persistent"
import * as Trace from "@llm-cache/core/Trace"
import { Effect, Layer } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { cli, objects, temporaryFolder, terminal } from "./support/cli.ts"
import { completion, lines } from "./support/exchange.ts"

const folder = temporaryFolder()
let caches = 0
const newCache = () => Path.join(folder, `cache${caches++}`)

let answers = 0
const provider = LlmModel.layer({
  model: "gpt-4o",
  temperature: 1,
  maxBatch: 3,
  generate: ({ n }) =>
    Effect.succeed({ samples: Array.from({ length: n }, () => `answer ${answers++}`), inputTokens: 5, outputTokens: n })
})

/** Runs a program over a cache with a trace, and through a slice if one is given. */
const run = <A, E>(cache: string, name: string, program: Effect.Effect<A, E, LlmModel.LlmModel>, slice?: string) =>
  (slice === undefined ? program : Effect.provide(program, Persistent.layer({ directory: slice }))).pipe(
    Effect.provide(Persistent.layer({ directory: cache })),
    Effect.provide(provider),
    Effect.provide(Layer.provideMerge(Trace.layer({ directory: cache, name }), Events.layer)),
    Effect.exit
  )

const program = Effect.gen(function*() {
  yield* LlmModel.sampleMany("A number?", 2)
  yield* Fork.fork("trial-1")(LlmModel.sampleMany("A number?", 1))
  yield* LlmModel.sampleMany("A word?", 4).pipe(Effect.provide(Independent.layer))
})

describe("slice", () => {
  it.live("makes exactly the cache that a nested slice of the same program makes", () =>
    Effect.gen(function*() {
      const big = newCache()
      yield* run(big, "fill", Effect.andThen(program, LlmModel.sampleMany("A number?", 9)))
      const nested = newCache()
      yield* run(big, "nested", program, nested)
      yield* run(big, "plain", program)
      const made = newCache()
      const { code, stdout } = yield* Effect.promise(() => cli(["slice", "plain", made, "--cache", big, "--json"]))
      assert.deepStrictEqual([code, objects(stdout)], [0, [{ kind: "summary", copied: 7, present: 0, missing: 0 }]])
      const exported = (cache: string) => Effect.promise(() => cli(["export", "--cache", cache]))
      assert.strictEqual((yield* exported(made)).stdout, (yield* exported(nested)).stdout)
      assert.isAbove((yield* exported(big)).stdout.length, (yield* exported(made)).stdout.length)
      const again = yield* Effect.promise(() => cli(["slice", "plain", made, "--cache", big, "--json"]))
      assert.deepInclude(objects(again.stdout)[0], { copied: 0, present: 7 })
    }), 60_000)

  it.live("tells of samples that are gone, and finds a cache that was moved", () =>
    Effect.gen(function*() {
      const cache = newCache()
      yield* run(cache, "plain", program)
      const moved = newCache()
      Fs.renameSync(cache, moved)
      const store = yield* DirectoryStore.make(moved)
      const [element] = yield* Effect.promise(() => cli(["export", "--fork", "trial-1", "--cache", moved])).pipe(
        Effect.map(({ stdout }) => objects(stdout))
      )
      assert.strictEqual(element!["prompt"], "A number?")
      Fs.rmSync(Fs.globSync(`${moved}/*/*/forks/*/0.md`)[0]!)
      assert.isDefined(store.id)
      const { code, stderr, stdout } = yield* Effect.promise(() =>
        cli(["slice", "last", newCache(), "--cache", moved, "--json"])
      )
      assert.deepStrictEqual([code, objects(stdout)], [1, [{ kind: "summary", copied: 6, present: 0, missing: 1 }]])
      assert.match(stderr, /gpt-4o, temperature 1, prompt [0-9a-f]{8} @0/)
      assert.match(stderr, /drew from directory .*, and the slice is made of the same positions of directory /)
    }), 60_000)

  it.live(
    "is refused for a run that drew from several caches, and none of them is given",
    () =>
      Effect.gen(function*() {
        const [cache, nested, other] = [newCache(), newCache(), newCache()]
        yield* run(cache, "both", program, nested)
        const made = newCache()
        Fs.cpSync(cache, other, { recursive: true })
        const { code, stderr } = yield* Effect.promise(() => cli(["slice", "both", made, "--cache", other]))
        assert.strictEqual(code, 2)
        assert.include(stderr, "give one of them as --cache")
      }),
    60_000
  )
})

describe("stats and runs", () => {
  it.live("have the receipt of a run, by its name, its file's start or last", () =>
    Effect.gen(function*() {
      const cache = newCache()
      yield* run(cache, "record", LlmModel.sampleMany("A number?", 2))
      yield* run(cache, "replay", LlmModel.sampleMany("A number?", 2))
      const [record, replay] = yield* Trace.list(cache)
      const stats = (name: string) => Effect.promise(() => cli(["stats", name, "--cache", cache, "--json"]))
      const first = yield* stats("record")
      assert.strictEqual(first.code, 0)
      assert.deepInclude(objects(first.stdout)[0], { asked: 2, bought: 2, replayed: 0, isReplay: false, exit: 0 })
      const second = yield* stats("last")
      assert.deepStrictEqual(Object.keys(objects(second.stdout)[0]!).slice(0, 13), [
        "asked",
        "replayed",
        "bought",
        "missed",
        "bypassed",
        "racing",
        "reread",
        "inputTokens",
        "outputTokens",
        "replayedInputTokens",
        "replayedOutputTokens",
        "isReplay",
        "exit"
      ])
      assert.deepInclude(objects(second.stdout)[0], { asked: 2, bought: 0, replayed: 2, isReplay: true, exit: 0 })
      assert.strictEqual((yield* stats(replay!.id.slice(0, 23) + replay!.id.slice(23, 25))).stdout, second.stdout)
      assert.strictEqual((yield* stats("none")).code, 2)
      const shown = yield* Effect.promise(() => terminal(60, ["stats", "last", "--cache", cache]))
      assert.match(shown.stdout, /^asked +2\nreplayed +2\n/)
      assert.strictEqual((yield* stats("20")).code, 2)
      const listed = yield* Effect.promise(() => cli(["runs", "--cache", cache, "--json"]))
      assert.deepStrictEqual(objects(listed.stdout).map(({ id, name }) => [id, name]), [
        [record!.id, "record"],
        [replay!.id, "replay"]
      ])
    }), 60_000)

  it.live("delete old traces when they are told to, and none of a run that goes on", () =>
    Effect.gen(function*() {
      const cache = newCache()
      yield* run(cache, "old", LlmModel.sampleMany("A number?", 1))
      const [old] = yield* Trace.list(cache)
      Fs.copyFileSync(old!.file, old!.file.replace("-old", "-running"))
      const running = old!.file.replace("-old", "-running")
      Fs.writeFileSync(running, Fs.readFileSync(running, "utf8").split("\n").slice(0, 2).join("\n") + "\n")
      const prune = (...args: ReadonlyArray<string>) =>
        Effect.promise(() => cli(["runs", "--prune", "--cache", cache, "--json", ...args]))
      assert.deepInclude(objects((yield* prune()).stdout).at(-1), { deleted: 0 })
      assert.deepInclude(objects((yield* prune("--older-than", "2 days", "--yes")).stdout).at(-1), { deleted: 0 })
      assert.strictEqual((yield* prune("--older-than", "soon")).code, 2)
      assert.lengthOf(yield* Trace.list(cache), 2)
      assert.deepInclude(objects((yield* prune("--yes")).stdout).at(-1), { deleted: 1 })
      assert.deepStrictEqual((yield* Trace.list(cache)).map(({ file }) => file), [running])
    }), 60_000)
})

describe("batch make of a run", () => {
  it.live("requests what a replication missed, and then it replicates", () =>
    Effect.gen(function*() {
      const cache = newCache()
      yield* run(cache, "fill", LlmModel.sampleMany("A number?", 2))
      // Its misses were filled by its own requests.
      const none = yield* Effect.promise(() =>
        cli(["batch", "make", Path.join(folder, "none.jsonl"), "--run", "fill", "--cache", cache, "--json"])
      )
      assert.deepStrictEqual(objects(none.stdout), [{ kind: "summary", requests: 0, present: 0, unfit: 0 }])
      const replicate = (name: string) =>
        LlmModel.sampleMany("A number?", 3).pipe(
          Effect.provide(Persistent.layerReplication({ directory: cache, model: "gpt-4o", temperature: 1 })),
          Effect.provide(Layer.provideMerge(Trace.layer({ directory: cache, name }), Events.layer)),
          Effect.result
        )
      assert.strictEqual((yield* replicate("missed"))._tag, "Failure")
      const batch = Path.join(folder, "batch.jsonl")
      const made = yield* Effect.promise(() =>
        cli(["batch", "make", batch, "--run", "missed", "--cache", cache, "--json"])
      )
      assert.deepStrictEqual(objects(made.stdout), [{ kind: "summary", requests: 1, present: 0, unfit: 0 }])
      const [request] = objects(Fs.readFileSync(batch, "utf8"))
      const output = Path.join(folder, "output.jsonl")
      Fs.writeFileSync(
        output,
        lines({
          custom_id: request!["custom_id"],
          response: { status_code: 200, body: completion("chatcmpl-1", "16") }
        })
      )
      const read = yield* Effect.promise(() => cli(["batch", "import", output, "--requests", batch, "--cache", cache]))
      assert.strictEqual(read.code, 0)
      const replayed = yield* replicate("replayed")
      assert.strictEqual(replayed._tag === "Success" ? replayed.success[2] : undefined, "16")
    }), 60_000)

  it("takes a run or prompts, and not both", async () => {
    const cache = newCache()
    assert.strictEqual((await cli(["batch", "make", Path.join(folder, "x"), "--cache", cache])).code, 2)
    const both = ["--run", "last", "--prompts", Path.join(folder, "x")]
    assert.strictEqual((await cli(["batch", "make", Path.join(folder, "x"), ...both, "--cache", cache])).code, 2)
  })
})
