import { assert, describe, it } from "@effect/vitest"
import { Fork } from "@llm-cache/core"
import { Cause, Effect, Exit, Fiber, Schema, Stream } from "effect"
import { AiError, Chat, LanguageModel, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import * as Vitest from "vitest"
import { Matchers } from "../src/index.ts"
import * as TestLanguageModel from "../src/TestLanguageModel.ts"

const { cutShort, finish, layer, object, prompts, reasoning, refusal, serverFault, text, toolCall } = TestLanguageModel

const tools = Toolkit.make(
  Tool.make("weather", { parameters: Schema.Struct({ city: Schema.String }), success: Schema.String })
)
const handlers = tools.toLayer({ weather: ({ city }) => Effect.succeed(`sunny in ${city}`) })

const { expect: expected } = Vitest
expected.extend(Matchers.matchers)

const record = Effect.service(TestLanguageModel.TestLanguageModel)

const defectOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(self), (exit) => Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "no defect")

describe("an answer", () => {
  it.effect("is a text, with reasoning, tokens and a finish reason", () =>
    Effect.gen(function*() {
      const plain = yield* LanguageModel.generateText({ prompt: "Hello" })
      assert.deepStrictEqual([plain.text, plain.finishReason], ["Hi.", "stop"])
      const thought = yield* LanguageModel.generateText({ prompt: "Hello" })
      assert.deepStrictEqual([thought.reasoningText, thought.text], ["Hm.", "Hi."])
      assert.strictEqual(thought.usage.outputTokens.total, 9)
      const refused = yield* LanguageModel.generateText({ prompt: "Hello" })
      assert.deepStrictEqual([refused.text, refused.finishReason], ["No.", "content-filter"])
      const cut = yield* LanguageModel.generateText({ prompt: "Hello" })
      assert.deepStrictEqual([cut.text, cut.finishReason], ["Once upon", "length"])
    }).pipe(Effect.provide(layer({
      script: [
        "Hi.",
        [reasoning("H", "m."), text("Hi."), finish("stop", { output: 9 })],
        refusal("No."),
        cutShort("Once ", "upon")
      ],
      unused: "fail"
    }))))

  it.effect("is an object", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({ born: Schema.Int })
      const { value } = yield* LanguageModel.generateObject({ prompt: "Ada?", schema, objectName: "person" })
      assert.deepStrictEqual(value, { born: 1815 })
      const { requests } = yield* record
      assert.strictEqual(requests[0]?.objectName, "person")
    }).pipe(Effect.provide(layer({ script: [object({ born: 1815 })] }))))

  it.effect("calls tools, and the next request has their results", () =>
    Effect.gen(function*() {
      const chat = yield* Chat.empty
      const called = yield* chat.generateText({ prompt: "How is the weather in Rome?", toolkit: tools })
      assert.strictEqual(called.finishReason, "tool-calls")
      assert.strictEqual((yield* chat.generateText({ prompt: [], toolkit: tools })).text, "Take your sunglasses.")
      const { requests, unused } = yield* record
      assert.deepStrictEqual(requests.map(({ text, tools }) => [text, tools]), [
        ["How is the weather in Rome?", ["weather"]],
        ["\"sunny in Rome\"", ["weather"]]
      ])
      assert.deepStrictEqual(unused, ["/rain/g"])
      expected(yield* record).toHaveAsked("How is the weather in Rome?")
    }).pipe(
      Effect.provide(handlers),
      Effect.provide(layer({
        script: prompts([
          ["How is the weather", toolCall("weather", { city: "Rome" })],
          [/sunny/g, "Take your sunglasses."],
          [/rain/g, "Take your umbrella."]
        ])
      }))
    ))

  it.effect("is an error, or an effect", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Effect.flip(LanguageModel.generateText({ prompt: "p" })), serverFault)
      assert.strictEqual((yield* LanguageModel.generateText({ prompt: "p" })).text, "later")
      const limited = yield* Effect.flip(LanguageModel.generateText({ prompt: "p" }))
      assert.isTrue(AiError.isAiError(limited) && limited.isRetryable)
    }).pipe(Effect.provide(layer({ script: [serverFault, Effect.succeed("later"), Effect.fail(serverFault)] }))))
})

describe("a stream", () => {
  it.effect("has a delta for each chunk, each after its latency", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const fiber = yield* Effect.forkChild(
        LanguageModel.streamText({ prompt: "p" }).pipe(
          Stream.runForEach((part) =>
            Effect.sync(() =>
              seen.push(part.type === "text-delta" || part.type === "reasoning-delta" ? part.delta : part.type)
            )
          )
        )
      )
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(seen, ["reasoning-start", "Hm.", "reasoning-end"])
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen.slice(3), ["text-start", "Hel", "lo", "text-end", "finish"])
    }).pipe(Effect.provide(layer({ latency: "1 second", script: [[reasoning("Hm."), text("Hel", "lo")]] }))))

  it.effect("and a whole answer have one script", () =>
    Effect.gen(function*() {
      const deltas = [
        { type: "text-start", id: "a" },
        { type: "text-delta", id: "a", delta: "Hel" },
        { type: "text-delta", id: "a", delta: "lo" },
        { type: "text-end", id: "a" }
      ] as const
      const model = layer({ script: () => deltas })
      const whole = yield* Effect.provide(LanguageModel.generateText({ prompt: "p" }), model)
      const streamed = yield* Effect.provide(
        Stream.runCollect(LanguageModel.streamText({ prompt: "p" })),
        model
      )
      assert.strictEqual(whole.text, "Hello")
      assert.deepStrictEqual(streamed.map(({ type }) => type), [...deltas.map(({ type }) => type), "finish"])
    }))
})

