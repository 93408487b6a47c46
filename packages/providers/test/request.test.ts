import { assert, describe, it } from "@effect/vitest"
import { LlmModel, Persistent } from "@llm-cache/core"
import { OpenAiCompatible } from "@llm-cache/providers"
import { Config, ConfigProvider, Effect, Layer, Redacted, Schedule, Tracer } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { clients, noRequests } from "./support/clients.ts"
import { makeDirectory } from "./support/directory.ts"
import { invalidInputOf, sampling } from "./support/model.ts"
import { chatProtocols } from "./support/protocols.ts"
import { json, makeServer } from "./support/server.ts"

const required = {
  baseUrl: "http://127.0.0.1:1/v1",
  apiKey: Redacted.make("sk-test"),
  model: "gpt-mock"
}

const modelOf = <E>(layer: Layer.Layer<LlmModel.LlmModel, E, HttpClient.HttpClient>) =>
  Effect.provide(LlmModel.LlmModel, Layer.provide(layer, noRequests))

describe.each(clients)("OpenAiCompatible over %s", (_, client) => {
  it.effect("sends the model, the temperature, `n`, the messages and the parameters", () =>
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
      assert.strictEqual(headers["cache-control"], "no-cache")
    }))

  it.effect("sends headers and a query of the user's, in place of those of the protocol", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const secret = Redacted.make("azure-secret")
      const samples = yield* LlmModel.sampleMany("p", 2).pipe(
        sampling(client, server.url, {
          baseUrl: `${server.url}/openai/deployments/gpt/`,
          headers: { "api-key": secret, "X-Title": "mine", Authorization: undefined, Accept: "*/*" },
          query: { "api-version": "2024-10-21", tag: Redacted.make("a b&c"), none: undefined }
        })
      )
      assert.lengthOf(samples, 2)
      const [{ headers, path }] = server.received as [typeof server.received[0]]
      assert.strictEqual(path, "/openai/deployments/gpt/chat/completions?api-version=2024-10-21&tag=a+b%26c")
      assert.strictEqual(headers["api-key"], "azure-secret")
      assert.strictEqual(headers["x-title"], "mine")
      assert.strictEqual(headers.accept, "*/*")
      assert.isUndefined(headers.authorization)
      assert.strictEqual(headers["cache-control"], "no-cache")
    }))

  it.effect("quotes no secret of a header or of the query", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(
        json(401, { error: { message: "not azure-secret, not query-secret, not public-value" } })
      )
      const error = yield* LlmModel.sampleOne("p").pipe(
        sampling(client, server.url, {
          headers: { "api-key": Redacted.make("azure-secret"), other: "public-value" },
          query: { sig: Redacted.make("query-secret") }
        }),
        Effect.flip
      )
      assert.include(error.message, "not <redacted>, not <redacted>, not public-value")
    }))

  it.effect("sends a temperature of 0, and none if it is absent", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      yield* LlmModel.sampleOne("p").pipe(sampling(client, server.url, { temperature: undefined }))
      yield* LlmModel.sampleOne("p").pipe(sampling(client, server.url, { temperature: 0 }))
      assert.deepStrictEqual(server.received.map(({ body }) => body), [
        { model: "gpt-mock", messages: [{ role: "user", content: "p" }] },
        { model: "gpt-mock", temperature: 0, messages: [{ role: "user", content: "p" }] }
      ])
    }))

  it.effect("sends the trace to the server if the program traces", () =>
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
      // A parent span of another server.
      yield* Effect.withParentSpan(draw, Tracer.externalSpan({ traceId: "a".repeat(32), spanId: "b".repeat(16) }))
      assert.include(parents()[2], "a".repeat(32))
      // A tracer of the model alone.
      spans.length = 0
      const model = yield* LlmModel.LlmModel.pipe(sampling(client, server.url), Effect.withTracer(tracer))
      yield* Effect.exit(Effect.provideService(LlmModel.sampleOne("p"), LlmModel.LlmModel, model))
      assert.include(spans.map(({ name }) => name), "POST")
    }))
})

