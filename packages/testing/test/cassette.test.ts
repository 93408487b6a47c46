import { assert, describe, it } from "@effect/vitest"
import { Attempt, Fork, Independent, LlmModel, type SampleError } from "@llm-cache/core"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Cassette, TestModel } from "../src/index.ts"
import {
  deepLayer,
  defectOf,
  inCi,
  linesOf,
  makeOld,
  outsideCi,
  recorded,
  withEnvironment
} from "./support/cassettes.ts"
import { folder } from "./support/disk.ts"

const numbers = Effect.provide(
  Effect.all([LlmModel.sampleMany("A number?", 2), LlmModel.sampleOne("A number?")]),
  Independent.layer
)

describe("a cassette", () => {
  it.effect("records a test once, and replays it without a request", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const first = yield* outsideCi(recorded({ directory })(numbers))
      const again = yield* inCi(recorded({ directory })(numbers))
      assert.deepStrictEqual(again.value, first.value)
      assert.deepStrictEqual([first.sent, first.cassette.mode], [2, "record"])
      assert.deepStrictEqual([again.sent, again.cassette.mode], [0, "replay"])
      assert.deepStrictEqual(again.cassette.draws.map(({ from, position }) => [from, position]), [
        ["cassette", 0],
        ["cassette", 1],
        ["cassette", 2]
      ])
      assert.deepStrictEqual(first.cassette.draws.map(({ from }) => from), ["model", "cassette", "model"])
    }))

  it.effect("replays retries and forks, in any order", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const agent = LlmModel.sampleOne("A number?").pipe(
        Effect.filterOrFail((text) => Number(text.split("#")[1]) % 4 === 3),
        Attempt.retry({ times: 10 }),
        Effect.provide(Independent.layer)
      )
      const both = (names: ReadonlyArray<string>) =>
        Effect.map(
          Effect.forEach(names, (name) => Fork.fork(agent, name), { concurrency: 2 }),
          (results) => Object.fromEntries(results.map(({ attempts, value }, i) => [names[i], [attempts, value]]))
        )
      const first = yield* outsideCi(recorded({ directory })(both(["one", "other"])))
      const again = yield* inCi(recorded({ directory })(both(["other", "one"])))
      assert.deepStrictEqual(again.value, first.value)
      assert.strictEqual(again.sent, 0)
    }))

  it.effect("is a line of JSON for each sample, by prompt, whatever the order of the draws", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const draw = (prompts: ReadonlyArray<string>) => Effect.forEach(prompts, (prompt) => LlmModel.sampleOne(prompt))
      const script = ({ prompt }: TestModel.Request) => [{ text: `${prompt}!`, finishReason: "stop" }]
      yield* outsideCi(
        recorded({ directory }, { script, temperature: 0.5, parameters: { system: "Be brief." } })(draw(["b", "a"]))
      )
      const [a, b] = linesOf(directory)
      assert.deepStrictEqual(Object.keys(a), [
        "model",
        "temperature",
        "parameters",
        "prompt",
        "position",
        "text",
        "metadata"
      ])
      assert.deepStrictEqual([a.prompt, a.text, a.position, b.prompt], ["a", "a!", 0, "b"])
      assert.deepStrictEqual([a.temperature, a.parameters, a.metadata.finishReason], [
        0.5,
        { system: "Be brief." },
        "stop"
      ])
    }))

  it.effect("keeps texts to the byte", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const text = "a\r\nb\n\u2028\u0000\"\\ \u{1f600} {}"
      const asked = LlmModel.sampleOne(`${text}?`)
      const script = [text]
      yield* outsideCi(recorded({ directory }, { script })(asked))
      assert.strictEqual((yield* inCi(recorded({ directory })(asked))).value, text)
    }))

  it.effect("has no file if the test draws nothing", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      yield* outsideCi(recorded({ directory })(Effect.void))
      assert.deepStrictEqual(Fs.readdirSync(directory), [])
    }))

  it.effect("that two tests record at once has the samples of both", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const draw = (prompt: string) => recorded({ directory })(Effect.delay(LlmModel.sampleOne(prompt), 10))
      const fiber = yield* Effect.forkChild(Effect.all([draw("a"), draw("b")], { concurrency: 2 }).pipe(outsideCi))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(linesOf(directory).map(({ prompt }) => prompt), ["a", "b"])
    }))

  it.effect("is found beside the test that names it, and two names never share a file", () =>
    Effect.gen(function*() {
      const file = (name: string, make = Cassette.layer) =>
        Effect.map(Cassette.Cassette, ({ file }) => file).pipe(
          Effect.provide(Layer.provide(make(name), TestModel.layer())),
          outsideCi
        )
      const long = "x".repeat(300)
      const changed = ["two step", "Two-Step", "two/step", "two\\step", "../two-step", "a:b*?", "con", "nul.txt"]
      const names = ["two-step", ...changed, "", " ", "ä", "a\u0308", "🎉", "🎊", long, `${long}y`]
      const files = yield* Effect.forEach(names, (name) => file(name))
      assert.strictEqual(files[0], Path.join(import.meta.dirname, "__cassettes__/cassette/two-step.jsonl"))
      assert.strictEqual(yield* file("two-step", (name) => deepLayer(name)), files[0])
      for (const file of files) {
        assert.strictEqual(Path.dirname(file), Path.dirname(files[0]!))
        assert.isBelow(Path.basename(file).length, 110)
        assert.match(Path.basename(file), /^(?!con\.|nul\.)\w[\w.-]*\.jsonl$/)
      }
      assert.strictEqual(new Set(files.map((file) => file.toLowerCase())).size, names.length)
    }))
})