describe("a script", () => {
  it.effect("that is used up, or has no pattern, dies with the message", () =>
    Effect.gen(function*() {
      const ask = LanguageModel.generateText({ prompt: "the last" })
      assert.include(yield* defectOf(Effect.provide(ask, layer({ script: [] }))), "add one for the message the last")
      assert.include(
        yield* defectOf(Effect.provide(ask, layer({ script: prompts([["first", "x"]]) }))),
        "no pattern for the message the last: add one to first"
      )
    }))

  it.effect("that has to be used fails a program that leaves some of it", () =>
    Effect.gen(function*() {
      const ask = LanguageModel.generateText({ prompt: "p" })
      assert.include(
        yield* defectOf(Effect.provide(ask, layer({ script: ["a", "b"], unused: "fail" }))),
        "did not use all of the test model's script: \"b\" is left"
      )
    }))

  it.effect("gets the fork and the number of the request", () =>
    Effect.gen(function*() {
      const ask = LanguageModel.generateText({ prompt: "p" })
      yield* ask
      assert.strictEqual((yield* Fork.fork(ask, "agent")).text, "1 in agent")
    }).pipe(Effect.provide(layer({ script: ({ path }, index) => `${index} in ${path.join()}` }))))
})

it.effect("an error behind parts breaks a stream off there, and fails a whole answer", () =>
  Effect.gen(function*() {
    const seen: Array<string> = []
    const stream = LanguageModel.streamText({ prompt: "p" }).pipe(
      Stream.runForEach((part) => Effect.sync(() => seen.push(part.type === "text-delta" ? part.delta : part.type)))
    )
    assert.strictEqual((yield* Effect.flip(stream)).reason._tag, "InternalProviderError")
    assert.includeMembers(seen, ["Hel", "lo"])
    assert.notInclude(seen, "finish")
    assert.strictEqual(
      (yield* Effect.flip(LanguageModel.generateText({ prompt: "p" }))).reason._tag,
      "InternalProviderError"
    )
    const { requests } = yield* record
    assert.deepStrictEqual(requests.map(({ options }) => options.responseFormat.type), ["text", "text"])
  }).pipe(Effect.provide(layer({ script: () => [text("Hel", "lo"), serverFault] }))))

describe("a faulty provider", () => {
  it.effect("sends parts as they are, also without an end", () =>
    Effect.gen(function*() {
      const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "p" }))
      assert.deepStrictEqual(parts.map(({ type }) => type), ["text-start", "text-delta", "text-end"])
      const whole = yield* LanguageModel.generateText({ prompt: "p" })
      assert.deepStrictEqual(whole.content.map(({ type }) => type), ["text"])
    }).pipe(Effect.provide(layer({ script: () => TestLanguageModel.exactly(text("half")) }))))

  it.effect("sends a stream of its own, which a whole answer collects", () =>
    Effect.gen(function*() {
      const streamed = () =>
        Stream.fromIterable(
          [
            { type: "text-start", id: "a" },
            { type: "text-delta", id: "a", delta: "Hel" },
            { type: "text-delta", id: "a", delta: "lo" }
          ] as const
        )
      const model = layer({
        script: ({ isStreamed }) => isStreamed ? Stream.concat(streamed(), Stream.fail(serverFault)) : streamed()
      })
      const seen: Array<string> = []
      const error = yield* LanguageModel.streamText({ prompt: "p" }).pipe(
        Stream.runForEach(({ type }) => Effect.sync(() => seen.push(type))),
        Effect.flip,
        Effect.provide(model)
      )
      assert.strictEqual(error, serverFault)
      assert.deepStrictEqual(seen, ["text-start", "text-delta", "text-delta"])
      const whole = yield* Effect.provide(LanguageModel.generateText({ prompt: "p" }), model)
      assert.strictEqual(whole.text, "Hello")
    }))

  it.effect("that calls a tool which was not offered fails, as providers do", () =>
    Effect.gen(function*() {
      for (
        const asked of [
          Effect.asVoid(LanguageModel.generateText({ prompt: "p", toolkit: tools })),
          Stream.runDrain(LanguageModel.streamText({ prompt: "p", toolkit: tools }))
        ]
      ) {
        const error = yield* Effect.flip(asked)
        assert.strictEqual(error.reason._tag, "ToolNotFoundError")
      }
    }).pipe(Effect.provide(handlers), Effect.provide(layer({ script: () => toolCall("stocks", {}) }))))
})
