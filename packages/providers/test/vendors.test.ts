import { assert, describe, it } from "@effect/vitest"
import { Events, LlmModel } from "@llm-cache/core"
import {
  Ai302,
  Anthropic,
  CloseAi,
  DeepSeek,
  FireworksAi,
  Groq,
  Mistral,
  Ollama,
  OpenAi,
  OpenAiCompatible,
  OpenRouter,
  Together,
  Xmcp
} from "@llm-cache/providers"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { noRequests, sentTo } from "./support/clients.ts"
import { invalidInputOf, reasonOf } from "./support/model.ts"
import { makeServer } from "./support/server.ts"

describe("a vendor", () => {
  const vendors = [
    ["302.ai", Ai302, "https://api.302.ai/v1/chat/completions", "AI302_API_KEY"],
    ["CloseAI", CloseAi, "https://api.openai-proxy.org/v1/chat/completions", "CLOSEAI_API_KEY"],
    ["Fireworks AI", FireworksAi, "https://api.fireworks.ai/inference/v1/chat/completions", "FIREWORKS_API_KEY"],
    ["XMCP", Xmcp, "https://llm.xmcp.ltd/chat/completions", "XMCP_API_KEY"],
    ["OpenAI", OpenAi, "https://api.openai.com/v1/chat/completions", "OPENAI_API_KEY"],
    ["OpenRouter", OpenRouter, "https://openrouter.ai/api/v1/chat/completions", "OPENROUTER_API_KEY"],
    ["DeepSeek", DeepSeek, "https://api.deepseek.com/chat/completions", "DEEPSEEK_API_KEY"],
    ["Together AI", Together, "https://api.together.ai/v1/chat/completions", "TOGETHER_API_KEY"],
    ["Groq", Groq, "https://api.groq.com/openai/v1/chat/completions", "GROQ_API_KEY"],
    ["Mistral", Mistral, "https://api.mistral.ai/v1/chat/completions", "MISTRAL_API_KEY"]
  ] as const

  const sizes: ReadonlyArray<[string, typeof OpenAi, asked: number, requests: ReadonlyArray<number>]> = [
    ["OpenAI", OpenAi, 200, [100, 100]],
    ["OpenRouter", OpenRouter, 200, [200]],
    ["DeepSeek", DeepSeek, 3, [1, 1, 1]],
    ["Together AI", Together, 200, [100, 100]],
    ["Groq", Groq, 3, [1, 1, 1]],
    ["Mistral", Mistral, 200, [200]]
  ]
  it.effect.each(sizes)(
    "asks for as many samples per request as the vendor gives: %s",
    ([, { layer }, n, requests]) =>
      Effect.gen(function*() {
        const server = yield* makeServer()
        yield* LlmModel.sampleMany("p", n).pipe(
          Effect.provide(layer({ model: "m", apiKey: Redacted.make("sk") })),
          Effect.provide(sentTo(server.url, FetchHttpClient.layer))
        )
        assert.deepStrictEqual(server.received.map(({ body }) => body.n ?? 1), requests)
      })
  )

  it.effect.each(vendors)(
    "sends to its path with its key: %s",
    ([name, { layer }, url, key]) =>
      Effect.gen(function*() {
        const server = yield* makeServer()
        const run = (options: Partial<OpenAiCompatible.VendorOptions>, variables: Record<string, string>) =>
          LlmModel.sampleOne("p").pipe(
            Effect.provide(layer({ model: "m", temperature: 1, alias: "a", ...options })),
            Effect.provide(sentTo(server.url, FetchHttpClient.layer)),
            Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables)))
          )
        yield* run({}, { [key]: "sk-vendor" })
        yield* run({ apiKey: Redacted.make("sk-given") }, { [key]: "sk-vendor" })
        assert.deepStrictEqual(server.received.map(({ headers, path }) => [path, headers.authorization]), [
          [new URL(url).pathname, "Bearer sk-vendor"],
          [new URL(url).pathname, "Bearer sk-given"]
        ])
        const missing = yield* Effect.flip(run({}, {}))
        assert.include(reasonOf(missing, "BadKey").description, key)
        assert.include(missing.message, `${name} (m)`)
        assert.lengthOf(server.received, 2)
      })
  )

  it.effect.each(vendors)("makes a model without a layer, too: %s", ([, { make }, url, key]) =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const model = yield* make({ model: "m", temperature: 1, alias: "a" }).pipe(
        Effect.provide(sentTo(server.url, FetchHttpClient.layer)),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({ [key]: "sk-vendor" })))
      )
      assert.strictEqual(model.identity.name, "a")
      yield* Effect.provideService(LlmModel.sampleOne("p"), LlmModel.LlmModel, model)
      assert.deepStrictEqual(server.received.map(({ headers, path }) => [path, headers.authorization]), [
        [new URL(url).pathname, "Bearer sk-vendor"]
      ])
    }))

  it.effect("asks for at most the `maxBatch` of the options", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const sent = sentTo(server.url, FetchHttpClient.layer)
      for (const { layer } of [OpenAi, OpenRouter]) {
        yield* LlmModel.sampleMany("p", 4).pipe(
          Effect.provide(layer({ model: "m", apiKey: Redacted.make("sk"), maxBatch: 2 }).pipe(Layer.provide(sent)))
        )
      }
      assert.deepStrictEqual(server.received.map(({ body }) => body.n ?? 1), [2, 2, 2, 2])
    }))

  const apiKey = Redacted.make("sk")
  const ids: ReadonlyArray<[string, ReturnType<typeof OpenAi.make>]> = [
    ["302.ai", Ai302.make({ model: "m", apiKey })],
    ["anthropic", Anthropic.make({ model: "m", apiKey, parameters: { max_tokens: 1 } })],
    ["closeai", CloseAi.make({ model: "m", apiKey })],
    ["deepseek", DeepSeek.make({ model: "m", apiKey })],
    ["fireworks", FireworksAi.make({ model: "m", apiKey })],
    ["groq", Groq.make({ model: "m", apiKey })],
    ["mistral_ai", Mistral.make({ model: "m", apiKey })],
    ["ollama", Ollama.make({ model: "m", apiKey })],
    ["openai", OpenAi.make({ model: "m", apiKey })],
    ["openrouter", OpenRouter.make({ model: "m", apiKey })],
    ["together", Together.make({ model: "m", apiKey })],
    ["xmcp", Xmcp.make({ model: "m", apiKey })],
    ["127.0.0.1", OpenAiCompatible.make({ baseUrl: "http://127.0.0.1:1/v1", apiKey, model: "m" })]
  ]
  it.effect.each(ids)(
    "has a name for spans and metrics: %s",
    ([id, make]) =>
      Effect.gen(function*() {
        const model = yield* Effect.provide(make, noRequests)
        const told: Array<unknown> = []
        yield* Events.listen((event) => told.push("provider" in event && [event._tag, event.provider, event.model]))
        yield* Effect.exit(Effect.provideService(LlmModel.sampleOne("p"), LlmModel.LlmModel, model))
        assert.deepStrictEqual(told, [["RequestSent", id, "m"], ["RequestFailed", id, "m"]])
      }).pipe(Effect.provide(Events.layer))
  )

  it.effect.each(vendors)("sends to its own host: %s", ([, { layer }, url]) =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const client = Layer.succeed(
        HttpClient.HttpClient,
        HttpClient.make((_, url) => Effect.die(asked.push(url.href)))
      )
      yield* LlmModel.sampleOne("p").pipe(
        Effect.provide(layer({ model: "m", apiKey: Redacted.make("sk") }).pipe(Layer.provide(client))),
        Effect.exit
      )
      assert.deepStrictEqual(asked, [url])
    }))
})

