import { assert, describe, it } from "@effect/vitest"
import { CacheErrors, TextModel } from "@llm-cache/ai"
import { Attempt, Independent, LlmModel, MemoryStore, Persistent, SampleError } from "@llm-cache/core"
import { TestModel } from "@llm-cache/testing"
import { Duration, Effect, Fiber, Layer, Result, Schema, Stream } from "effect"
import { AiError, LanguageModel, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import { finish, identity, scripted, text } from "./support/scripted.ts"

describe("TextModel.layer", () => {
  it.effect("samples the texts of a LanguageModel, with reasoning, finish reason and tokens", () =>
    Effect.gen(function*() {
      const provider = scripted((_, i) => [
        { type: "response-metadata", id: `r${i}`, modelId: "m" },
        { type: "reasoning", text: "hm" },
        text(`answer ${i}`),
        finish("length")
      ])
      const samples = yield* LlmModel.sampleManyWithMetadata("x", 2).pipe(
        Effect.provide(TextModel.layer(identity)),
        Effect.provide(provider.layer)
      )
      assert.deepStrictEqual(samples.map((sample) => sample.text), ["answer 0", "answer 1"])
      const { finishReason, inputTokens, model, outputTokens, reasoning, responseId } = samples[1]!.metadata
      assert.deepStrictEqual(
        { finishReason, inputTokens, model, outputTokens, reasoning, responseId },
        { finishReason: "length", inputTokens: 3, model: "m", outputTokens: 5, reasoning: "hm", responseId: "r1" }
      )
    }))

  it.effect("fails with a provider's error that retries understand", () =>
    Effect.gen(function*() {
      const busy = AiError.make({ module: "M", method: "m", reason: new AiError.RateLimitError({}) })
      const error = yield* LlmModel.sampleOne("x").pipe(
        Effect.provide(TextModel.layer(identity)),
        Effect.provide(scripted(() => Effect.fail(busy)).layer),
        Effect.flip
      )
      assert(error instanceof SampleError.ProviderError)
      assert.strictEqual(error.reason._tag, "RateLimited")
    }))
})

describe("TextModel.layerLanguageModel", () => {
  const ask = Effect.map(LanguageModel.generateText({ prompt: "x" }), ({ text }) => text)

  it.effect("answers a prompt of one text by the samples of the nearest model", () =>
    Effect.gen(function*() {
      const model = TextModel.layerLanguageModel.pipe(
        Layer.provideMerge(Persistent.layer({ store: MemoryStore.layer })),
        Layer.provideMerge(TestModel.layer({ script: ["one", { text: "two", finishReason: "max_tokens" }] }))
      )
      yield* Effect.gen(function*() {
        assert.deepStrictEqual([yield* ask, yield* ask], ["one", "one"])
        const last = yield* Effect.andThen(ask, LanguageModel.generateText({ prompt: "x" })).pipe(
          Effect.provide(Independent.layer)
        )
        assert.deepStrictEqual([last.text, last.finishReason], ["two", "length"])
        const streamed = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "x" }))
        assert.deepStrictEqual(streamed.flatMap((part) => part.type === "text-delta" ? [part.delta] : []), ["one"])
        const { requests } = yield* TestModel.TestModel
        assert.deepStrictEqual(requests.map(({ prompt }) => prompt), ["x", "x"])
      }).pipe(Effect.provide(model))
    }))

  it.effect("fails as the provider does: attempts resume after what may pass, and end after what may not", () =>
    Effect.gen(function*() {
      const failing = (error: SampleError.SampleError) => {
        let requests = 0
        const model = TextModel.layerLanguageModel.pipe(
          Layer.provideMerge(Independent.layer),
          Layer.provideMerge(LlmModel.layer({
            ...identity,
            generate: () =>
              Effect.suspend(() => ++requests === 1 ? Effect.fail(error) : Effect.succeed({ samples: [`${requests}`] }))
          }))
        )
        return Effect.provide(Effect.result(Attempt.retry(ask, { times: 2 })), model)
      }
      for (const reason of ["RateLimited", "ServerFault", "Timeout", "Transport"] as const) {
        const fiber = yield* Effect.forkChild(failing(SampleError.providerError(reason)))
        yield* TestClock.adjust("1 hour")
        const result = yield* Fiber.join(fiber)
        assert(Result.isSuccess(result))
        assert.deepStrictEqual([result.success.value, result.success.attempts], ["2", 1], reason)
      }
      for (const reason of ["BadKey", "BadRequest", "QuotaExhausted", "UnusableResponse"] as const) {
        const error = SampleError.providerError(reason)
        const result = yield* failing(error)
        assert(Result.isFailure(result))
        assert.strictEqual(CacheErrors.fromAi(result.failure), error)
      }
    }))

  it.effect("has the time to wait of a rate limit", () =>
    Effect.gen(function*() {
      const busy = SampleError.providerError("RateLimited", { retryAfter: "7 seconds" })
      const error = yield* Effect.flip(ask).pipe(
        Effect.provide(TextModel.layerLanguageModel),
        Effect.provide(LlmModel.layer({ ...identity, generate: () => Effect.fail(busy) }))
      )
      assert.deepStrictEqual([error.isRetryable, error.retryAfter], [true, Duration.seconds(7)])
      assert.strictEqual(CacheErrors.fromAi(error), busy)
    }))

  it.effect("refuses prompts that are more than a text", () =>
    Effect.gen(function*() {
      const toolkit = Toolkit.make(Tool.make("t"))
      const calls = [
        Effect.asVoid(LanguageModel.generateText({ prompt: [{ role: "system", content: "s" }] })),
        Effect.asVoid(LanguageModel.generateText({ prompt: "x", toolkit, disableToolCallResolution: true })),
        Effect.asVoid(LanguageModel.generateObject({ prompt: "x", schema: Schema.Struct({ a: Schema.String }) })),
        Stream.runDrain(LanguageModel.streamText({
          prompt: [{ role: "user", content: "a" }, { role: "user", content: "b" }]
        }))
      ]
      for (const call of calls) {
        const error = yield* call.pipe(
          Effect.provide(toolkit.toLayer({ t: () => Effect.void })),
          Effect.provide(TextModel.layerLanguageModel),
          Effect.provide(TestModel.layer({ script: [] })),
          Effect.flip
        )
        assert.strictEqual(CacheErrors.fromAi(error)?._tag, "InvalidInput")
      }
    }))
})
