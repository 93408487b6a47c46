import { assert, describe, it } from "@effect/vitest"
import { Events, LlmModel, Persistent } from "@llm-cache/core"
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
import { Config, ConfigProvider, Effect, Layer, Redacted, Schedule, Tracer } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { clients, sentTo } from "./support/clients.ts"
import { makeDirectory } from "./support/directory.ts"
import { invalidInputOf, reasonOf, sampling } from "./support/model.ts"
import { makeServer } from "./support/server.ts"

const required = {
  baseUrl: "http://127.0.0.1:1/v1",
  apiKey: Redacted.make("sk-test"),
  model: "gpt-mock"
}

const noRequests = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make(() => Effect.die(new Error("a request was sent")))
)

const modelOf = <E>(layer: Layer.Layer<LlmModel.LlmModel, E, HttpClient.HttpClient>) =>
  Effect.provide(LlmModel.LlmModel, Layer.provide(layer, noRequests))

describe.each(clients)("over %s", (_, client) => {
  it.effect("a request has the model, the temperature, `n`, the messages and the parameters", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      yield* LlmModel.sampleMany("Grüße 𝒳\u2028\n", 3).pipe(
        sampling(client, server.url, {
          alias: "mock",
          temperature: 0.5,
          system: "Be brief.",
          parameters: { max_tokens: 100, top_p: 0.9, stop: ["\n"], logit_bias: undefined }
        })
      )
      const [{ body, headers, method, path }] = server.received as [typeof server.received[0]]
      assert.strictEqual(method, "POST")
      assert.strictEqual(path, "/v1/chat/completions")
      assert.deepStrictEqual(body, {
        model: "gpt-mock",
        temperature: 0.5,
        n: 3,
        messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "Grüße 𝒳\u2028\n" }],
        max_tokens: 100,
        top_p: 0.9,
        stop: ["\n"]
      })
      assert.strictEqual(headers.authorization, "Bearer sk-test")
      assert.match(headers["content-type"]!, /^application\/json/)
      assert.strictEqual(headers.accept, "application/json")
    }))

  it.effect("a temperature that is absent is not sent, and one of 0 is", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      yield* LlmModel.sampleOne("p").pipe(sampling(client, server.url, { temperature: undefined }))
      yield* LlmModel.sampleOne("p").pipe(sampling(client, server.url, { temperature: 0 }))
      assert.deepStrictEqual(server.received.map(({ body }) => body), [
        { model: "gpt-mock", n: 1, messages: [{ role: "user", content: "p" }] },
        { model: "gpt-mock", temperature: 0, n: 1, messages: [{ role: "user", content: "p" }] }
      ])
    }))

  it.effect("a request tells the server of its trace, where someone traces", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const parents = () => server.received.map(({ headers }) => headers["traceparent"])
      const draw = sampling(client, server.url)(LlmModel.sampleOne("p"))
      yield* draw
      assert.deepStrictEqual(parents(), [undefined])
      yield* Effect.withTracer(draw, tracer)
      assert.deepStrictEqual(spans.map(({ name }) => name), ["chat gpt-mock", "POST"])
      assert.include(parents()[1], spans[1]!.spanId)
      // one that is carried on
      yield* Effect.withParentSpan(draw, Tracer.externalSpan({ traceId: "a".repeat(32), spanId: "b".repeat(16) }))
      assert.include(parents()[2], "a".repeat(32))
      // one that the model brings along
      spans.length = 0
      const model = yield* LlmModel.LlmModel.pipe(sampling(client, server.url), Effect.withTracer(tracer))
      yield* Effect.exit(Effect.provideService(LlmModel.sampleOne("p"), LlmModel.LlmModel, model))
      assert.include(spans.map(({ name }) => name), "POST")
    }))
})

describe("the base URL", () => {
  it.effect("may end in slashes, and may have no path", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      for (const path of ["/a/v1", "/a/v1/", "/a/v1//", "", "/"]) {
        yield* LlmModel.sampleOne("p").pipe(
          sampling(FetchHttpClient.layer, server.url, { baseUrl: server.url + path })
        )
      }
      assert.deepStrictEqual(server.received.map(({ path }) => path), [
        "/a/v1/chat/completions",
        "/a/v1/chat/completions",
        "/a/v1/chat/completions",
        "/chat/completions",
        "/chat/completions"
      ])
    }))

  it.effect("is refused when the layer is built, unless it is one of http", () =>
    Effect.gen(function*() {
      for (
        const baseUrl of ["", "api.example.com/v1", "/v1", "localhost:8080", "ftp://a/v1", "file:///v1", "http://"]
      ) {
        const error = yield* Effect.flip(modelOf(OpenAiCompatible.layer({ ...required, baseUrl })))
        assert.include(invalidInputOf(error), "`baseUrl`")
      }
    }))
})

