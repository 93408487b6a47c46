import { CachedEmbeddings, CachedModel, CacheErrors, RequestModel, TextModel } from "@llm-cache/ai"
import {
  Attempt,
  DirectoryStore,
  Estimate,
  Independent,
  type IndependentModel,
  LlmModel,
  Persistent,
  type RepeatableModel,
  type SampleError
} from "@llm-cache/core"
import { OpenAi } from "@llm-cache/providers"
import * as ChatCompletionsModel from "@llm-cache/providers/ChatCompletionsModel"
import { Effect, Layer, Schema, type Stream } from "effect"
import { type AiError, Chat, type EmbeddingModel, LanguageModel, type Response, Tool, Toolkit } from "effect/ai"
import type { HttpClient } from "effect/http"
import { describe, expect, it } from "tstyche"

declare const run: <A, E>(program: Effect.Effect<A, E>) => void

declare const provider: Layer.Layer<LanguageModel.LanguageModel>

const cache = Persistent.layer({ directory: "cache" })
const requests = RequestModel.layer({ model: "gpt-4o", temperature: 0.7 })

const model = CachedModel.layer({ config: [ChatCompletionsModel.Config] }).pipe(
  Layer.provideMerge(cache),
  Layer.provide(requests),
  Layer.provide(provider)
)

const Person = Schema.Struct({ name: Schema.String, born: Schema.Int })

const object = LanguageModel.generateObject({ prompt: "Ada?", schema: Person })

const toolkit = Toolkit.make(Tool.make("weather", {
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.Int
}))

const agent = Effect.gen(function*() {
  const chat = yield* Chat.empty
  const { toolResults } = yield* chat.generateText({ prompt: "Weather?", toolkit })
  const { value } = yield* chat.generateObject({ prompt: "Who?", schema: Person })
  return { born: value.born, results: toolResults.length }
}).pipe(Effect.provide(toolkit.toLayer({ weather: ({ city }) => Effect.succeed(city.length) })))

describe("The stack", () => {
  it("provides the LanguageModel of the program, and the LlmModel for its attempts and forks", () => {
    expect(model).type.toBe<
      Layer.Layer<
        LanguageModel.LanguageModel | LlmModel.LlmModel | RepeatableModel.RepeatableModel,
        SampleError.InvalidInput | SampleError.StoreError
      >
    >()
  })

  it("has one value for the identity and the provider, and needs only an HTTP client", () => {
    const from = RequestModel.from(
      (options) => ChatCompletionsModel.layer({ vendor: OpenAi, ...options }),
      { model: "gpt-4o", config: { temperature: 0.7, max_tokens: 500 } }
    )
    expect(from).type.toBe<Layer.Layer<LlmModel.LlmModel, SampleError.InvalidInput, HttpClient.HttpClient>>()
    expect(RequestModel.from).type.not.toBeCallableWith(
      (options: ChatCompletionsModel.Options) => ChatCompletionsModel.layer(options),
      { model: "gpt-4o", config: { temperature: "hot" } }
    )
    expect(RequestModel.from).type.not.toBeCallableWith(() => provider, {
      model: "gpt-4o",
      temperature: 0.7,
      config: {}
    })
  })

  it("needs no provider in replication", () => {
    const replica = CachedModel.layer().pipe(
      Layer.provideMerge(Persistent.layerReplication({
        directory: "cache",
        ...RequestModel.identity({ model: "gpt-4o", temperature: 0.7 })
      }))
    )
    expect(run).type.toBeCallableWith(Effect.provide(agent, replica))
    expect(RequestModel.identity).type.toBeCallableWith({
      model: "gpt-4o",
      config: { temperature: 0.7, max_tokens: 5 }
    })
    expect(RequestModel.identity).type.not.toBeCallableWith({ model: "gpt-4o", config: { temperature: "hot" } })
  })

  it("stacks with Independent", () => {
    const stack = LlmModel.stack(Independent.layer, cache, requests)
    expect(CachedModel.layer().pipe(Layer.provideMerge(stack), Layer.provide(provider))).type.toBe<
      Layer.Layer<
        | LanguageModel.LanguageModel
        | LlmModel.LlmModel
        | IndependentModel.IndependentModel
        | RepeatableModel.RepeatableModel,
        SampleError.InvalidInput | SampleError.StoreError
      >
    >()
  })
})

