import { LLMock } from "@copilotkit/aimock"
import { assert, describe, it } from "@effect/vitest"
import { Key, LlmModel } from "@llm-cache/core"
import { Anthropic } from "@llm-cache/providers"
import { ConfigProvider, Effect, Layer, Redacted, Schedule } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { clients } from "./support/clients.ts"
import { invalidInputOf, reasonOf } from "./support/model.ts"
import { anthropic, anthropicError, message } from "./support/protocols.ts"
import { json, makeServer, type Reply } from "./support/server.ts"

const sampling = (baseUrl: string, options?: Partial<Anthropic.Options>, client = FetchHttpClient.layer) =>
<A, E>(
  effect: Effect.Effect<A, E, LlmModel.LlmModel>
) =>
  Effect.provide(
    effect,
    Anthropic.layer({
      baseUrl,
      apiKey: Redacted.make("sk-test"),
      model: "claude",
      parameters: { max_tokens: 100 },
      retry: Schedule.recurs(0),
      ...options
    }).pipe(Layer.provide(client))
  )

const requestSamples = (n: number) =>
  Effect.flatMap(LlmModel.LlmModel, (model) => model.draw(new Key.Key(model.identity, "p", []), 0, n))

const failing = (reply: Reply) =>
  Effect.gen(function*() {
    const server = yield* makeServer(reply)
    return yield* Effect.flip(sampling(server.url)(LlmModel.sampleOne("p")))
  })

describe("Anthropic sends a request that", () => {
  it.effect("has the system text at its top, and the key and the version in its headers", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(anthropic())
      yield* LlmModel.sampleOne("p").pipe(sampling(`${server.url}/`, {
        temperature: 0.5,
        system: "Be brief.",
        parameters: { max_tokens: 100, top_k: 5, stop_sequences: ["\n"] }
      }))
      const [{ body, headers }] = server.received as [typeof server.received[0]]
      assert.deepStrictEqual<object>(body, {
        model: "claude",
        messages: [{ role: "user", content: "p" }],
        system: "Be brief.",
        temperature: 0.5,
        max_tokens: 100,
        top_k: 5,
        stop_sequences: ["\n"]
      })
      assert.strictEqual(headers["x-api-key"], "sk-test")
      assert.isUndefined(headers.authorization)
    }))

  it.effect("has no system text and no temperature without these options", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(anthropic())
      yield* sampling(server.url)(LlmModel.sampleOne("p"))
      assert.deepStrictEqual(server.received.map(({ body }): object => body), [
        { model: "claude", messages: [{ role: "user", content: "p" }], max_tokens: 100 }
      ])
    }))

  it.effect("goes to Anthropic by default, with the key in ANTHROPIC_API_KEY", () =>
    Effect.gen(function*() {
      const asked: Array<unknown> = []
      const client = HttpClient.make(({ headers }, url) => Effect.die(asked.push(url.href, headers["x-api-key"])))
      const run = (variables: Record<string, string>) =>
        LlmModel.sampleOne("p").pipe(
          Effect.provide(Anthropic.layer({ model: "claude", parameters: { max_tokens: 1 } })),
          Effect.provideService(HttpClient.HttpClient, client),
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables)))
        )
      yield* Effect.exit(run({ ANTHROPIC_API_KEY: "sk-env" }))
      assert.deepStrictEqual(asked, ["https://api.anthropic.com/v1/messages", "sk-env"])
      const missing = yield* Effect.flip(run({}))
      assert.include(reasonOf(missing, "BadKey").description, "ANTHROPIC_API_KEY")
      assert.include(missing.message, "Anthropic (claude)")
    }))

  it.effect("is rejected as InvalidInput without `max_tokens`, or with a parameter that has an option of its own", () =>
    Effect.gen(function*() {
      for (const max_tokens of [undefined, 0, -1, 1.5, NaN, "9"]) {
        const error = yield* Effect.flip(
          sampling("http://127.0.0.1:1", { parameters: { max_tokens: max_tokens as number } })(requestSamples(1))
        )
        assert.include(invalidInputOf(error), "`max_tokens`")
      }
      for (const name of ["model", "messages", "n", "temperature", "stream", "system"]) {
        const error = yield* Effect.flip(
          sampling("http://127.0.0.1:1", { parameters: { max_tokens: 1, [name]: 1 } })(requestSamples(1))
        )
        assert.include(invalidInputOf(error), `\`${name}\`: `)
      }
    }))
})