describe("parameters", () => {
  it.effect("that are options of their own are refused when the layer is built, with what to use instead", () =>
    Effect.gen(function*() {
      const instead = {
        model: "`model`",
        messages: "`system`",
        n: "`maxBatch`",
        temperature: "`temperature`",
        stream: "leave it out",
        system: "`system`"
      }
      for (const [name, hint] of Object.entries(instead)) {
        const error = yield* Effect.flip(modelOf(OpenAiCompatible.layer({ ...required, parameters: { [name]: 1 } })))
        const message = invalidInputOf(error)
        assert.include(message, `\`${name}\`: `)
        assert.include(message.split(": ")[2], hint)
      }
    }))

  it.effect("and other options that no request can be made with are refused when the layer is built", () =>
    Effect.gen(function*() {
      const options: ReadonlyArray<Partial<OpenAiCompatible.Options>> = [
        { parameters: { top_p: NaN } },
        { temperature: -1 },
        { maxBatch: 0 },
        { concurrency: 0 },
        { limits: { inFlight: 0 } },
        { timeout: 0 },
        { timeout: -5 },
        { timeout: NaN },
        { timeout: "soon" as "1 second" },
        { model: "" },
        { system: "\ud800" }
      ]
      for (const option of options) {
        invalidInputOf(yield* Effect.flip(modelOf(OpenAiCompatible.layer({ ...required, ...option }))))
      }
    }))
})

describe("the identity", () => {
  const identity = (options: Partial<OpenAiCompatible.Options>) =>
    Effect.map(modelOf(OpenAiCompatible.layer({ ...required, ...options })), (model) => model.identity)

  it.effect("is the model or its alias, the temperature and the parameters, the system text among them", () =>
    Effect.gen(function*() {
      const plain = yield* identity({})
      assert.deepInclude(plain, { name: "gpt-mock", temperature: undefined, parameters: "{}" })
      const full = yield* identity({
        alias: "mock",
        temperature: 1,
        system: "Be brief.",
        parameters: { top_p: 0.9, max_tokens: 100 }
      })
      assert.deepInclude(full, {
        name: "mock",
        temperature: 1,
        parameters: "{\"max_tokens\":100,\"system\":\"Be brief.\",\"top_p\":0.9}"
      })
    }))

  it.effect("has nothing of the server, the key or how requests are made", () =>
    Effect.gen(function*() {
      const plain = yield* identity({})
      const other = yield* identity({
        baseUrl: "https://elsewhere.example.com",
        apiKey: Redacted.make("sk-other"),
        maxBatch: 3,
        concurrency: 2,
        limits: { inFlight: 1 },
        timeout: "1 second",
        retry: Schedule.recurs(0)
      })
      assert.strictEqual(other.id, plain.id)
    }))

  it.effect("is what a replication without the provider names, `system` as a parameter", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const directory = yield* makeDirectory
      const recorded = yield* LlmModel.sampleMany("p", 2).pipe(
        Effect.provide(Persistent.layer({ directory })),
        sampling(FetchHttpClient.layer, server.url, { system: "Be brief.", parameters: { top_p: 0.9 } })
      )
      const replicated = yield* LlmModel.sampleMany("p", 2).pipe(
        Effect.provide(Persistent.layerReplication({
          directory,
          model: "gpt-mock",
          temperature: 1,
          parameters: { system: "Be brief.", top_p: 0.9 }
        }))
      )
      assert.deepStrictEqual(replicated, recorded)
    }))
})