describe("Programs", () => {
  it("infer their values, errors and services through attempts, estimates and the stack", () => {
    const retried = object.pipe(
      Attempt.retry({ times: 5 }),
      Effect.map(({ value }) => value.value),
      Effect.provide(Independent.layer),
      Effect.provide(model)
    )
    expect(retried).type.toBe<
      Effect.Effect<
        { readonly name: string; readonly born: number },
        | AiError.AiError
        | Attempt.AttemptsExhausted<AiError.AiError>
        | SampleError.InvalidInput
        | SampleError.StoreError
      >
    >()
    expect(agent).type.toBe<
      Effect.Effect<
        { born: number; results: number },
        Effect.Error<typeof agent>,
        LanguageModel.LanguageModel
      >
    >()
    const estimate = Estimate.passAtK({ sample: agent, n: 10, k: [1, 5], check: ({ born }) => born === 1815 })
    expect<Effect.Success<typeof estimate>>().type.toBe<[number, number]>()
    expect<Effect.Services<typeof estimate>>().type.toBe<
      IndependentModel.IndependentModel | LanguageModel.LanguageModel
    >()
    expect(run).type.toBeCallableWith(estimate.pipe(Effect.provide(Independent.layer), Effect.provide(model)))
  })

  it("get the errors of sampling by their tags, in effects and in streams", () => {
    const text = Effect.map(LanguageModel.generateText({ prompt: "Hello" }), ({ text }) => text)
    expect(CacheErrors.expose(text)).type.toBe<
      Effect.Effect<string, AiError.AiError | SampleError.SampleError, LanguageModel.LanguageModel>
    >()
    expect(CacheErrors.expose(LanguageModel.streamText({ prompt: "Hello" }))).type.toBe<
      Stream.Stream<Response.StreamPart<{}>, AiError.AiError | SampleError.SampleError, LanguageModel.LanguageModel>
    >()
    expect(
      Effect.catchTag(CacheErrors.expose(text), "ReplicationCacheMiss", ({ position }) => Effect.succeed(position))
    )
      .type.toBe<
      Effect.Effect<
        string | number,
        AiError.AiError | Exclude<SampleError.SampleError, SampleError.ReplicationCacheMiss>,
        LanguageModel.LanguageModel
      >
    >()
  })
})

describe("A missing layer", () => {
  it("is named in the error of the compiler", () => {
    // @effect-diagnostics missingEffectContext:off
    // @ts-expect-error Type 'LanguageModel' is not assignable to type 'never'
    run(agent.pipe(Effect.provide(Layer.provide(Layer.provideMerge(CachedModel.layer(), cache), requests))))
    // @ts-expect-error Type 'LlmModel' is not assignable to type 'never'
    run(agent.pipe(Effect.provide(Layer.provideMerge(CachedModel.layer(), cache))))
    // @ts-expect-error Type 'LlmModel' is not assignable to type 'never'
    run(agent.pipe(Effect.provide(CachedModel.layer())))
    // @ts-expect-error Type 'LanguageModel' is not assignable to type 'never'
    run(agent.pipe(Effect.provide(cache.pipe(Layer.provide(requests), Layer.provide(provider)))))
    // @ts-expect-error Type 'IndependentModel' is not assignable to type 'never'
    run(object.pipe(Attempt.retry({ times: 5 }), Effect.provide(model)))
    // @ts-expect-error Type 'IndependentModel' is not assignable to type 'never'
    run(Estimate.passAtK({ sample: agent, n: 1, k: 1, check: () => true }).pipe(Effect.provide(model)))
    // @effect-diagnostics missingEffectContext:error
  })

  it("is an error if the program keeps the LlmModel from its attempts", () => {
    const hidden = CachedModel.layer().pipe(Layer.provide(cache), Layer.provide(requests), Layer.provide(provider))
    const retried = object.pipe(Attempt.retry({ times: 5 }), Effect.provide(Independent.layer))
    expect(run).type.not.toBeCallableWith(Effect.provide(retried, hidden))
    expect(run).type.toBeCallableWith(Effect.provide(agent, hidden))
  })
})

describe("CachedModel.layer", () => {
  it("takes services of settings, and no other option", () => {
    expect(CachedModel.layer).type.toBeCallableWith({ config: [ChatCompletionsModel.Config], live: false })
    expect(CachedModel.layer).type.not.toBeCallableWith({ config: ["Config"] })
    expect(CachedModel.layer).type.not.toBeCallableWith({ whenAbandoned: "wait" })
    expect(CachedModel.layer).type.not.toBeCallableWith({ forktools: true })
  })
})

describe("The other models", () => {
  it("have the layers of their places", () => {
    expect(Layer.provide(TextModel.layer({ model: "gpt-4o" }), provider)).type.toBe<
      Layer.Layer<LlmModel.LlmModel, SampleError.InvalidInput>
    >()
    expect(Layer.provide(CachedEmbeddings.layerReplication({ model: "e" }), DirectoryStore.layer("cache"))).type.toBe<
      Layer.Layer<EmbeddingModel.EmbeddingModel, SampleError.InvalidInput | SampleError.StoreError>
    >()
  })
})
