import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Events from "@llm-cache/core/Events"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Persistent from "@llm-cache/core/Persistent"
import * as Trace from "@llm-cache/core/Trace"
import { Effect, Layer } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { makeCache } from "./support/caches.ts"
import { cli, objects, temporaryFolder, terminal } from "./support/cli.ts"

const folder = temporaryFolder()
const cache = Path.join(folder, "cache")

const today = (day: number) => `Today is 2026-11-${day}. You are a careful assistant of a bakery. Answer in one line.`

beforeAll(async () => {
  await makeCache(cache, [
    { model: "gpt-4o", temperature: 1, prompt: today(24), samples: { 0: "a", 1: "b", 2: "c" } },
    {
      model: "gpt-4o",
      temperature: 1,
      prompt: "Name a city of France, please.",
      fork: ["trial-1"],
      samples: { 0: "Paris" }
    },
    { model: "gpt-4o", temperature: 0.5, prompt: "Count to three for me now.", samples: { 0: "1 2 3" } }
  ])
})

const why = (prompt: string, ...args: ReadonlyArray<string>) => {
  const file = Path.join(folder, "prompt.txt")
  Fs.writeFileSync(file, prompt)
  return cli([
    "why-miss",
    "--prompt",
    file,
    "--model",
    "gpt-4o",
    "--temperature",
    "1",
    "--cache",
    cache,
    "--json",
    ...args
  ])
}

describe("why-miss of a prompt", () => {
  it("says that a sequence is exhausted, with the positions that there are", async () => {
    const { code, stdout } = await why(today(24), "--position", "3")
    assert.strictEqual(code, 1)
    assert.deepInclude(objects(stdout)[0], { verdict: "exhausted", position: 3, follows: 0, present: [0, 1, 2] })
  })

  it("finds the prompt in another fork and another identity", async () => {
    const fork = objects((await why("Name a city of France, please.")).stdout)[0]
    assert.deepInclude(fork, { verdict: "otherFork", forks: [{ fork: ["trial-1"], samples: 1 }] })
    const identity = objects((await why("Count to three for me now.")).stdout)[0]
    assert.deepInclude(identity, {
      verdict: "otherIdentity",
      differences: [{ field: "temperature", stored: 0.5, asked: 1 }]
    })
  })

  it("finds the nearest prompt and its differences, and none for a prompt like no other", async () => {
    const near = objects((await why(today(25))).stdout)[0] as any
    assert.strictEqual(near.verdict, "near")
    assert.strictEqual(near.nearest.prompt, today(24))
    assert.match(near.nearest.hash, /^[0-9a-f]{64}$/)
    assert.isAbove(near.nearest.similarity, 0.5)
    assert.isAbove(near.differences.length, 0)
    assert.deepInclude(objects((await why("xyzzy")).stdout)[0], { verdict: "unknown", nearest: null, differences: [] })
  })

  it("takes the line feed at the end of the file for the editor's, and says what does not miss", async () => {
    const { code, stderr, stdout } = await why(`${today(24)}\n`, "--position", "2")
    assert.deepStrictEqual([code, stdout], [0, ""])
    assert.match(stderr, /does not miss/)
    const identity = objects((await why("Count to three for me now.\n")).stdout)[0]
    assert.deepInclude(identity, { verdict: "otherIdentity" })
    const inFork = await why("Name a city of France, please.", "--fork", "trial-1")
    assert.strictEqual(inFork.code, 0)
  })

  it("needs a run, or a prompt and a model", async () => {
    assert.strictEqual((await cli(["why-miss", "--cache", cache])).code, 2)
    assert.strictEqual((await cli(["why-miss", "last", "--prompt", "x", "--cache", cache])).code, 2)
    const file = Path.join(folder, "p.txt")
    Fs.writeFileSync(file, "p")
    assert.match((await cli(["why-miss", "--prompt", file, "--cache", cache])).stderr, /--model/)
    assert.match((await cli(["why-miss", "last", "--cache", cache])).stderr, /LLM_CACHE_TRACE/)
  })
})

describe("why-miss of a run", () => {
  it.live("explains the first misses, counts the rest, and exits with 1", () =>
    Effect.gen(function*() {
      const traced = Path.join(folder, "traced")
      yield* Effect.promise(() =>
        makeCache(traced, [{ model: "gpt-4o", temperature: 1, prompt: today(24), samples: { 0: "a" } }])
      )
      const ask = (prompt: string) =>
        LlmModel.sampleOne(prompt).pipe(
          Effect.provide(Persistent.layerReplication({ directory: traced, model: "gpt-4o", temperature: 1 })),
          Effect.exit
        )
      yield* Effect.forEach([today(24), today(25), `Review this: ${today(25)}`], ask).pipe(
        Effect.provide(Layer.provideMerge(Trace.layer({ directory: traced, name: "yesterday" }), Events.layer))
      )
      const { code, stderr, stdout } = yield* Effect.promise(() =>
        cli(["why-miss", "last", "--cache", traced, "--json"])
      )
      assert.strictEqual(code, 1)
      assert.match(stderr, /1 of 3 requests missed, and 1 follows from it/)
      assert.lengthOf(objects(stdout), 1)
      assert.deepInclude(objects(stdout)[0], { verdict: "near", position: 0, follows: 1, model: "gpt-4o", fork: [] })
      const shown = yield* Effect.promise(() => terminal(80, ["why-miss", "yesterday", "--cache", traced]))
      assert.match(shown.stdout, /Request 2: gpt-4o, temperature 1/)
      assert.include(shown.stdout, "[-")
      const none = yield* Effect.promise(() => cli(["why-miss", "none", "--cache", traced]))
      assert.strictEqual(none.code, 2)
    }), 60_000)

  it.live("that missed nothing says so", () =>
    Effect.gen(function*() {
      const traced = Path.join(folder, "whole")
      yield* Effect.promise(() =>
        makeCache(traced, [{ model: "gpt-4o", temperature: 1, prompt: "p", samples: { 0: "a" } }])
      )
      yield* LlmModel.sampleOne("p").pipe(
        Effect.provide(Persistent.layerReplication({ directory: traced, model: "gpt-4o", temperature: 1 })),
        Effect.provide(Layer.provideMerge(Trace.layer({ directory: traced }), Events.layer))
      )
      const { code, stderr, stdout } = yield* Effect.promise(() => cli(["why-miss", "last", "--cache", traced]))
      assert.deepStrictEqual([code, stdout], [0, ""])
      assert.match(stderr, /no request of .* missed/)
    }), 60_000)
})