describe("a test that fails", () => {
  it.effect("leaves an unfinished recording, and its retry pays for nothing twice", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const run = (isBroken: boolean) =>
        Effect.gen(function*() {
          const first = yield* LlmModel.sampleOne("First?")
          if (isBroken) return yield* Effect.fail("a broken assertion")
          return [first, yield* LlmModel.sampleOne("Second?")]
        })
      assert.strictEqual(yield* Effect.flip(outsideCi(recorded({ directory })(run(true)))), "a broken assertion")
      assert.deepStrictEqual(Fs.readdirSync(directory), ["agent.jsonl.partial"])
      const again = yield* outsideCi(recorded({ directory })(run(false)))
      assert.deepStrictEqual([again.value, again.sent], [["First? #0", "Second? #0"], 1])
      assert.deepStrictEqual(Fs.readdirSync(directory), ["agent.jsonl"])
      assert.deepStrictEqual((yield* inCi(recorded({ directory })(run(false)))).value, again.value)
    }))

  it.effect("in CI, without a cassette, is told how to record it", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const error = yield* Effect.flip(inCi(recorded({ directory })(numbers)))
      assert.strictEqual((error as SampleError.StoreError)._tag, "StoreError")
      assert.match(error.message, /agent\.jsonl, open: there is no such cassette/)
      assert.include(error.message, "LLM_CACHE_CASSETTES=update npx vitest run packages/testing/test/cassette.test.ts")
      assert.deepStrictEqual(Fs.readdirSync(directory), [])
    }))
})