describe.each(chatProtocols)("%s", (name, protocol) => {
  const drawn = Effect.flatMap(LlmModel.LlmModel, (model) => Effect.as(LlmModel.sampleMany("p", 1), model.identity.id))
  const sent = (options: Parameters<typeof protocol.layer>[1]) =>
    Effect.gen(function*() {
      const server = yield* makeServer(protocol.success())
      const id = yield* drawn.pipe(
        Effect.provide(protocol.layer(server.url, options)),
        Effect.provide(FetchHttpClient.layer)
      )
      return { id, ...server.received[0]! }
    })

  it.effect("sends fields of `request` that are no part of the identity", () =>
    Effect.gen(function*() {
      const plain = yield* sent({})
      const request = name === "Ollama" ? { keep_alive: "5m" } : name === "Anthropic"
        ? { thinking: { type: "disabled" } }
        : { user: "me", metadata: { run: 1 }, service_tier: "flex" }
      const other = yield* sent({ request })
      assert.strictEqual(other.id, plain.id)
      assert.deepStrictEqual<object>(other.body, { ...plain.body, ...request })
    }))

  it.effect("sends `cache-control: no-cache`, headers and a query, and no `n` for one sample", () =>
    Effect.gen(function*() {
      const plain = yield* sent({})
      assert.strictEqual(plain.headers["cache-control"], "no-cache")
      assert.notProperty(plain.body, "n")
      const other = yield* sent({ headers: { "x-title": "mine", "cache-control": undefined } })
      assert.strictEqual(other.id, plain.id)
      assert.strictEqual(other.headers["x-title"], "mine")
      assert.notProperty(other.headers, "cache-control")
    }))

  it.effect("rejects fields, headers and values that cannot be sent, without quoting a secret", () =>
    Effect.gen(function*() {
      const rejected: ReadonlyArray<[options: Parameters<typeof protocol.layer>[1], says: string]> = [
        [{ request: { model: "m" } }, "`request` has `model`: "],
        [{ request: { messages: [] } }, "`request` has `messages`: "],
        [{ request: { user: NaN } }, "`request` has a value that JSON cannot hold"],
        [{ headers: { "a b": "c" } }, "a name"],
        [{ headers: { a: "b\nc" } }, "a value of `a`"],
        [{ headers: { a: Redacted.make("secret\u{1d4b3}") } }, "a value of `a`"]
      ]
      for (const [options, says] of rejected) {
        const message = invalidInputOf(yield* Effect.flip(modelOf(protocol.layer("http://127.0.0.1:1", options))))
        assert.include(message, says)
        assert.notInclude(message, "secret")
      }
    }))
})

describe("a server", () => {
  it.effect("is not taken to ignore `n` after one sample for a request of one", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      yield* Effect.gen(function*() {
        yield* LlmModel.sampleOne("p")
        yield* LlmModel.sampleMany("p", 3)
      }).pipe(sampling(FetchHttpClient.layer, server.url))
      assert.deepStrictEqual(server.received.map(({ body }) => body.n ?? 1), [1, 3])
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

  it.effect("is rejected when the layer is built unless it is an http or https URL", () =>
    Effect.gen(function*() {
      for (
        const baseUrl of ["", "api.example.com/v1", "/v1", "localhost:8080", "ftp://a/v1", "file:///v1", "http://"]
      ) {
        const error = yield* Effect.flip(modelOf(OpenAiCompatible.layer({ ...required, baseUrl })))
        assert.include(invalidInputOf(error), "`baseUrl`")
      }
    }))
})

describe("options", () => {
  it.effect("reject a field that is in `parameters` and in `request`", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        modelOf(OpenAiCompatible.layer({ ...required, parameters: { seed: 1 }, request: { seed: 2 } }))
      )
      assert.include(invalidInputOf(error), "`seed` is in `parameters` and in `request`")
    }))

  it.effect("reject a parameter with an option of its own when the layer is built, and say which", () =>
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

  it.effect("are checked when the layer is built", () =>
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

  it.effect("holds the model or its alias, the temperature, and the parameters with the system text", () =>
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

  it.effect("does not depend on the server, the key or how requests are sent", () =>
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

  it.effect("is found by a replication without the provider, with `system` as a parameter", () =>
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

describe("layerConfig", () => {
  const configured = (variables: Record<string, string>) =>
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables)))

  it.effect("reads LLM_BASE_URL, LLM_API_KEY, LLM_MODEL and LLM_TEMPERATURE", () =>
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

  it.effect("prefers options, given as values or as a Config", () =>
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
      assert.deepInclude(server.received.at(-1)!.body, { top_p: 0.9 })
      assert.lengthOf(server.received.at(-1)!.body.messages, 2)
    }))

  it.effect("names a missing or unreadable variable when the layer is built", () =>
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
