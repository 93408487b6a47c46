import { assert, describe, it } from "@effect/vitest"
import { CachedEmbeddings, CacheErrors } from "@llm-cache/ai"
import { Fork, Independent, LlmModel, MemoryStore, SampleStore } from "@llm-cache/core"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { AiError, EmbeddingModel, LanguageModel } from "effect/ai"
import { samplesOf } from "./support/listed.ts"
import { cached, replayed as replayedModel, scripted as scriptedModel } from "./support/scripted.ts"

const scripted = (embed: (input: string) => Array<number> = (input) => [input.length, 1 / 3]) => {
  const requests: Array<ReadonlyArray<string>> = []
  const layer = Layer.effect(
    EmbeddingModel.EmbeddingModel,
    EmbeddingModel.make({
      embedMany: ({ inputs }) =>
        Effect.sync(() => {
          requests.push(inputs)
          return { results: inputs.map(embed), usage: { inputTokens: 2 * inputs.length } }
        })
    })
  )
  return { layer, requests }
}

const options = { model: "embedder" }

const over = (
  provider: ReturnType<typeof scripted>,
  store: SampleStore.Store,
  fields: Partial<CachedEmbeddings.Options> = {}
) =>
  CachedEmbeddings.layer({ ...options, ...fields }).pipe(
    Layer.provide(Layer.succeed(SampleStore.SampleStore, store)),
    Layer.provide(provider.layer)
  )

const replayed = (store: SampleStore.Store) =>
  CachedEmbeddings.layerReplication(options).pipe(Layer.provide(Layer.succeed(SampleStore.SampleStore, store)))

const embedMany = (...inputs: ReadonlyArray<string>) =>
  Effect.flatMap(EmbeddingModel.EmbeddingModel, (model) => model.embedMany(inputs))

const embed = (input: string) => Effect.flatMap(EmbeddingModel.EmbeddingModel, (model) => model.embed(input))

