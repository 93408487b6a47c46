import { assert, describe, it } from "@effect/vitest"
import { Attempt, Fork, LlmModel, Output, Persistent, RepeatableModel, SampleError } from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Data, Effect, Fiber, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { makeDirectory } from "./support/directory.ts"
import { makeProvider } from "./support/provider.ts"
import { handedOut, watchedIndependent } from "./support/stack.ts"

/** A provider with these samples for each prompt, one after the other. */
const makeAnswers = (answers: Record<string, ReadonlyArray<string | SampleError.SampleError>>) => {
  const requests: Array<string> = []
  const layer = TestModel.layer({
    model: "mock",
    script: ({ prompt }) => {
      const answer = answers[prompt]![requests.filter((one) => one === prompt).length]!
      requests.push(prompt)
      return typeof answer === "string" ? [answer] : Effect.fail(answer)
    }
  })
  return { requests, layer }
}

const answer = Output.tag("answer")
const prompt = "p"

describe("Output.query", () => {
  it.effect("draws until it accepts a sample, and replays without requests", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = makeAnswers({ p: ["none", "<answer>1", "<answer>2</answer>", "<answer>3</answer>", "5"] })
      const query = Effect.all([
        Output.query(prompt, answer, { validate: (value) => value !== "2" }),
        handedOut
      ]).pipe(Effect.provide(watchedIndependent))
      for (const _ of ["buys", "replays"]) {
        const program = query.pipe(Effect.provide(Persistent.layer({ directory })), Effect.provide(provider.layer))
        assert.deepStrictEqual(yield* program, ["3", { p: [4, 4] }])
        assert.strictEqual(provider.requests.length, 4)
      }
      const replicated = query.pipe(
        Effect.provide(Persistent.layerReplication({ directory, model: "mock", temperature: 1 }))
      )
      assert.deepStrictEqual(yield* replicated, ["3", { p: [4, 4] }])
    }))

  it.effect("continues behind the samples of an earlier query", () =>
    Effect.gen(function*() {
      const provider = makeAnswers({ p: ["1", "<answer>2</answer>", "<answer>3</answer>"] })
      const both = Effect.all([Output.query(prompt, answer), Output.query(prompt, answer)]).pipe(
        Effect.provide(watchedIndependent),
        Effect.provide(provider.layer)
      )
      assert.deepStrictEqual(yield* both, ["2", "3"])
    }))

  it.effect("draws four samples by default, and fails with the error of each", () =>
    Effect.gen(function*() {
      const provider = makeAnswers({ p: ["1", "<answer>2", "<answer>3</answer>", "<answer>4</answer>", "5"] })
      const error = yield* Output.query(prompt, answer, {
        validate: (value) => value === "3" ? "three is odd" : value !== "4"
      }).pipe(Effect.provide(watchedIndependent), Effect.provide(provider.layer), Effect.flip)
      assert.strictEqual(provider.requests.length, 4)
      assert.instanceOf(error, Output.OutputsExhausted)
      assert.deepStrictEqual(
        error.attempts.map(({ error, sample }) => [
          sample,
          error._tag === "OutputError" ? error.expected : error.reason
        ]),
        [["1", "<answer>"], ["<answer>2", "</answer>"], ["<answer>3</answer>", "three is odd"], [
          "<answer>4</answer>",
          undefined
        ]]
      )
      assert.strictEqual(error.cause, error.attempts[3])
      assert.strictEqual(error.cause!.cause, error.attempts[3]!.error)
      assert.match(
        error.message,
        /None of 4 samples.*\n {2}1\. Line 1.*<answer>.*\n.*\n {2}3\. three is odd\n {2}4\. The/
      )
      assert.strictEqual(JSON.parse(JSON.stringify(error)).message, error.message)
    }))

  it.effect("draws by its schedule, which gets the rejections", () =>
    Effect.gen(function*() {
      const provider = makeAnswers({ p: ["1", "2", "3", "<answer>4</answer>"] })
      const seen: Array<string> = []
      const schedule = Schedule.max([Schedule.spaced("1 second"), Schedule.recurs(2)]).pipe(
        Schedule.setInputType<Output.OutputRejected>(),
        Schedule.tap(({ input }) => Effect.sync(() => seen.push(input.sample)))
      )
      const query = (one: typeof schedule) =>
        Output.query(prompt, answer, { schedule: one }).pipe(
          Effect.provide(watchedIndependent),
          Effect.provide(provider.layer)
        )
      const fiber = yield* Effect.forkChild(Effect.flip(query(schedule)))
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(provider.requests.length, 2)
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag === "OutputsExhausted" && error.attempts.length, 3)
      assert.deepStrictEqual(seen.slice(0, 2), ["1", "2"])
      const once = yield* Output.query(prompt, answer, { schedule: Schedule.recurs(0) }).pipe(
        Effect.provide(watchedIndependent),
        Effect.provide(makeAnswers({ p: ["1", "<answer>2</answer>"] }).layer),
        Effect.flip
      )
      assert.strictEqual(once._tag === "OutputsExhausted" && once.attempts.length, 1)
      const failing = Schedule.while(Schedule.forever, () => Effect.fail("schedule" as const))
      const failed = yield* Output.query(prompt, answer, { schedule: failing }).pipe(
        Effect.provide(watchedIndependent),
        Effect.provide(makeAnswers({ p: ["1"] }).layer),
        Effect.flip
      )
      assert.strictEqual(failed, "schedule")
    }))

  it.effect("fails with a ReplicationCacheMiss, also behind rejected samples", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = makeAnswers({ p: ["1", "2"] })
      yield* LlmModel.sampleMany(prompt, 2).pipe(
        Effect.provide(Persistent.layer({ directory })),
        Effect.provide(provider.layer)
      )
      const error = yield* Output.query(prompt, answer, { schedule: Schedule.forever }).pipe(
        Effect.provide(watchedIndependent),
        Effect.provide(Persistent.layerReplication({ directory, model: "mock", temperature: 1 })),
        Effect.flip
      )
      assert.instanceOf(error, SampleError.ReplicationCacheMiss)
      assert.strictEqual(error.position, 2)
    }))

  it.effect("does not retry errors of the provider or the store", () =>
    Effect.gen(function*() {
      const fields = { description: "d" }
      const errors = [
        new SampleError.ProviderError({ provider: "mock", reason: new SampleError.BadKey(fields) }),
        new SampleError.ProviderError({ provider: "mock", reason: new SampleError.RateLimited(fields) }),
        new SampleError.StoreError({ kind: "Unavailable", store: "s", operation: "get", description: "d" })
      ]
      for (const expected of errors) {
        const provider = makeAnswers({ p: ["1", expected, "<answer>2</answer>"] })
        const error = yield* Output.query(prompt, answer).pipe(
          Effect.provide(watchedIndependent),
          Effect.provide(provider.layer),
          Effect.flip
        )
        assert.strictEqual(error._tag, expected._tag)
        assert.strictEqual(provider.requests.length, 2)
      }
    }))

  it.effect("decodes JSON by its schema", () =>
    Effect.gen(function*() {
      const provider = makeAnswers({ p: ["{}", "```json\n{\"age\":1.5}\n```", "{\"age\":2}"] })
      const value = yield* Output.query(prompt, Output.json(Schema.Struct({ age: Schema.Int }))).pipe(
        Effect.provide(watchedIndependent),
        Effect.provide(provider.layer)
      )
      assert.deepStrictEqual(value, { age: 2 })
    }))

  it.effect("draws in its fork", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const report = yield* Output.query(prompt, Output.text, { validate: (text) => text === "p #2" }).pipe(
        Fork.fork("f"),
        Effect.andThen(handedOut),
        Effect.provide(watchedIndependent),
        Effect.provide(provider.layer)
      )
      assert.deepStrictEqual(report, { "f/p": [3, 3] })
    }))
})

