import { assert, describe, it } from "@effect/vitest"
import { CachedModel, RequestModel } from "@llm-cache/ai"
import { Events, Fork, Independent, LlmModel, MemoryStore, Persistent, Repeatable, Usage } from "@llm-cache/core"
import { Effect, Layer, Stream } from "effect"
import { Chat, LanguageModel, type Prompt } from "effect/ai"
import { keysOf, samplesOf } from "./support/listed.ts"
import { cached, finish, identity, replayed, scripted, text } from "./support/scripted.ts"

const ask = (prompt: Prompt.RawInput) => Effect.map(LanguageModel.generateText({ prompt }), ({ text }) => text)

describe("generateText", () => {
  it.effect("replays from a store without a provider", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const provider = scripted()
      const program = Effect.all([
        LanguageModel.generateText({ prompt: "one" }),
        LanguageModel.generateText({ prompt: "two" })
      ])
      const first = yield* Effect.provide(program, cached(provider.layer, { store }))
      assert.strictEqual(provider.requests.length, 2)
      const second = yield* Effect.provide(program, replayed(store))
      assert.deepStrictEqual(second.map(({ content }) => content), first.map(({ content }) => content))
      assert.deepStrictEqual(first.map(({ text }) => text), ["answer 0", "answer 1"])
    }))

  it.effect("gives what the bare model gives", () =>
    Effect.gen(function*() {
      const script = () => [
        { type: "response-metadata", id: "r1", modelId: "m", timestamp: "2026-01-02T03:04:05.000Z" } as const,
        { type: "reasoning", text: "hm", metadata: { x: { signature: "s" } } } as const,
        { ...text("a\r\nb\u2028c"), metadata: { x: { itemId: "i" } } },
        { type: "file", mediaType: "image/png", data: "AAEC" } as const,
        { type: "source", sourceType: "url", id: "s", url: "https://example.org/", title: "t" } as const,
        finish("length")
      ]
      const program = LanguageModel.generateText({ prompt: "one" })
      const bare = yield* Effect.provide(program, scripted(script).layer)
      const ours = yield* Effect.provide(program, cached(scripted(script).layer))
      assert.deepStrictEqual(ours.content, bare.content)
      assert.strictEqual(ours.finishReason, "length")
    }))

  it.effect("draws from the nearest model of the call", () =>
    Effect.gen(function*() {
      const provider = scripted()
      const answers = yield* Effect.gen(function*() {
        const again = [yield* ask("x"), yield* ask("x")]
        const independent = yield* Effect.provide(Effect.all([ask("x"), ask("x")]), Independent.layer)
        const repeated = yield* Effect.provide(Effect.all([ask("x"), ask("x")]), Repeatable.layer)
        const forked = yield* Fork.fork(ask("x"), "a")
        return [again, independent, repeated, forked]
      }).pipe(Effect.provide(cached(provider.layer)))
      assert.deepStrictEqual(answers, [
        ["answer 0", "answer 0"],
        ["answer 0", "answer 1"],
        ["answer 0", "answer 0"],
        "answer 2"
      ])
    }))

  it.effect("is one sequence with streamText of the same request", () =>
    Effect.gen(function*() {
      const provider = scripted()
      const streamed = Stream.runFold(
        LanguageModel.streamText({ prompt: "x" }),
        () => "",
        (all, part) => part.type === "text-delta" ? all + part.delta : all
      )
      const answers = yield* Effect.provide(
        Effect.provide(Effect.all([ask("x"), streamed, ask("x")]), Independent.layer),
        cached(provider.layer)
      )
      assert.deepStrictEqual(answers, ["answer 0", "answer 1", "answer 2"])
      const swapped = yield* Effect.provide(Effect.all([streamed, ask("x")]), cached(provider.layer))
      assert.deepStrictEqual(swapped, ["answer 3", "answer 3"])
    }))

  it.effect("tells Usage and Events its tokens, once", () =>
    Effect.gen(function*() {
      const reasons: Array<string | undefined> = []
      const program = Effect.gen(function*() {
        yield* Events.listen((event) => {
          if (event._tag === "RequestDone") reasons.push(...event.samples.map(({ metadata }) => metadata.finishReason))
        })
        yield* ask("x")
        return yield* ask("x")
      }).pipe(Effect.scoped, Effect.provide(cached(scripted().layer)))
      const [, { spent }] = yield* Usage.measure(program).pipe(Effect.provide(Events.layer))
      assert.deepStrictEqual(reasons, ["stop"])
      assert.deepStrictEqual([spent.inputTokens, spent.outputTokens], [3, 5])
    }))

  it.effect("fails at a text model nearest to the call, and says what to provide", () =>
    Effect.gen(function*() {
      const textModel = LlmModel.layer({ model: "texts", generate: () => Effect.die("asked") })
      const error = yield* ask("x").pipe(
        Effect.provide(textModel),
        Effect.provide(cached(scripted().layer)),
        Effect.flip
      )
      assert.include(error.message, "texts, is a model of texts")
      assert.include(error.message, "RequestModel")
      assert.isFalse(error.isRetryable)
    }))

  it.effect("refuses a text that a program gives to the model of requests by hand", () =>
    Effect.gen(function*() {
      const provider = scripted()
      const error = yield* LlmModel.sampleOne("by hand").pipe(Effect.provide(cached(provider.layer)), Effect.flip)
      assert.strictEqual(error._tag, "ProviderError")
      assert.strictEqual(error._tag === "ProviderError" ? error.reason._tag : "", "BadRequest")
      assert.include(error.message, "generateText")
      assert.strictEqual(provider.requests.length, 0)
    }))

  it.effect("keeps two models apart that one layer constant is built over", () =>
    Effect.gen(function*() {
      const model = CachedModel.layer()
      const request = RequestModel.layer(identity)
      const over = (name: string) =>
        model.pipe(
          Layer.provide(Persistent.layer({ store: MemoryStore.layer })),
          Layer.provide(request),
          Layer.provide(scripted(() => [text(name), finish()]).layer)
        )
      const answers = yield* Effect.gen(function*() {
        return [yield* Effect.provide(ask("x"), over("one")), yield* Effect.provide(ask("x"), over("two"))]
      })
      assert.deepStrictEqual(answers, ["one", "two"])
    }))

  it.effect("nests: a cached model beneath a model of requests draws from its own model", () =>
    Effect.gen(function*() {
      const provider = scripted()
      const answers = yield* Effect.provide(
        Effect.all([ask("x"), ask("x")]),
        cached(
          CachedModel.layer().pipe(
            Layer.provide(Persistent.layer({ store: MemoryStore.layer })),
            Layer.provide(RequestModel.layer(identity)),
            Layer.provide(provider.layer)
          )
        )
      )
      assert.deepStrictEqual(answers, ["answer 0", "answer 0"])
      assert.strictEqual(provider.requests.length, 1)
    }))

  it.effect("does not record an answer that reports an error", () =>
    Effect.gen(function*() {
      const provider = scripted((_, i) => i === 0 ? [text("half"), finish("error")] : [text("whole"), finish()])
      const [error, answer] = yield* Effect.provide(
        Effect.all([Effect.flip(ask("x")), ask("x")]),
        cached(provider.layer)
      )
      assert.strictEqual(error.reason._tag, "InternalProviderError")
      assert.strictEqual(answer, "whole")
    }))

  it.effect("records a whole answer without a finish part", () =>
    Effect.gen(function*() {
      const provider = scripted(() => [text("bare")])
      assert.deepStrictEqual(
        yield* Effect.provide(Effect.all([ask("x"), ask("x")]), cached(provider.layer)),
        ["bare", "bare"]
      )
      assert.strictEqual(provider.requests.length, 1)
    }))

  it.effect("keeps 50 turns of 0.5 kB each way in less than 1.5 MB", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const provider = scripted(() => [text("a".repeat(500)), finish()])
      yield* Effect.gen(function*() {
        const chat = yield* Chat.empty
        for (let i = 0; i < 50; i++) yield* chat.generateText({ prompt: "q".repeat(500) })
      }).pipe(Effect.provide(cached(provider.layer, { store })))
      const sizes = [
        ...(yield* keysOf(store)).map(({ prompt }) => prompt.length),
        ...(yield* samplesOf(store)).map(({ text }) => text.length)
      ]
      assert.isBelow(sizes.reduce((sum, size) => sum + size, 0), 1_500_000)
    }))

  it.effect("keeps no headers of responses, which may hold secrets", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const response = { status: 200, headers: { "set-cookie": "secret" } }
      const parts = [{ ...finish(), response }]
      const provider = scripted(() => [text("a"), ...parts], () => Stream.fromIterable(parts))
      yield* Effect.provide(ask("x"), cached(provider.layer, { store }))
      yield* Effect.provide(
        Stream.runDrain(LanguageModel.streamText({ prompt: "y" })),
        cached(provider.layer, { store })
      )
      const samples = yield* samplesOf(store)
      assert.strictEqual(samples.length, 2)
      assert.notInclude(JSON.stringify(samples), "secret")
    }))
})