describe("CachedEmbeddings", () => {
  it.effect("asks once for the missing inputs of a call, each once, and gives the bare model's vectors", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const provider = scripted()
      const program = Effect.gen(function*() {
        yield* embedMany("a")
        return yield* embedMany("a", "bb", "ccc", "bb")
      })
      const first = yield* Effect.provide(program, over(provider, store))
      assert.deepStrictEqual(provider.requests, [["a"], ["bb", "ccc"]])
      const bare = yield* Effect.provide(embedMany("a", "bb", "ccc", "bb"), scripted().layer)
      assert.deepStrictEqual(first.embeddings, bare.embeddings)
      assert.strictEqual(first.usage.inputTokens, 6)
      assert.deepStrictEqual(yield* Effect.provide(program, replayed(store)), first)
    }))

  it.effect("asks at once for the inputs of concurrent calls", () =>
    Effect.gen(function*() {
      const provider = scripted()
      yield* Effect.all([embed("a"), embed("bb"), embedMany("a", "ccc")], { concurrency: "unbounded" }).pipe(
        Effect.provide(over(provider, yield* MemoryStore.make))
      )
      const asked = provider.requests.flat()
      assert.sameMembers(asked, ["a", "bb", "ccc"])
      assert.isAtMost(provider.requests.length, 2)
    }))

  it.effect("has one vector for an input in all forks and under Independent", () =>
    Effect.gen(function*() {
      const provider = scripted()
      const textModel = LlmModel.layer({ model: "texts", generate: () => Effect.die("asked") })
      yield* Effect.all([Fork.fork(embed("a"), "x"), Fork.fork(embed("a"), "y"), embed("a")]).pipe(
        Effect.provide(Independent.layer),
        Effect.provide(textModel),
        Effect.provide(over(provider, yield* MemoryStore.make))
      )
      assert.deepStrictEqual(provider.requests, [["a"]])
    }))

  it.effect("keeps dimensions apart, and refuses vectors of another length", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const wide = scripted(() => [1, 2, 3])
      yield* Effect.provide(embed("a"), over(scripted(), store, { dimensions: 2 }))
      assert.deepStrictEqual(
        (yield* Effect.provide(embed("a"), over(wide, store, { dimensions: 3 }))).vector,
        [1, 2, 3]
      )
      const error = yield* Effect.flip(Effect.provide(embed("b"), over(wide, store, { dimensions: 2 })))
      assert.include(error.message, "a vector of 3 numbers, and `dimensions` is 2")
      assert.strictEqual((yield* samplesOf(store)).length, 2)
      const refused = yield* Effect.flip(Effect.provide(embed("b"), over(wide, store, { dimensions: 0 })))
      assert.strictEqual(refused._tag, "InvalidInput")
    }))

  it.effect("fails with a miss in replication, and with the provider's own error", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const error = yield* Effect.flip(Effect.provide(embed("a"), replayed(store)))
      assert.isTrue(CacheErrors.isMiss(error))
      const own = AiError.make({ module: "M", method: "m", reason: new AiError.RateLimitError({}) })
      const failing = Layer.effect(
        EmbeddingModel.EmbeddingModel,
        EmbeddingModel.make({ embedMany: () => Effect.fail(own) })
      )
      const failed = yield* Effect.flip(Effect.provide(embed("a"), over({ layer: failing, requests: [] }, store)))
      assert.strictEqual(failed, own)
      assert.deepStrictEqual(yield* samplesOf(store), [])
    }))

  it.effect("gives the others their vectors, and records all, if one caller of a request is interrupted", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const provider = scripted()
      const asked = yield* Deferred.make<void>()
      const answered = yield* Deferred.make<void>()
      const slow = Layer.effect(
        EmbeddingModel.EmbeddingModel,
        EmbeddingModel.make({
          embedMany: ({ inputs }) =>
            Effect.gen(function*() {
              provider.requests.push(inputs)
              yield* Deferred.succeed(asked, undefined)
              yield* Deferred.await(answered)
              return { results: inputs.map(({ length }) => [length]), usage: { inputTokens: 2 * inputs.length } }
            })
        })
      )
      yield* Effect.gen(function*() {
        const fibers = yield* Effect.forEach(["a", "bb", "ccc"], (input) => Effect.forkChild(embed(input)))
        yield* Deferred.await(asked)
        const left = yield* Effect.forkChild(Fiber.interrupt(fibers[0]!))
        for (let i = 0; i < 20; i++) yield* Effect.yieldNow
        yield* Deferred.succeed(answered, undefined)
        const [, second, third] = fibers
        assert.deepStrictEqual((yield* Fiber.join(second!)).vector, [2])
        assert.deepStrictEqual((yield* Fiber.join(third!)).vector, [3])
        yield* Fiber.join(left)
      }).pipe(Effect.provide(over({ layer: slow, requests: [] }, store)))
      assert.deepStrictEqual(provider.requests, [["a", "bb", "ccc"]])
      const again = yield* Effect.provide(embedMany("a", "bb", "ccc"), replayed(store))
      assert.deepStrictEqual(again.embeddings.map(({ vector }) => vector), [[1], [2], [3]])
    }))

  it.effect("refuses an input that no store can hold", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.provide(embed("\ud800"), over(scripted(), yield* MemoryStore.make)))
      assert.include(error.message, "lone surrogate")
    }))

  it.effect("sends nothing in the second run of a retrieval: neither a text to embed nor a request of the model", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const texts = ["a", "bb", "cccc", "dddddddd"]
      const nearest = Effect.gen(function*() {
        const { embeddings } = yield* embedMany(...texts)
        const { vector: [asked] } = yield* embed("eeeee")
        const distances = embeddings.map(({ vector }) => Math.abs(vector[0]! - asked!))
        const found = texts[distances.indexOf(Math.min(...distances))]!
        const { text } = yield* LanguageModel.generateText({ prompt: `Which? ${found}` })
        return [found, text]
      })
      const provider = scripted()
      const model = scriptedModel()
      const first = yield* nearest.pipe(
        Effect.provide(over(provider, store)),
        Effect.provide(cached(model.layer, { store }))
      )
      assert.deepStrictEqual(first, ["cccc", "answer 0"])
      const asked = [provider.requests.length, model.requests.length]
      const again = nearest.pipe(Effect.provide(over(provider, store)), Effect.provide(cached(model.layer, { store })))
      assert.deepStrictEqual(yield* again, first)
      assert.deepStrictEqual([provider.requests.length, model.requests.length], asked)
      const alone = nearest.pipe(Effect.provide(replayed(store)), Effect.provide(replayedModel(store)))
      assert.deepStrictEqual(yield* alone, first)
    }))
})