describe("a vendor of the user's", () => {
  const facts = { name: "Example", baseUrl: "https://api.example.com/v1/", keyVariable: "EXAMPLE_API_KEY" }
  const variables = (record: Record<string, string>) => ConfigProvider.layer(ConfigProvider.fromEnvRecord(record))

  it.effect("sends to its URL with the key in its variable", () =>
    Effect.gen(function*() {
      const asked: Array<unknown> = []
      const client = HttpClient.make(({ headers }, url) => Effect.die(asked.push(url.href, headers["authorization"])))
      yield* LlmModel.sampleOne("p").pipe(
        Effect.provide(OpenAiCompatible.vendor(facts).layer({ model: "m" })),
        Effect.provideService(HttpClient.HttpClient, client),
        Effect.provide(variables({ EXAMPLE_API_KEY: "sk-example" })),
        Effect.exit
      )
      assert.deepStrictEqual(asked, ["https://api.example.com/v1/chat/completions", "Bearer sk-example"])
    }))

  it.effect("names itself and its variable if the key is missing", () =>
    Effect.gen(function*() {
      const error = yield* LlmModel.sampleOne("p").pipe(
        Effect.provide(OpenAiCompatible.vendor(facts).layer({ model: "m" })),
        Effect.provide(noRequests),
        Effect.provide(variables({})),
        Effect.flip
      )
      assert.include(error.message, "Example (m)")
      assert.include(reasonOf(error, "BadKey").description, "EXAMPLE_API_KEY")
    }))

  it.effect("asks for at most its own `maxBatch`, and for less if the options say so", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const vendor = OpenAiCompatible.vendor({ ...facts, maxBatch: 2 })
      for (const maxBatch of [undefined, 1]) {
        yield* LlmModel.sampleMany("p", 4).pipe(
          Effect.provide(vendor.layer({ model: "m", apiKey: Redacted.make("sk"), maxBatch })),
          Effect.provide(sentTo(server.url, FetchHttpClient.layer))
        )
      }
      assert.deepStrictEqual(server.received.map(({ body }) => body.n ?? 1), [2, 2, 1, 1, 1, 1])
    }))

  it.effect("is called by its host in spans and metrics unless it has a `telemetryName`", () =>
    Effect.gen(function*() {
      const told: Array<unknown> = []
      yield* Events.listen((event) => told.push("provider" in event && event.provider))
      for (const telemetryName of [undefined, "example"]) {
        const model = yield* OpenAiCompatible.vendor({ ...facts, telemetryName }).make({
          model: "m",
          apiKey: Redacted.make("sk")
        })
        yield* Effect.exit(Effect.provideService(LlmModel.sampleOne("p"), LlmModel.LlmModel, model))
      }
      assert.deepStrictEqual(told, ["api.example.com", "api.example.com", "example", "example"])
    }).pipe(Effect.provide(noRequests), Effect.provide(Events.layer)))

  it.effect("rejects a base URL that is not one of http", () =>
    Effect.gen(function*() {
      const { make } = OpenAiCompatible.vendor({ ...facts, baseUrl: "api.example.com" })
      const error = yield* Effect.flip(Effect.provide(make({ model: "m" }), noRequests))
      assert.include(invalidInputOf(error), "`baseUrl`")
    }))
})
