import { assert, describe, it } from "@effect/vitest"
import { CacheErrors, TextModel } from "@llm-cache/ai"
import { InvalidInput, LlmModel, MemoryStore, Persistent, SampleError } from "@llm-cache/core"
import { Effect, Layer, Schema } from "effect"
import { AiError, LanguageModel } from "effect/ai"
import { FetchHttpClient, HttpEffect } from "effect/http"
import { Rpc, RpcClient, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { identity, replayed, scripted } from "./support/scripted.ts"

const Api = RpcGroup.make(
  Rpc.make("ask", { payload: { prompt: Schema.String }, success: Schema.String, error: AiError.AiError })
)

/** The error that a client gets from a server whose handler has this model. All goes over HTTP in this process. */
const errorOver = Effect.fnUntraced(function*<E>(model: Layer.Layer<LanguageModel.LanguageModel, E>, prompt = "x") {
  let original: AiError.AiError | undefined
  const handlers = Api.toLayer({
    ask: ({ prompt }) =>
      LanguageModel.generateText({ prompt }).pipe(
        Effect.map(({ text }) => text),
        Effect.tapError((error) => Effect.sync(() => original = error))
      )
  }).pipe(Layer.provide(model))
  const app = yield* RpcServer.toHttpEffect(Api).pipe(Effect.provide([handlers, RpcSerialization.layerNdjson]))
  const handler = HttpEffect.toWebHandler(app)
  const fetch: typeof globalThis.fetch = (input, init) => handler(new Request(input, init))
  const error = yield* Effect.flatMap(RpcClient.make(Api), (client) => client.ask({ prompt })).pipe(
    Effect.flip,
    Effect.provide(
      RpcClient.layerProtocolHttp({ url: "http://localhost/rpc" }).pipe(
        Layer.provide([FetchHttpClient.layer, RpcSerialization.layerNdjson])
      )
    ),
    Effect.provideService(FetchHttpClient.Fetch, fetch)
  )
  return { error, original: original! }
})

const unreadable = new SampleError.StoreError({
  kind: "Damaged",
  store: "memory",
  operation: "get",
  position: 3,
  description: "the sample has changed",
  cause: new Error("the password")
})

const overTexts = (error: SampleError.SampleError) =>
  TextModel.layerLanguageModel.pipe(
    Layer.provide(LlmModel.layer({ ...identity, generate: () => Effect.fail(error) }))
  )

const busy = new SampleError.ProviderError({
  provider: "acme",
  path: ["fork"],
  tries: 2,
  reason: new SampleError.RateLimited({ status: 429, retryAfter: "5 seconds" })
})

describe("an error of sampling that comes over RPC", () => {
  it.effect("is a miss with its fields, the identities of the store included", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      yield* LlmModel.sampleOne("y").pipe(
        Effect.provide(Persistent.layer({ store })),
        Effect.provide(LlmModel.layer({ model: "other", generate: () => Effect.succeed({ samples: ["text"] }) }))
      )
      const { error, original } = yield* errorOver(replayed(store))
      const miss = CacheErrors.fromAi(error)
      const first = CacheErrors.fromAi(original)
      assert(miss?._tag === "ReplicationCacheMiss" && first?._tag === "ReplicationCacheMiss")
      assert.isTrue(CacheErrors.isMiss(error))
      assert.notStrictEqual(miss, first)
      assert.strictEqual(miss.message, first.message)
      assert.include(miss.message, "other")
      assert.deepStrictEqual(miss.stored?.map(String), first.stored?.map(String))
      assert.deepStrictEqual([miss.identity.id, miss.position], [first.identity.id, 0])
      const explained = new SampleError.ReplicationCacheMiss(
        Object.assign({}, first, { explanation: "Because.", advice: "Do it." })
      )
      const again = CacheErrors.fromAi((yield* errorOver(overTexts(explained))).error)
      assert.deepInclude(again, { explanation: "Because.", advice: "Do it.", message: explained.message })
    }))

  it.effect("is a StoreError without its cause and its key", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const { error } = yield* errorOver(
        replayed({ ...store, get: () => Effect.fail(unreadable), getMany: () => Effect.fail(unreadable) })
      )
      const exposed = CacheErrors.fromAi(error)
      assert(exposed instanceof SampleError.StoreError)
      const { kind, operation, position, store: id } = exposed
      assert.deepStrictEqual([kind, operation, position, id], ["Damaged", "get", 3, "memory"])
      assert.strictEqual(exposed.message, unreadable.message)
      assert.notInclude(JSON.stringify(error), "password")
    }))

  it.effect("is a ProviderError by which retries wait as in the server", () =>
    Effect.gen(function*() {
      const { error } = yield* errorOver(overTexts(busy))
      assert(AiError.isAiError(error))
      assert.strictEqual(error.reason._tag, "RateLimitError")
      const exposed = CacheErrors.fromAi(error)
      assert(exposed instanceof SampleError.ProviderError)
      assert.deepStrictEqual([exposed.message, exposed.tries, exposed.path], [busy.message, 2, ["fork"]])
      assert.deepStrictEqual(exposed.retryAfter, busy.retryAfter)
      assert.instanceOf(exposed.reason, SampleError.RateLimited)
    }))

  it.effect("is an InvalidInput", () =>
    Effect.gen(function*() {
      const refused = new InvalidInput.InvalidInput({ module: "M", description: "wrong" })
      const { error } = yield* errorOver(overTexts(refused))
      assert.deepStrictEqual(CacheErrors.fromAi(error)?.message, refused.message)
      assert.instanceOf(CacheErrors.fromAi(error), InvalidInput.InvalidInput)
    }))

  it.effect("is nothing if the error is the provider's, or its fields are not those of an error", () =>
    Effect.gen(function*() {
      const reason = (fields: object) => new AiError.UnknownError({ metadata: { "@llm-cache": { ...fields } } })
      for (const fields of [{ _tag: "ReplicationCacheMiss" }, { _tag: "StoreError", kind: "Odd" }, {}]) {
        const own = AiError.make({ module: "M", method: "m", reason: reason(fields) })
        const { error } = yield* errorOver(scripted(() => Effect.fail(own)).layer)
        assert.isUndefined(CacheErrors.fromAi(error))
      }
    }))
})