describe("a replay", () => {
  const prompt = (day: string) => `Today is ${day}. You are an agent. Answer in one line.`

  it.effect("of a changed prompt fails with the difference, word by word, and the command", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      yield* outsideCi(recorded({ directory })(LlmModel.sampleOne(prompt("Monday"))))
      const miss = yield* Effect.flip(outsideCi(recorded({ directory })(LlmModel.sampleOne(prompt("Friday")))))
      assert.strictEqual((miss as SampleError.ReplicationCacheMiss)._tag, "ReplicationCacheMiss")
      assert.include(miss.message, "Today is [-Monday-]{+Friday+}. You are")
      assert.strictEqual(miss.message.split("Monday").length, 2)
      assert.include(miss.message, "LLM_CACHE_CASSETTES=update")
    }))

  it.effect("fails if the program hides the miss", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      yield* outsideCi(recorded({ directory })(LlmModel.sampleOne(prompt("Monday"))))
      const hides = LlmModel.sampleOne(prompt("Friday")).pipe(Effect.orElseSucceed(() => "fine"))
      const defect = yield* defectOf(outsideCi(recorded({ directory })(hides)))
      assert.include(defect?.message, "[-Monday-]{+Friday+}.")
    }))

  it.effect("that leaves samples unused fails where it was asked to", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const draw = (...prompts: ReadonlyArray<string>) =>
        Effect.forEach(prompts, (prompt) => LlmModel.sampleOne(prompt))
      yield* outsideCi(recorded({ directory })(draw("a", "b")))
      assert.strictEqual((yield* inCi(recorded({ directory })(draw("a")))).cassette.unused, 1)
      const defect = yield* defectOf(inCi(recorded({ directory, unused: "fail" })(draw("a"))))
      assert.match(defect?.message ?? "", /1 samples? of .*agent\.jsonl .*position 0 of the prompt "b"/)
      assert.strictEqual(yield* defectOf(inCi(recorded({ directory, unused: "fail" })(draw("a", "b")))), undefined)
    }))

  it.effect("takes the rest of a request for used", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const draw = LlmModel.sampleOne("a")
      yield* outsideCi(recorded({ directory }, { size: (n) => n + 2 })(draw))
      assert.strictEqual(linesOf(directory).length, 3)
      assert.strictEqual(yield* defectOf(inCi(recorded({ directory, unused: "fail" })(draw))), undefined)
    }))
})

describe("an update", () => {
  it.effect("requests what is missing, and drops what is not used", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const draw = (...prompts: ReadonlyArray<string>) =>
        Effect.forEach(prompts, (prompt) => LlmModel.sampleOne(prompt))
      yield* outsideCi(recorded({ directory })(draw("a", "b")))
      makeOld(directory)
      const updated = yield* recorded({ directory })(draw("b", "c")).pipe(
        withEnvironment({ LLM_CACHE_CASSETTES: "update", CI: undefined })
      )
      assert.strictEqual(updated.sent, 1)
      assert.deepStrictEqual(linesOf(directory).map(({ prompt }) => prompt), ["b", "c"])
    }))

  it.effect("of a test that fails changes nothing, and keeps what it paid for", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      yield* outsideCi(recorded({ directory })(LlmModel.sampleOne("a")))
      makeOld(directory)
      const before = linesOf(directory)
      const update = recorded({ directory, mode: "update" })
      yield* Effect.flip(update(Effect.andThen(LlmModel.sampleOne("b"), Effect.fail("broken"))))
      assert.deepStrictEqual(linesOf(directory), before)
      assert.strictEqual((yield* update(LlmModel.sampleOne("b"))).sent, 0)
      assert.deepStrictEqual(linesOf(directory).map(({ prompt }) => prompt), ["b"])
    }))

  it.effect("is one of three modes", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const error = yield* Effect.flip(
        recorded({ directory })(numbers).pipe(withEnvironment({ LLM_CACHE_CASSETTES: "record" }))
      )
      assert.match(error.message, /mode "record" is unknown: .* auto, replay or update/)
    }))
})

