// Cassettes that are broken off, that cannot be written, and that share a name.
import { assert, describe, it } from "@effect/vitest"
import { Independent, LlmModel, type SampleError } from "@llm-cache/core"
import { Effect, Fiber } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { TestModel } from "../src/index.ts"
import { defectOf, inCi, linesOf, makeOld, outsideCi, recorded } from "./support/cassettes.ts"
import { folder } from "./support/disk.ts"

const draw = (...prompts: ReadonlyArray<string>) => Effect.forEach(prompts, (prompt) => LlmModel.sampleOne(prompt))

describe("an unfinished recording", () => {
  it.effect("goes on behind a line that a killed process wrote in part", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const partial = Path.join(directory, "agent.jsonl.partial")
      yield* Effect.flip(outsideCi(recorded({ directory })(Effect.andThen(draw("a", "b"), Effect.fail("killed")))))
      const content = Fs.readFileSync(partial, "utf8")
      Fs.writeFileSync(partial, content.slice(0, -20))
      yield* Effect.flip(outsideCi(recorded({ directory })(Effect.andThen(draw("a", "c"), Effect.fail("killed")))))
      const last = yield* outsideCi(recorded({ directory })(draw("a", "b", "c")))
      assert.strictEqual(last.sent, 1)
      assert.deepStrictEqual(linesOf(directory).map(({ prompt }) => prompt), ["a", "b", "c"])
    }))

  it.effect("has the answers of requests that the test left behind", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const script = ({ prompt }: TestModel.Request) =>
        Effect.as(prompt === "slow" ? Effect.yieldNow.pipe(Effect.repeat({ times: 20 })) : Effect.void, [`${prompt}!`])
      const race = Effect.race(LlmModel.sampleOne("slow"), LlmModel.sampleOne("fast"))
      const first = yield* outsideCi(recorded({ directory }, { script })(race))
      assert.deepStrictEqual([first.value, first.sent], ["fast!", 2])
      assert.deepStrictEqual(linesOf(directory).map(({ text }) => text), ["fast!", "slow!"])
      assert.strictEqual(yield* defectOf(inCi(recorded({ directory }, { script })(race))), undefined)
    }))

  it.effect("of a test that is interrupted has the samples before", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const fiber = yield* Effect.forkChild(
        outsideCi(recorded({ directory })(Effect.andThen(draw("a"), Effect.never))),
        { startImmediately: true }
      )
      while (!Fs.existsSync(Path.join(directory, "agent.jsonl.partial"))) yield* Effect.yieldNow
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* outsideCi(recorded({ directory })(draw("a")))).sent, 0)
    }))

  it.effect("is not there if a request fails before the first sample", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const script = ({ prompt }: TestModel.Request) => Effect.die(new Error(prompt))
      yield* defectOf(outsideCi(recorded({ directory }, { script })(draw("a"))))
      assert.deepStrictEqual(Fs.readdirSync(directory), [])
    }))
})

describe("a place that cannot be written", () => {
  it.effect("fails the test before anything is paid for", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const requests: Array<string> = []
      const script = ({ prompt }: TestModel.Request) => [String(requests.push(prompt))]
      // A folder in the place of the file stops root too.
      const unwritable = Effect.sync(() => Fs.mkdirSync(Path.join(directory, "agent.jsonl.partial")))
      const error = yield* Effect.flip(
        outsideCi(recorded({ directory }, { script })(Effect.andThen(unwritable, draw("a"))))
      )
      assert.deepInclude(error, { _tag: "StoreError" })
      assert.deepStrictEqual(requests, [])
    }))

  it.effect("between two samples loses none of them", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const partial = Path.join(directory, "agent.jsonl.partial")
      const script = ({ prompt }: TestModel.Request) =>
        Effect.sync(() => {
          if (prompt === "b") {
            Fs.renameSync(partial, `${partial}.away`)
            Fs.mkdirSync(partial)
          }
          return [`${prompt}!`]
        })
      const program = draw("a").pipe(
        Effect.andThen(Effect.flip(draw("b"))),
        Effect.andThen(Effect.flip(draw("b"))),
        Effect.tap(() =>
          Effect.sync(() => {
            Fs.rmdirSync(partial)
            Fs.renameSync(`${partial}.away`, partial)
          })
        )
      )
      const { value } = yield* outsideCi(recorded({ directory }, { script })(program))
      assert.strictEqual((value as SampleError.StoreError)._tag, "StoreError")
      assert.deepStrictEqual(linesOf(directory).map(({ text }) => text), ["a!", "b!"])
    }))
})

describe("two tests with cassettes of one name", () => {
  it.effect("are told to take two names", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      yield* outsideCi(recorded({ directory })(draw("a")))
      const ofThisRun = yield* Effect.flip(outsideCi(recorded({ directory })(draw("b"))))
      assert.include(ofThisRun.message, "give each test a cassette of its own name")
      makeOld(directory)
      const ofAnother = yield* Effect.flip(outsideCi(recorded({ directory })(draw("b"))))
      assert.notInclude(ofAnother.message, "give each test")
    }))

  it.effect("keep the samples of both in an update", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      for (const prompt of ["a", "b"]) yield* recorded({ directory, mode: "update" })(draw(prompt))
      assert.deepStrictEqual(linesOf(directory).map(({ prompt }) => prompt), ["a", "b"])
    }))

  it.effect("keep the samples of both if one test has two models", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const both = Effect.provide(LlmModel.sampleMany("a", 2), Independent.layer)
      const test = Effect.andThen(both, recorded({ directory }, { model: "other" })(both))
      yield* outsideCi(recorded({ directory }, { model: "one" })(test))
      assert.strictEqual(linesOf(directory).length, 4)
      const again = yield* inCi(recorded({ directory }, { model: "one" })(test))
      assert.deepStrictEqual([again.sent, again.value.sent], [0, 0])
    }))
})
