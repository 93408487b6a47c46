import { assert, describe, it } from "@effect/vitest"
import { Fork, Independent, LlmModel, Repeatable } from "@llm-cache/core"
import { Cause, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { TestModel } from "../src/index.ts"

const { serverFault } = TestModel

const textsOf = (prompt: string, n: number) => LlmModel.sampleMany(prompt, n)

describe("a script that is a list", () => {
  it.effect("gives its samples in order, whatever the prompt", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* textsOf("p", 2), ["a", "b"])
      assert.deepStrictEqual(yield* textsOf("q", 1), ["c"])
      const { samples } = yield* TestModel.TestModel
      assert.deepStrictEqual(samples, ["a", "b", "c"])
    }).pipe(Effect.provide(TestModel.layer({ script: ["a", { text: "b", finishReason: "stop" }, "c"] }))))

  it.effect("fails where it has an error, once, and an answer ends before it", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Effect.flip(textsOf("p", 1)), serverFault)
      assert.deepStrictEqual(yield* textsOf("p", 1), ["a"])
      const { requests } = yield* TestModel.TestModel
      assert.deepStrictEqual(requests.map(({ n }) => n), [1, 1])
      assert.strictEqual(yield* Effect.flip(textsOf("p", 2)), serverFault)
      assert.deepStrictEqual(requests.map(({ n }) => n), [1, 1, 2, 1])
      assert.deepStrictEqual(yield* textsOf("p", 1), ["c"])
    }).pipe(Effect.provide(TestModel.layer({ script: [serverFault, "a", "b", serverFault, "c"] }))))

  it.effect("that is used up dies with the prompt it has no sample for", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(textsOf("the last", 2))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.include(Cause.pretty((exit as Exit.Failure<never, never>).cause), "add one for the prompt the last")
    }).pipe(Effect.provide(TestModel.layer({ script: ["a"] }))))

  it.effect("gives short and surplus answers by size", () =>
    Effect.gen(function*() {
      const script = ["a", "b", "c", "d", "e"]
      const short = yield* TestModel.make({ script, size: () => 1 })
      const surplus = yield* TestModel.make({ script, size: (n) => n + 2 })
      for (const { model } of [short, surplus]) {
        const independent = yield* Independent.make(model)
        const two = textsOf("p", 2).pipe(Effect.provideService(LlmModel.LlmModel, independent))
        assert.deepStrictEqual([yield* two, yield* two], [["a", "b"], ["c", "d"]])
      }
      assert.deepStrictEqual(short.requests.map(({ n }) => n), [2, 1, 2, 1])
      assert.deepStrictEqual(surplus.requests.map(({ n }) => n), [2])
    }).pipe(Effect.scoped))
})

describe("a script that is a function", () => {
  it.effect("gets the request and the number of requests before", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* textsOf("p", 2), ["p 0", "p 1"])
      assert.deepStrictEqual(yield* textsOf("q", 1), ["q 1"])
      assert.deepStrictEqual(yield* Fork.fork(textsOf("r", 1), "agent"), ["r 2 in agent"])
    }).pipe(Effect.provide(TestModel.layer({
      script: ({ n, path, prompt }, index) =>
        Array.from({ length: n }, (_, i) => [`${prompt} ${index + i}`, ...path].join(" in "))
    }))))

  it.effect("may answer with counts of tokens, and with an effect", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* LlmModel.sampleOne("tokens"), "a")
      assert.strictEqual(yield* Effect.flip(LlmModel.sampleOne("fault")), serverFault)
    }).pipe(Effect.provide(TestModel.layer({
      script: ({ prompt }) => prompt === "fault" ? Effect.fail(serverFault) : { samples: ["a"], inputTokens: 1 }
    }))))
})

describe("a test model", () => {
  it.effect("without a script gives samples that all differ", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* textsOf("p", 2), ["p #0", "p #1"])
      assert.deepStrictEqual(yield* textsOf("q", 1), ["q #2"])
    }).pipe(Effect.provide(TestModel.layer())))

  it.effect("records prompt, number and fork of each request", () =>
    Effect.gen(function*() {
      yield* textsOf("p", 3)
      yield* Fork.fork(LlmModel.sampleOne("q"), "a")
      const { requests } = yield* TestModel.TestModel
      assert.deepStrictEqual(requests, [
        { prompt: "p", n: 2, path: [] },
        { prompt: "p", n: 1, path: [] },
        { prompt: "q", n: 1, path: ["a"] }
      ])
    }).pipe(Effect.provide(TestModel.layer({ maxBatch: 2 }))))

  it.effect("takes its latency on the clock of the test, and counts the requests in flight", () =>
    Effect.gen(function*() {
      const testModel = yield* TestModel.TestModel
      const fiber = yield* Effect.forkChild(
        Effect.forEach(["a", "b", "c"], LlmModel.sampleOne, { concurrency: 2 }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(testModel.inFlight, 2)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(testModel.inFlight, 1)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["a #0", "b #1", "c #2"])
      assert.deepStrictEqual([testModel.inFlight, testModel.mostInFlight], [0, 2])
    }).pipe(Effect.provide(TestModel.layer({ latency: "1 second" }))))

  it.effect("that is interrupted has no request in flight", () =>
    Effect.gen(function*() {
      const testModel = yield* TestModel.TestModel
      const fiber = yield* Effect.forkChild(LlmModel.sampleOne("p"), { startImmediately: true })
      assert.strictEqual(testModel.inFlight, 1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual([testModel.inFlight, testModel.samples.length], [0, 0])
    }).pipe(Effect.provide(TestModel.layer({ latency: "1 second" }))))

  it.effect("stays at hand beneath other models", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* LlmModel.sampleOne("p"), yield* LlmModel.sampleOne("p"))
      const { requests } = yield* TestModel.TestModel
      assert.lengthOf(requests, 1)
    }).pipe(Effect.provide(Repeatable.layer.pipe(Layer.provideMerge(TestModel.layer())))))

  it.effect("has the identity of its options, and refuses bad ones", () =>
    Effect.gen(function*() {
      const { model } = yield* TestModel.make({ model: "m", temperature: 0, alias: "a" })
      assert.deepStrictEqual([model.identity.name, model.identity.temperature], ["a", 0])
      const error = yield* Effect.flip(TestModel.make({ maxBatch: 0 }))
      assert.strictEqual(error._tag, "InvalidInput")
    }))
})

