// Cassettes that are broken off, that cannot be written, and that share a name.
import { assert, describe, it } from "@effect/vitest"
import { Independent, LlmModel, type SampleError } from "@llm-cache/core"
import { Effect, Fiber } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { patched } from "../../core/test/support/patched.ts"
import { TestModel } from "../src/index.ts"
import { tallies } from "../src/internal/cassette/tally.ts"
import { defectOf, inCi, linesOf, makeOld, outsideCi, recorded, withEnvironment } from "./support/cassettes.ts"
import { folder } from "./support/disk.ts"

const draws = LlmModel.sampleMany("a", 1)

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

describe("an unfinished recording of an update that failed", () => {
  const failedUpdate = Effect.fnUntraced(function*(directory: string) {
    yield* outsideCi(recorded({ directory })(draw("a")))
    makeOld(directory)
    yield* Effect.flip(recorded({ directory, mode: "update" })(Effect.andThen(draw("a", "b"), Effect.fail("broken"))))
  })

  it.effect("stays for the next update, and a replay counts it", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      yield* failedUpdate(directory)
      const counted: Array<unknown> = []
      const listen = (message: unknown) => void counted.push(message)
      tallies.subscribe(listen)
      yield* outsideCi(recorded({ directory })(draw("a")))
      tallies.unsubscribe(listen)
      assert.deepInclude(counted[0], { replayed: 1, unfinished: [Path.join(directory, "agent.jsonl.partial")] })
      assert.strictEqual((yield* recorded({ directory, mode: "update" })(draw("a", "b"))).sent, 0)
      assert.deepStrictEqual(Fs.readdirSync(directory), ["agent.jsonl"])
    }))

  it.effect("is named by the miss of a sample that it has, and of no other", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      yield* failedUpdate(directory)
      const messageOf = (prompt: string) =>
        Effect.map(Effect.flip(inCi(recorded({ directory })(draw(prompt)))), ({ message }) => message)
      assert.match(yield* messageOf("b"), /agent\.jsonl\.partial has this sample.* LLM_CACHE_CASSETTES=update/)
      assert.notInclude(yield* messageOf("c"), "partial")
      Fs.appendFileSync(Path.join(directory, "agent.jsonl.partial"), "\n{}")
      assert.include(yield* messageOf("b"), "To record what is missing")
    }))
})

describe("the folder of a test", () => {
  const inFolder = Effect.map(folder, (root) => ({ root, directory: Path.join(root, "__cassettes__", "agent") }))
  type Test = Effect.Effect<unknown, SampleError.SampleError, LlmModel.LlmModel>
  const outcomes: ReadonlyArray<readonly [what: string, script: ReadonlyArray<TestModel.Entry>, test: Test]> = [
    ["dies before a draw", ["a"], Effect.die("early")],
    ["fails at its first request", [TestModel.serverFault], draws],
    ["goes on after its only request failed", [TestModel.serverFault], Effect.ignore(draws)],
    ["has a secret in its prompt", ["a"], draw("sk-proj-0123456789abcdefghij")],
    ["has a secret in its only answer", ["sk-proj-0123456789abcdefghij"], draws]
  ]
  for (const [what, script, test] of outcomes) {
    it.effect(`is not there if the test ${what}`, () =>
      Effect.gen(function*() {
        const { directory, root } = yield* inFolder
        yield* Effect.exit(outsideCi(recorded({ directory }, { script })(test)))
        assert.deepStrictEqual(Fs.readdirSync(root), [])
      }))
  }

  it.effect("is not there while the first request is under way, so that a killed test leaves none", () =>
    Effect.gen(function*() {
      const { directory, root } = yield* inFolder
      const script = () => Effect.sync(() => [Fs.readdirSync(root).join()])
      const { value } = yield* outsideCi(recorded({ directory }, { script })(draws))
      assert.deepStrictEqual(value, [""])
      assert.deepStrictEqual(Fs.readdirSync(directory), ["agent.jsonl"])
    }))

  it.effect("is made again if another process removes it while it is empty", () =>
    Effect.gen(function*() {
      const { directory } = yield* inFolder
      let isRemoved = false
      const removing = patched(["mkdirSync"], (_, make) => (folder: string, options) => {
        const made = make(folder, options)
        if (folder === directory && !isRemoved) {
          isRemoved = true
          Fs.rmdirSync(folder)
        }
        return made
      })
      yield* outsideCi(recorded({ directory })(draws)).pipe(removing)
      assert.isTrue(isRemoved)
      assert.deepStrictEqual(Fs.readdirSync(directory), ["agent.jsonl"])
    }))

  it.effect("goes with its last cassette, and one that was there before stays", () =>
    Effect.gen(function*() {
      const { directory, root } = yield* inFolder
      for (const name of ["one", "other"]) yield* outsideCi(recorded({ directory, name })(draws))
      const empty = Effect.fnUntraced(function*(name: string) {
        makeOld(directory, name)
        yield* recorded({ directory, name, mode: "update" })(Effect.void)
      })
      yield* empty("one")
      assert.deepStrictEqual(Fs.readdirSync(directory), ["other.jsonl"])
      yield* empty("other")
      assert.deepStrictEqual(Fs.readdirSync(root), [])
      yield* Effect.exit(outsideCi(recorded({ directory: root }, { script: [TestModel.serverFault] })(draws)))
      assert.isTrue(Fs.existsSync(root))
    }))
})

describe("a place that cannot be written", () => {
  it.effect("keeps an answer with a secret out of the rescue file, and the other answers in it", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const state = yield* folder
      const secret = "sk-proj-0123456789abcdefghij"
      const partial = Path.join(directory, "agent.jsonl.partial")
      const script = () =>
        Effect.sync(() => {
          Fs.mkdirSync(partial)
          return [`the key is ${secret}`, "no key"]
        })
      const full = recorded({ directory }, { script, size: () => 2 })(draw("a")).pipe(
        outsideCi,
        withEnvironment({ XDG_STATE_HOME: state })
      )
      assert.deepInclude(yield* Effect.flip(full), { _tag: "StoreError", operation: "put" })
      const [rescued = "", ...others] = Fs.readdirSync(Path.join(state, "llm-cache"))
      assert.deepStrictEqual(others, [])
      const content = Fs.readFileSync(Path.join(state, "llm-cache", rescued), "utf8")
      assert.include(content, "no key")
      assert.notInclude(content, secret)
    }))

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
