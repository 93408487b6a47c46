import { LlmModel, type SampleError } from "@llm-cache/core"
import {
  Ai302,
  Anthropic,
  CloseAi,
  DeepSeek,
  FireworksAi,
  Groq,
  HttpProvider,
  Limits,
  Mistral,
  Ollama,
  OpenAi,
  OpenAiCompatible,
  OpenRouter,
  Together,
  Xmcp
} from "@llm-cache/providers"
import { Config, Effect, type Layer, Redacted, Schedule, Schema } from "effect"
import { FetchHttpClient, type HttpClient } from "effect/http"
import { describe, expect, it } from "tstyche"

const options = { baseUrl: "http://127.0.0.1:1", apiKey: Redacted.make("sk"), model: "m", temperature: 1 }

describe("OpenAiCompatible", () => {
  it("is a model that needs an HTTP client", () => {
    expect(OpenAiCompatible.layer(options)).type.toBe<
      Layer.Layer<LlmModel.LlmModel, SampleError.InvalidInput, HttpClient.HttpClient>
    >()
    expect(OpenAiCompatible.layerConfig()).type.toBe<
      Layer.Layer<LlmModel.LlmModel, SampleError.InvalidInput | Config.ConfigError, HttpClient.HttpClient>
    >()
    expect(
      LlmModel.sampleOne("p").pipe(
        Effect.provide(OpenAiCompatible.layer(options)),
        Effect.provide(FetchHttpClient.layer)
      )
    ).type.toBe<Effect.Effect<string, SampleError.SampleError>>()
  })

  it("takes only redacted keys, and configurations of them", () => {
    expect(OpenAiCompatible.layer).type.toBeCallableWith({ ...options, apiKey: Config.Redacted("KEY") })
    expect(OpenAiCompatible.layer).type.not.toBeCallableWith({ ...options, apiKey: Config.String("KEY") })
    expect(OpenAi.layer).type.toBeCallableWith({ model: "m", apiKey: Config.Redacted("KEY") })
    expect(OpenAi.layer).type.not.toBeCallableWith({ model: "m", apiKey: "sk" })
    expect(Ollama.layer).type.toBeCallableWith({ model: "m", apiKey: Config.Redacted("KEY") })
    expect(OpenAiCompatible.layer).type.not.toBeCallableWith({ ...options, apiKey: "sk" })
    expect(OpenAiCompatible.layerConfig).type.not.toBeCallableWith({ apiKey: "sk" })
    expect(OpenAiCompatible.layerConfig).type.not.toBeCallableWith({ apiKey: Config.String("KEY") })
    expect(OpenAiCompatible.layerConfig).type.toBeCallableWith({ apiKey: Config.Redacted("KEY") })
  })

  it("takes a schedule of errors without requirements and failures", () => {
    expect(OpenAiCompatible.layer).type.toBeCallableWith({ ...options, retry: Schedule.recurs(0) })
    const failing = Schedule.recurs(1).pipe(Schedule.tap(() => Effect.fail("no")))
    expect(OpenAiCompatible.layer).type.not.toBeCallableWith({ ...options, retry: failing })
  })

  it("takes headers and a query of texts and secrets, and fields of a request that JSON can hold", () => {
    expect(OpenAiCompatible.layer).type.toBeCallableWith({
      ...options,
      headers: { "api-key": Redacted.make("sk"), "x-title": "mine", authorization: undefined },
      query: { "api-version": "2024-10-21" },
      request: { user: "me", metadata: { run: 1 } }
    })
    expect(OpenAiCompatible.layer).type.not.toBeCallableWith({ ...options, headers: { a: 1 } })
    expect(OpenAiCompatible.layer).type.not.toBeCallableWith({ ...options, request: { a: () => 1 } })
  })

  it("takes sampling parameters only in `parameters`", () => {
    expect(OpenAiCompatible.layer).type.not.toBeCallableWith({ ...options, max_tokens: 100 })
    expect(OpenAi.layer).type.not.toBeCallableWith({ model: "m", top_p: 0.9 })
  })

  it("takes only parameters that JSON can hold", () => {
    expect(OpenAiCompatible.layer).type.toBeCallableWith({ ...options, parameters: { stop: ["\n"], top_p: 0.9 } })
    expect(OpenAiCompatible.layer).type.not.toBeCallableWith({ ...options, parameters: { stop: () => "\n" } })
  })
})