describe("a script by prompts", () => {
  const script = () =>
    TestModel.prompts([
      ["Which city?", "Paris"],
      [/weather in (\w+)/, [serverFault, "sunny", "rainy"]],
      [/^Sum up/, ({ n, prompt }) => Array<string>(n).fill(`${prompt.length} characters`)]
    ])

  it.effect("answers by the first pattern that matches", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* textsOf("Which city? The weather in Rome", 2), ["Paris", "Paris"])
      assert.strictEqual(yield* Effect.flip(textsOf("The weather in Paris", 1)), serverFault)
      assert.deepStrictEqual(yield* textsOf("The weather in Rome", 1), ["sunny"])
      const { unused } = yield* TestModel.TestModel
      assert.deepStrictEqual(unused, ["\"rainy\"", "/^Sum up/"])
      assert.deepStrictEqual(yield* textsOf("Sum up", 1), ["6 characters"])
    }).pipe(Effect.provide(TestModel.layer({ script: script() }))))

  it.effect("dies for a prompt without a pattern, and names both", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(textsOf("Hello", 1))
      assert.include(Cause.pretty((exit as Exit.Failure<never, never>).cause), "no pattern for the prompt Hello")
      assert.include(Cause.pretty((exit as Exit.Failure<never, never>).cause), "Which city?")
    }).pipe(Effect.provide(TestModel.layer({ script: script() }))))

  it.effect("does not depend on the state of a global pattern", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* textsOf("a b", 1), ["c"])
      assert.deepStrictEqual(yield* textsOf("a", 1), ["c"])
    }).pipe(Effect.provide(TestModel.layer({ script: TestModel.prompts([[/a/g, "c"]]) }))))
})

describe("a random script", () => {
  const votes = Fork.forEach(["a", "b", "c"], () => textsOf("p", 20), { concurrency: 3 })
  const drawn = (seed: number, latency: TestModel.Options["latency"] = 0) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(
        Effect.provide(
          votes,
          TestModel.layer({ latency, script: TestModel.random({ seed, samples: ["0", "1"] }), size: () => 1 })
        )
      )
      yield* TestClock.adjust("1 minute")
      return (yield* Fiber.join(fiber)).map((texts) => texts.join(""))
    })

  it.effect("gives each fork the same samples, whatever the order of the requests", () =>
    Effect.gen(function*() {
      const first = yield* drawn(1)
      const reversed = yield* drawn(1, ({ path }) => path[0] === "a" ? "2 seconds" : "1 second")
      assert.deepStrictEqual(reversed, first)
      assert.notDeepEqual(yield* drawn(2), first)
      assert.strictEqual(new Set(first).size, 3)
    }))

  it.effect("fails as often as it says", () =>
    Effect.gen(function*() {
      const script = TestModel.random({ seed: 1, samples: ["x"], failures: 0.3 })
      const { model } = yield* TestModel.make({ script })
      const exits = yield* Effect.replicateEffect(
        Effect.exit(Effect.provideService(textsOf("p", 1), LlmModel.LlmModel, model)),
        1000
      )
      const failed = exits.filter(Exit.isFailure).length
      assert.isTrue(failed > 250 && failed < 350, `${failed} failed`)
    }))
})

describe("a script that has to be used", () => {
  it.effect("fails the program that leaves some of it", () =>
    Effect.gen(function*() {
      const run = (n: number) =>
        Effect.exit(
          Effect.provide(textsOf("p", n), TestModel.layer({ script: ["a", "b", serverFault], unused: "fail" }))
        )
      const exit = yield* run(1)
      assert.include(
        Cause.pretty((exit as Exit.Failure<never, never>).cause),
        "did not use all of the test model's script: \"b\", test: "
      )
      const used = textsOf("p", 1).pipe(Effect.provide(TestModel.layer({ script: ["a"], unused: "fail" })))
      assert.deepStrictEqual(yield* used, ["a"])
    }))
})

it.effect("refusals and cut answers are samples with a finish reason", () =>
  Effect.gen(function*() {
    const [refused, cut] = yield* LlmModel.sampleManyWithMetadata("p", 2)
    assert.deepStrictEqual(
      [refused!.text, refused!.metadata.refusal, refused!.metadata.finishReason],
      ["", "I can't help with that.", "content_filter"]
    )
    assert.deepStrictEqual([cut!.text, cut!.metadata.finishReason], ["Once upon", "length"])
  }).pipe(Effect.provide(TestModel.layer({
    script: [TestModel.refusal("I can't help with that."), TestModel.cutShort("Once upon")]
  }))))