describe("The validate option of Output.query", () => {
  class Judged extends Data.TaggedError("Judged")<{}> {}

  it.effect("can draw new samples in each attempt", () =>
    Effect.gen(function*() {
      const provider = makeAnswers({
        p: ["<answer>1</answer>", "<answer>2</answer>"],
        "ok?": ["no", "yes"]
      })
      const value = yield* Output.query(prompt, answer, {
        validate: () =>
          Effect.gen(function*() {
            const verdict = yield* LlmModel.sampleOne("ok?")
            assert.strictEqual(yield* RepeatableModel.sampleOne("ok?"), verdict)
            return verdict === "yes" ? undefined : verdict
          })
      }).pipe(Effect.provide(watchedIndependent), Effect.provide(provider.layer))
      assert.strictEqual(value, "2")
      assert.deepStrictEqual(provider.requests, ["p", "ok?", "p", "ok?"])
    }))

  it.effect("ends the query if it fails", () =>
    Effect.gen(function*() {
      const failures = [
        new Judged(),
        new Output.OutputRejected({ sample: "other", error: new Output.OutputRefused({ reason: "other" }) }),
        new Attempt.AttemptsExhausted({ errors: [new Judged()] })
      ]
      for (const failure of failures) {
        const provider = makeAnswers({ p: ["1", "<answer>2</answer>", "<answer>3</answer>"] })
        const error = yield* Output.query(prompt, answer, { validate: () => Effect.fail(failure) }).pipe(
          Effect.provide(watchedIndependent),
          Effect.provide(provider.layer),
          Effect.flip
        )
        assert.strictEqual<unknown>(error, failure)
        assert.strictEqual(provider.requests.length, 2)
      }
    }))

  it.effect("can run a query", () =>
    Effect.gen(function*() {
      const provider = makeAnswers({ p: ["1", "<answer>2</answer>", "3"], q: ["4", "5", "6", "7"] })
      const error = yield* Output.query(prompt, answer, {
        validate: () => Effect.as(Output.query("q", answer, { schedule: Schedule.recurs(1) }), true)
      }).pipe(Effect.provide(watchedIndependent), Effect.provide(provider.layer), Effect.flip)
      assert.deepStrictEqual(error._tag === "OutputsExhausted" && error.attempts.map(({ sample }) => sample), [
        "4",
        "5"
      ])
      assert.deepStrictEqual(provider.requests, ["p", "p", "q", "q"])
    }))
})