describe("from configuration", () => {
  const configured = (variables: Record<string, string>) =>
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables)))

  it.effect("a model is wholly described by LLM_BASE_URL, LLM_API_KEY, LLM_MODEL and LLM_TEMPERATURE", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const variables = { LLM_BASE_URL: `${server.url}/v1`, LLM_API_KEY: "sk-1", LLM_MODEL: "gpt-env" }
      const run = (variables: Record<string, string>) =>
        LlmModel.sampleOne("p").pipe(
          Effect.provide(
            OpenAiCompatible.layerConfig().pipe(Layer.provide(FetchHttpClient.layer), configured(variables))
          )
        )
      yield* run(variables)
      yield* run({ ...variables, LLM_TEMPERATURE: "0.25" })
      yield* run({ ...variables, LLM_TEMPERATURE: "" })
      assert.deepStrictEqual(server.received.map(({ body }) => [body.model, body.temperature]), [
        ["gpt-env", undefined],
        ["gpt-env", 0.25],
        ["gpt-env", undefined]
      ])
      for (const { headers, path } of server.received) {
        assert.strictEqual(headers.authorization, "Bearer sk-1")
        assert.strictEqual(path, "/v1/chat/completions")
      }
    }))

  it.effect("what options give, as it is or as a Config, is taken instead", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const variables = {
        LLM_BASE_URL: "http://127.0.0.1:1",
        LLM_API_KEY: "wrong",
        LLM_MODEL: "wrong",
        LLM_TEMPERATURE: "2",
        MY_URL: server.url,
        MY_KEY: "sk-mine",
        MY_MODEL: "gpt-mine",
        MY_TEMPERATURE: "0.5"
      }
      const asConfig = OpenAiCompatible.layerConfig({
        baseUrl: Config.String("MY_URL"),
        apiKey: Config.Redacted("MY_KEY"),
        model: Config.String("MY_MODEL"),
        temperature: Config.Finite("MY_TEMPERATURE")
      })
      const asIs = OpenAiCompatible.layerConfig({
        baseUrl: server.url,
        apiKey: Redacted.make("sk-mine"),
        model: "gpt-mine",
        temperature: 0.5,
        system: "Be brief.",
        parameters: { top_p: 0.9 },
        maxBatch: 1
      })
      for (const layer of [asConfig, asIs]) {
        yield* LlmModel.sampleMany("p", 2).pipe(
          Effect.provide(layer.pipe(Layer.provide(FetchHttpClient.layer), configured(variables)))
        )
      }
      for (const { body, headers } of server.received) {
        assert.deepInclude(body, { model: "gpt-mine", temperature: 0.5 })
        assert.strictEqual(headers.authorization, "Bearer sk-mine")
      }
      assert.deepInclude(server.received.at(-1)!.body, { top_p: 0.9, n: 1 })
      assert.lengthOf(server.received.at(-1)!.body.messages, 2)
    }))

  it.effect("a missing or unreadable variable fails when the layer is built, and is named", () =>
    Effect.gen(function*() {
      const all = { LLM_BASE_URL: "http://127.0.0.1:1", LLM_MODEL: "m", LLM_TEMPERATURE: "1" }
      for (const [name, value] of [["LLM_BASE_URL", ""], ["LLM_MODEL", ""], ["LLM_TEMPERATURE", "hot"]] as const) {
        const error = yield* Effect.flip(
          modelOf(OpenAiCompatible.layerConfig().pipe(configured({ ...all, [name]: value })))
        )
        assert.instanceOf(error, Config.ConfigError)
        assert.include(String(error), name)
      }
    }))
})

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
    "is asked for as many samples at once as it gives: %s",
    ([, { layer }, n, requests]) =>
      Effect.gen(function*() {
        const server = yield* makeServer()
        yield* LlmModel.sampleMany("p", n).pipe(
          Effect.provide(layer({ model: "m", apiKey: Redacted.make("sk") })),
          Effect.provide(sentTo(server.url, FetchHttpClient.layer))
        )
        assert.deepStrictEqual(server.received.map(({ body }) => body.n), requests)
      })
  )

  it.effect.each(vendors)("has its path and its key: %s", ([name, { layer }, url, key]) =>
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
    }))

  it.effect.each(vendors)("is a model without a layer, too: %s", ([, { make }, url, key]) =>
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

  it.effect("is asked for no more samples at once than the program says, whatever it gives", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const sent = sentTo(server.url, FetchHttpClient.layer)
      for (const { layer } of [OpenAi, OpenRouter]) {
        yield* LlmModel.sampleMany("p", 4).pipe(
          Effect.provide(layer({ model: "m", apiKey: Redacted.make("sk"), maxBatch: 2 }).pipe(Layer.provide(sent)))
        )
      }
      assert.deepStrictEqual(server.received.map(({ body }) => body.n), [2, 2, 2, 2])
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
    ["127.0.0.1", OpenAiCompatible.make({ ...required, model: "m" })]
  ]
  it.effect.each(ids)(
    "has a name for spans and metrics, where OpenTelemetry has one that one: %s",
    ([id, make]) =>
      Effect.gen(function*() {
        const model = yield* Effect.provide(make, noRequests)
        const told: Array<unknown> = []
        yield* Events.listen((event) => told.push("provider" in event && [event._tag, event.provider, event.model]))
        yield* Effect.exit(Effect.provideService(LlmModel.sampleOne("p"), LlmModel.LlmModel, model))
        assert.deepStrictEqual(told, [["RequestSent", id, "m"], ["RequestFailed", id, "m"]])
      }).pipe(Effect.provide(Events.layer))
  )

  it.effect.each(vendors)("is asked at its own host: %s", ([, { layer }, url]) =>
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