describe("Anthropic reads an answer and", () => {
  it.effect("counts the prompt's tokens in the vendor's cache, too", () =>
    Effect.gen(function*() {
      const usage = {
        input_tokens: 7,
        cache_creation_input_tokens: 100,
        cache_read_input_tokens: 2000,
        output_tokens: 3
      }
      const server = yield* makeServer(
        message({ content: [{ type: "text", text: "a" }], usage }),
        message({ content: [{ type: "text", text: "a" }], usage: { ...usage, cache_creation_input_tokens: null } }),
        message({ content: [{ type: "text", text: "a" }], usage: { ...usage, input_tokens: undefined } })
      )
      const tokens = yield* Effect.replicateEffect(sampling(server.url)(requestSamples(1)), 3)
      assert.deepStrictEqual(tokens.map(([{ metadata }]) => metadata.inputTokens), [2107, 2007, undefined])
    }))

  it.effect("joins the texts of its blocks, with the model, the finish reason and the tokens", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(message({
        content: [
          { type: "thinking", thinking: "hm", signature: "s" },
          { type: "text", text: "a" },
          { type: "tool_use", id: "t", name: "f", input: {} },
          null,
          { type: "text", text: "b" }
        ],
        stop_reason: "max_tokens"
      }))
      const [{ metadata, text }] = yield* sampling(server.url)(requestSamples(1))
      assert.strictEqual(text, "ab")
      assert.deepInclude(metadata, {
        model: "gpt-mock-1",
        finishReason: "max_tokens",
        inputTokens: 7,
        outputTokens: 3,
        requestSamples: 1
      })
    }))

  it.effect("accepts an empty text, absent counts, and a text that a refusal cut short", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(
        json(200, { content: [{ type: "text", text: "" }], usage: { input_tokens: 1e300, output_tokens: -1 } }),
        message({ content: [{ type: "text", text: "half" }], stop_reason: "refusal" })
      )
      const [empty] = yield* sampling(server.url)(requestSamples(1))
      assert.strictEqual(empty.text, "")
      assert.doesNotHaveAnyKeys(empty.metadata, ["model", "finishReason", "inputTokens", "outputTokens"])
      const [half] = yield* sampling(server.url)(requestSamples(1))
      assert.deepStrictEqual([half.text, half.metadata.finishReason], ["half", "refusal"])
    }))

  it.effect("fails with UnusableResponse without a text and a `stop_reason`, or with a malformed text", () =>
    Effect.gen(function*() {
      for (
        const fields of [
          { content: [], stop_reason: null },
          { content: [{ type: "thinking", thinking: "hm" }], stop_reason: undefined },
          { content: "a" },
          { content: [{ type: "text", text: 7 }] }
        ]
      ) {
        reasonOf(yield* failing(message(fields)), "UnusableResponse")
      }
    }))

  it.effect("fails with the error in it, also with a success status", () =>
    Effect.gen(function*() {
      const odd = yield* failing(json(200, anthropicError("api_error", "Internal server error")))
      assert.include(reasonOf(odd, "ServerFault").description, "Internal server error (api_error)")
      reasonOf(yield* failing(json(529, anthropicError("overloaded_error", "Overloaded"))), "ServerFault")
      reasonOf(yield* failing(json(402, anthropicError("billing_error", "No credit"))), "QuotaExhausted")
      reasonOf(
        yield* failing(json(413, anthropicError("request_too_large", "Request exceeds the maximum size"))),
        "ContextTooLong"
      )
      const wrong = yield* failing(json(401, anthropicError("authentication_error", "invalid x-api-key")))
      assert.include(reasonOf(wrong, "BadKey").description, "invalid x-api-key (authentication_error)")
    }))
})

describe.each(clients)("aimock over %s", (_, client) => {
  it.effect("answers one request per sample, with metadata, and fails with its errors", () =>
    Effect.gen(function*() {
      const mock = yield* Effect.acquireRelease(
        Effect.promise(() => LLMock.create({ host: "127.0.0.1", port: 0, auth: { apiKeys: ["sk-test"] } })),
        (mock) => Effect.promise(() => mock.stop())
      )
      let given = 0
      mock.onMessage("p", () => ({
        content: String(++given),
        usage: { input_tokens: 5, output_tokens: 2 }
      }))
      mock.onMessage("busy", { error: { message: "slow down" }, status: 429, retryAfter: 400 })
      const samples = yield* sampling(mock.url, {}, client)(requestSamples(4))
      assert.deepStrictEqual(samples.map(({ text }) => text).toSorted(), ["1", "2", "3", "4"])
      for (const { metadata } of samples) {
        assert.deepInclude(metadata, { finishReason: "end_turn", inputTokens: 5, outputTokens: 2, requestSamples: 1 })
      }
      const busy = yield* Effect.flip(sampling(mock.url, {}, client)(LlmModel.sampleOne("busy")))
      assert.include(reasonOf(busy, "RateLimited").description, "slow down")
      const wrong = yield* Effect.flip(
        sampling(mock.url, { apiKey: Redacted.make("sk-wrong") }, client)(LlmModel.sampleOne("p"))
      )
      reasonOf(wrong, "BadKey")
    }))
})
