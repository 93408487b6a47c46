import { assert, describe, it } from "@effect/vitest"
import { CacheErrors } from "@llm-cache/ai"
import { Independent, MemoryStore, SampleError } from "@llm-cache/core"
import { Effect, ExecutionPlan, Schema, Stream } from "effect"
import { AiError, LanguageModel } from "effect/ai"
import { cached, finish, replayed, scripted, text } from "./support/scripted.ts"

const ask = LanguageModel.generateText({ prompt: "x" })

const missing = Effect.flatMap(MemoryStore.make, (store) => Effect.flip(Effect.provide(ask, replayed(store))))

describe("CacheErrors", () => {
  it.effect("has the original behind the error of a call, an object and a stream", () =>
    Effect.gen(function*() {
      const model = replayed(yield* MemoryStore.make)
      const calls = [
        Effect.asVoid(ask),
        Effect.asVoid(LanguageModel.generateObject({ prompt: "x", schema: Schema.Struct({ a: Schema.String }) })),
        Stream.runDrain(LanguageModel.streamText({ prompt: "x" }))
      ]
      for (const call of calls) {
        const error = yield* Effect.flip(Effect.provide(call, model))
        assert(AiError.isAiError(error))
        assert.strictEqual(error.reason._tag, "UnknownError")
        assert.isFalse(error.isRetryable)
        assert.include(error.message, "Nothing is stored for prompt")
        assert.instanceOf(CacheErrors.fromAi(error), SampleError.ReplicationCacheMiss)
      }
    }))

  it.effect("exposes a miss to `catchTag`, in effects and streams", () =>
    Effect.gen(function*() {
      const model = replayed(yield* MemoryStore.make)
      const caught = yield* CacheErrors.expose(ask).pipe(
        Effect.map(({ text }) => text),
        Effect.catchTag("ReplicationCacheMiss", ({ position }) => Effect.succeed(`position ${position}`)),
        Effect.provide(model)
      )
      assert.strictEqual(caught, "position 0")
      const streamed = yield* CacheErrors.expose(LanguageModel.streamText({ prompt: "x" })).pipe(
        Stream.map(({ type }) => type),
        Stream.catchTag("ReplicationCacheMiss", ({ _tag }) => Stream.succeed(_tag)),
        Stream.runCollect,
        Effect.provide(model)
      )
      assert.deepStrictEqual(streamed, ["ReplicationCacheMiss"])
    }))

  it.effect("gives the inner model's own error, the same object", () =>
    Effect.gen(function*() {
      const own = AiError.make({
        module: "M",
        method: "m",
        reason: new AiError.RateLimitError({ http: { response: { status: 429, headers: {} } } })
      })
      const error = yield* Effect.flip(
        Effect.provide(CacheErrors.expose(ask), cached(scripted(() => Effect.fail(own)).layer))
      )
      assert.strictEqual(error, own)
      assert.isUndefined(CacheErrors.fromAi(own))
      assert.isFalse(CacheErrors.isMiss(own))
    }))

  it.effect("knows a miss from another process by its metadata", () =>
    Effect.gen(function*() {
      const original = yield* missing
      assert(AiError.isAiError(original))
      const json = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(Schema.toCodecJson(AiError.AiError))(original)))
      const error = yield* Schema.decodeUnknownEffect(Schema.toCodecJson(AiError.AiError))(json)
      assert.isTrue(CacheErrors.isMiss(error))
      const miss = CacheErrors.fromAi(error)
      assert.instanceOf(miss, SampleError.ReplicationCacheMiss)
      assert.strictEqual(miss?.message, CacheErrors.fromAi(original)?.message)
    }))

  it.effect("keeps an execution plan from going on after a miss, by `while`", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const other = scripted(() => [text("other"), finish()])
      const plan = (isGuarded: boolean) =>
        ExecutionPlan.make(
          {
            provide: replayed(store),
            ...isGuarded ? { while: (error: unknown) => !CacheErrors.isMiss(error) } : {}
          },
          {
            provide: cached(other.layer),
            ...isGuarded ? { while: (error: unknown) => !CacheErrors.isMiss(error) } : {}
          }
        )
      const error = yield* Effect.flip(Effect.withExecutionPlan(ask, plan(true)))
      assert.isTrue(CacheErrors.isMiss(error))
      const { text: answer } = yield* Effect.withExecutionPlan(ask, plan(false))
      assert.strictEqual(answer, "other")
    }))

  it.effect("fails for a value in the prompt that has no key, before it asks", () =>
    Effect.gen(function*() {
      const provider = scripted()
      const error = yield* LanguageModel.generateText({
        prompt: [{ role: "tool", content: [{ type: "tool-result", id: "c", name: "t", isFailure: false, result: 1n }] }]
      }).pipe(
        CacheErrors.expose,
        Effect.flip,
        Effect.provide(Independent.layer),
        Effect.provide(cached(provider.layer))
      )
      assert.strictEqual(error._tag, "InvalidInput")
      assert.include(error.message, "message 1, part 1.result is a bigint")
      assert.strictEqual(provider.requests.length, 0)
    }))
})