describe("a secret", () => {
  const key = "sk-proj-0123456789abcdefghij"

  it.effect("in a prompt fails before it is sent", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const requests: Array<string> = []
      const script = ({ prompt }: TestModel.Request) => [String(requests.push(prompt))]
      const error = yield* Effect.flip(
        outsideCi(recorded({ directory }, { script })(LlmModel.sampleOne(`My key is ${key}.`)))
      )
      assert.strictEqual((error as SampleError.StoreError)._tag, "StoreError")
      assert.notInclude(error.message, key)
      assert.deepStrictEqual([requests, Fs.readdirSync(directory)], [[], []])
    }))

  it.effect("in an answer is not written, and fails the test", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const secrets = [`Bearer ${"x".repeat(20)}`, "AKIAIOSFODNN7EXAMPLE", `-----BEGIN RSA PRIVATE KEY-----`, key]
      for (const secret of secrets) {
        const script = ({ prompt }: TestModel.Request) => [prompt === "a" ? `Use ${secret}` : "fine"]
        const both = Effect.andThen(LlmModel.sampleOne("a"), LlmModel.sampleOne("b"))
        const defect = yield* defectOf(outsideCi(recorded({ directory }, { script })(both)))
        assert.include(defect?.message, "position 0 of the prompt \"a\"")
        assert.notInclude(defect?.message, secret)
        const written = Fs.readdirSync(directory).map((file) => Fs.readFileSync(Path.join(directory, file), "utf8"))
          .join()
        assert.notInclude(written, secret)
        assert.include(written, "fine")
        Fs.rmSync(directory, { recursive: true })
      }
      Fs.mkdirSync(directory)
    }))

  it.effect("is also the value of a secret variable, and a pattern that is given", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const asked = LlmModel.sampleOne("The password is \"correct horse\" battery.")
      const error = yield* Effect.flip(
        outsideCi(recorded({ directory })(asked)).pipe(withEnvironment({ MY_PASSWORD: "\"correct horse\"" }))
      )
      assert.include(error.message, "MY_PASSWORD")
      const given = yield* Effect.flip(outsideCi(recorded({ directory, secrets: [/horse/g] })(asked)))
      assert.include(given.message, "/horse/g")
    }))

  it.effect("is found behind the escapes of JSON", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const secrets = [/^password: "horse"$/m]
      for (const prompt of ["first\npassword: \"horse\"", JSON.stringify([{ text: "password: \"horse\"" }])]) {
        const error = yield* Effect.flip(outsideCi(recorded({ directory, secrets })(LlmModel.sampleOne(prompt))))
        assert.strictEqual((error as SampleError.StoreError).kind, "InvalidName")
      }
    }))
})

describe("a file that git merged", () => {
  it.effect("has the lines of both sides, and the same line once", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const git = (...args: ReadonlyArray<string>) =>
        ChildProcess.execFileSync("git", [
          "-C",
          directory,
          "-c",
          `safe.directory=${directory}`,
          "-c",
          "user.name=a",
          "-c",
          "user.email=a@b",
          ...args
        ], {
          encoding: "utf8"
        })
      const draw = (...prompts: ReadonlyArray<string>) =>
        Effect.forEach(prompts, (prompt) => LlmModel.sampleOne(prompt))
      const record = (...prompts: ReadonlyArray<string>) => recorded({ directory, mode: "update" })(draw(...prompts))
      git("init", "-q", "-b", "main")
      yield* record("b", "d")
      git("add", ".")
      git("commit", "-q", "-m", "first")
      git("checkout", "-q", "-b", "other")
      yield* record("b", "d", "e")
      git("commit", "-q", "-a", "-m", "e")
      git("checkout", "-q", "main")
      yield* record("a", "b", "d")
      git("commit", "-q", "-a", "-m", "a")
      git("merge", "-q", "other", "-m", "both")
      const replayed = yield* inCi(recorded({ directory, unused: "fail" })(draw("a", "b", "d", "e")))
      assert.strictEqual(replayed.sent, 0)
    }))

  it.effect("with a conflict, half a line or two answers for one draw says which line", () =>
    Effect.gen(function*() {
      const directory = yield* folder
      const path = Path.join(directory, "agent.jsonl")
      yield* outsideCi(recorded({ directory })(LlmModel.sampleOne("a")))
      const line = Fs.readFileSync(path, "utf8")
      const errorOf = (content: string) => {
        Fs.writeFileSync(path, content)
        return Effect.map(Effect.flip(inCi(recorded({ directory })(LlmModel.sampleOne("a")))), (error) => {
          const { kind, message } = error as SampleError.StoreError
          return [kind, message.replace(/^.*open: /, "")]
        })
      }
      assert.deepStrictEqual(yield* errorOf(`<<<<<<< main\n${line}=======\n${line}>>>>>>> other\n`), [
        "Damaged",
        "line 1: it is a conflict of git: keep the lines of both sides, without the marks"
      ])
      assert.match((yield* errorOf(`${line}${line.slice(0, 40)}`))[1]!, /^line 2: it is not a whole JSON object/)
      assert.match(
        (yield* errorOf(line + line.replace("a #0", "b")))[1]!,
        /two samples at position 0 of the prompt "a"/
      )
      Fs.writeFileSync(path, `${line}\r\n${line}`)
      assert.strictEqual((yield* inCi(recorded({ directory })(LlmModel.sampleOne("a")))).value, "a #0")
    }))
})