describe("a vendor", () => {
  it("is a model that needs an HTTP client, and no URL or key in code", () => {
    for (
      const { layer } of [Ai302, CloseAi, DeepSeek, FireworksAi, Groq, Mistral, OpenAi, OpenRouter, Together, Xmcp]
    ) {
      expect(layer({ model: "m" })).type.toBe<
        Layer.Layer<LlmModel.LlmModel, SampleError.InvalidInput, HttpClient.HttpClient>
      >()
      expect(layer).type.not.toBeCallableWith({})
      expect(layer).type.not.toBeCallableWith({ model: "m", baseUrl: "http://127.0.0.1:1" })
    }
  })
})

describe("vendor", () => {
  it("makes a vendor like those of the package from its facts", () => {
    const facts = { name: "Example", baseUrl: "https://api.example.com/v1", keyVariable: "EXAMPLE_API_KEY" }
    expect(OpenAiCompatible.vendor(facts)).type.toBe<typeof OpenAi>()
    expect(OpenAiCompatible.vendor).type.toBeCallableWith({ ...facts, maxBatch: 1, telemetryName: "example" })
    expect(OpenAiCompatible.vendor).type.not.toBeCallableWith({ name: "Example", baseUrl: facts.baseUrl })
  })
})

describe("Ollama", () => {
  it("is a model that needs an HTTP client, and no URL or key in code", () => {
    expect(Ollama.layer({ model: "m" })).type.toBe<
      Layer.Layer<LlmModel.LlmModel, SampleError.InvalidInput, HttpClient.HttpClient>
    >()
    expect(Ollama.layer).type.not.toBeCallableWith({ model: "m", maxBatch: 2 })
  })
})

describe("HttpProvider", () => {
  const own = {
    url: "http://127.0.0.1:1",
    model: "m",
    request: ({ prompt }: { readonly prompt: string }) => ({ prompt })
  }

  it("is a model that needs an HTTP client", () => {
    expect(HttpProvider.layer({ ...own, decode: () => ["a"] })).type.toBe<
      Layer.Layer<LlmModel.LlmModel, SampleError.InvalidInput, HttpClient.HttpClient>
    >()
  })

  it("decodes what is unknown to samples, by a function or an effect without requirements", () => {
    expect(HttpProvider.layer).type.toBeCallableWith({ ...own, decode: () => ({ samples: [{ text: "a" }] }) })
    expect(HttpProvider.layer).type.toBeCallableWith({
      ...own,
      decode: Schema.decodeUnknownEffect(Schema.Array(Schema.String))
    })
    expect(HttpProvider.layer).type.not.toBeCallableWith({ ...own, decode: () => "a" })
    expect(HttpProvider.layer).type.not.toBeCallableWith({ ...own, decode: () => Effect.succeed([7]) })
    expect(HttpProvider.layer).type.not.toBeCallableWith({ ...own, decode: () => LlmModel.sampleMany("p", 2) })
    expect(HttpProvider.layer).type.not.toBeCallableWith(own)
  })
})

describe("Anthropic", () => {
  it("is a model that needs an HTTP client, and requires `max_tokens`", () => {
    expect(Anthropic.layer({ model: "m", parameters: { max_tokens: 1 } })).type.toBe<
      Layer.Layer<LlmModel.LlmModel, SampleError.InvalidInput, HttpClient.HttpClient>
    >()
    expect(Anthropic.layer).type.toBeCallableWith({
      model: "m",
      parameters: { max_tokens: 1 },
      apiKey: Config.Redacted("KEY")
    })
    expect(Anthropic.layer).type.not.toBeCallableWith({ model: "m" })
    expect(Anthropic.layer).type.not.toBeCallableWith({ model: "m", parameters: { top_p: 1 } })
    expect(Anthropic.layer).type.not.toBeCallableWith({ model: "m", parameters: { max_tokens: 1 }, maxBatch: 2 })
  })
})

describe("Limits", () => {
  it("are a layer that needs nothing", () => {
    expect(Limits.layer({ inFlight: 1 })).type.toBe<Layer.Layer<Limits.Limits, SampleError.InvalidInput>>()
  })
})
