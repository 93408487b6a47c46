import type { SampleError } from "@llm-cache/core"
import { OpenAi } from "@llm-cache/providers"
import * as ChatCompletionsModel from "@llm-cache/providers/ChatCompletionsModel"
import { type Config, Effect, Layer, type Redacted } from "effect"
import { type AiError, LanguageModel } from "effect/ai"
import { FetchHttpClient, type HttpClient } from "effect/http"
import { describe, expect, it } from "tstyche"

declare const apiKey: Redacted.Redacted

describe("ChatCompletionsModel", () => {
  it("needs a vendor, or a URL and a key", () => {
    expect(ChatCompletionsModel.layer).type.toBeCallableWith({ vendor: OpenAi, model: "m" })
    expect(ChatCompletionsModel.layer).type.toBeCallableWith({ vendor: OpenAi, apiKey, model: "m" })
    expect(ChatCompletionsModel.layer).type.toBeCallableWith({ baseUrl: "http://127.0.0.1", apiKey, model: "m" })
    expect(ChatCompletionsModel.layer).type.not.toBeCallableWith({ model: "m" })
    expect(ChatCompletionsModel.layer).type.not.toBeCallableWith({ vendor: OpenAi })
    expect(ChatCompletionsModel.layer).type.not.toBeCallableWith({ baseUrl: "http://127.0.0.1", model: "m" })
    expect(ChatCompletionsModel.layer).type.not.toBeCallableWith({
      vendor: OpenAi,
      baseUrl: "http://127.0.0.1",
      apiKey,
      model: "m"
    })
    expect(ChatCompletionsModel.layer).type.not.toBeCallableWith({ vendor: OpenAi, model: "m", max_tokens: 5 })
  })

  it("takes any field of a request, and the known ones by their types", () => {
    const vendor = OpenAi
    expect(ChatCompletionsModel.layer).type.toBeCallableWith({
      vendor,
      model: "m",
      config: { temperature: 1, any: [1] }
    })
    expect(ChatCompletionsModel.layer).type.not.toBeCallableWith({ vendor, model: "m", config: { temperature: "hot" } })
    expect(ChatCompletionsModel.layer).type.not.toBeCallableWith({ vendor, model: "m", config: { any: new Date() } })
  })

  it("provides a language model over an HTTP client", () => {
    const layer = ChatCompletionsModel.layer({ vendor: OpenAi, model: "m" })
    expect(layer).type.toBe<
      Layer.Layer<LanguageModel.LanguageModel, SampleError.InvalidInput, HttpClient.HttpClient>
    >()
    expect(ChatCompletionsModel.layerConfig()).type.toBe<
      Layer.Layer<LanguageModel.LanguageModel, SampleError.InvalidInput | Config.ConfigError, HttpClient.HttpClient>
    >()
    const program = LanguageModel.generateText({ prompt: "p" }).pipe(
      ChatCompletionsModel.withConfigOverride({ temperature: 0 }),
      Effect.map(({ text }) => text)
    )
    expect(Effect.provide(program, Layer.provide(layer, FetchHttpClient.layer))).type.toBe<
      Effect.Effect<string, AiError.AiError | SampleError.InvalidInput>
    >()
    expect(ChatCompletionsModel.withConfigOverride(program, { model: "other" })).type.toBe<
      Effect.Effect<string, AiError.AiError, LanguageModel.LanguageModel>
    >()
  })
})
