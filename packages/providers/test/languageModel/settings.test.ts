// Settings of the layer, of a part of a program, of vendors and from configuration.
import { assert, describe, it } from "@effect/vitest"
import type { SampleError } from "@llm-cache/core"
import { DeepSeek, Groq, Mistral, OpenAi, OpenAiCompatible } from "@llm-cache/providers"
import * as ChatCompletionsModel from "@llm-cache/providers/ChatCompletionsModel"
import { Config, ConfigProvider, Effect, Layer, Redacted, Schedule, Schema, Stream } from "effect"
import { LanguageModel, type Prompt } from "effect/ai"
import { aiReasonOf, answer, chatting, chunk, sse } from "../support/chat.ts"
import { clients, noRequests, sentTo } from "../support/clients.ts"
import { invalidInputOf } from "../support/model.ts"
import { makeServer } from "../support/server.ts"

const [, client] = clients[0]!

const generate = (prompt: Prompt.RawInput) => LanguageModel.generateText({ prompt })

describe("settings", () => {
  const receivedOf = <A, E>(
    layer: (url: string) => Layer.Layer<LanguageModel.LanguageModel, SampleError.InvalidInput>,
    effect: Effect.Effect<A, E, LanguageModel.LanguageModel>
  ) =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "{\"a\":\"b\"}" }))
      yield* Effect.provide(effect, layer(server.url))
      return server.received
    })

  it.effect("are sent, and `withConfigOverride` goes over them for a part of a program", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "a" }), answer({ content: "a" }), sse(chunk({}, "stop")))
      yield* Effect.gen(function*() {
        yield* generate("p")
        yield* generate("p").pipe(
          ChatCompletionsModel.withConfigOverride({ temperature: 0 }),
          ChatCompletionsModel.withConfigOverride({ temperature: 2, model: "other", top_p: 0.5, seed: undefined })
        )
        yield* Stream.runDrain(LanguageModel.streamText({ prompt: "p" })).pipe(
          ChatCompletionsModel.withConfigOverride({ temperature: 0.3 })
        )
      }).pipe(chatting(client, server.url, { config: { temperature: 1, seed: 7, logit_bias: { 50256: -100 } } }))
      const sent = server.received.map(({ body: { messages: _, stream: __, stream_options: ___, ...body } }) => body)
      assert.deepStrictEqual(sent, [
        { model: "gpt-mock", temperature: 1, seed: 7, logit_bias: { 50256: -100 } },
        { model: "other", temperature: 0, top_p: 0.5, logit_bias: { 50256: -100 } },
        { model: "gpt-mock", temperature: 0.3, seed: 7, logit_bias: { 50256: -100 } }
      ])
    }))

  it.effect("that are wrong fail the layer, and those of an override the call", () =>
    Effect.gen(function*() {
      const failing = (options: object) =>
        Effect.map(
          Effect.flip(ChatCompletionsModel.make({
            baseUrl: "http://127.0.0.1:1/v1",
            apiKey: Redacted.make("k"),
            model: "m",
            ...options
          })),
          invalidInputOf
        ).pipe(Effect.provide(noRequests))
      assert.include(yield* failing({ config: { n: 2 } }), "`n`: leave it out")
      assert.include(yield* failing({ config: { tools: [] } }), "pass a toolkit")
      assert.include(yield* failing({ config: { seed: NaN } }), "JSON cannot hold")
      assert.include(yield* failing({ max_tokens: 5 }), "`max_tokens`: give fields of the request in `config`")
      assert.include(yield* failing({ model: "" }), "`model`")
      assert.include(yield* failing({ config: { model: "m" } }), "give the option `model`")
      assert.include(yield* failing({ config: "hot" }), "`config` is no object")
      assert.include(yield* failing({ vendor: OpenAi }), "`baseUrl` is that of the vendor already")
      assert.include(yield* failing({ baseUrl: "nowhere" }), "`baseUrl`")
      assert.include(yield* failing({ idleTimeout: "0 seconds" }), "`idleTimeout`")
      assert.include(yield* failing({ structuredOutput: "xml" }), "json_schema, json_object, tool, prompt")
      const error = yield* generate("p").pipe(
        ChatCompletionsModel.withConfigOverride({ stream: true }),
        Effect.flip,
        chatting(noRequests, "http://127.0.0.1:1")
      )
      assert.include(aiReasonOf(error, "InvalidRequestError").description, "`stream`: leave it out")
    }))

  it.effect("come from a vendor: its URL, its key, its name and its way to structured output", () =>
    Effect.gen(function*() {
      const env = ConfigProvider.layer(
        ConfigProvider.fromUnknown({
          DEEPSEEK_API_KEY: "sk-deep",
          MISTRAL_API_KEY: "m",
          OPENAI_API_KEY: "o",
          GROQ_API_KEY: "g"
        })
      )
      const object = LanguageModel.generateObject({ prompt: "p", schema: Schema.Struct({ a: Schema.String }) })
      const at = (vendor: OpenAiCompatible.Vendor) => (url: string) =>
        ChatCompletionsModel.layer({ vendor, model: "m", retry: Schedule.recurs(0) }).pipe(
          Layer.provide(sentTo(url, client)),
          Layer.provide(env)
        )
      const [deepseek] = yield* receivedOf(at(DeepSeek), object)
      assert.strictEqual(deepseek!.path, "/chat/completions")
      assert.strictEqual(deepseek!.headers.authorization, "Bearer sk-deep")
      const formatOf = (received: { readonly body: { readonly [name: string]: unknown } } | undefined) =>
        (received!.body["response_format"] as { readonly type: string }).type
      assert.strictEqual(formatOf(deepseek), "json_object")
      const [groq] = yield* receivedOf(at(Groq), object)
      assert.strictEqual(formatOf(groq), "json_object")
      const [openai] = yield* receivedOf(at(OpenAi), object)
      assert.strictEqual(formatOf(openai), "json_schema")
      const stream = Stream.runDrain(LanguageModel.streamText({ prompt: "p" }))
      const [mistral] = yield* receivedOf(at(Mistral), stream)
      assert.notProperty(mistral!.body, "stream_options")
      const Acme = OpenAiCompatible.vendor({
        name: "Acme",
        baseUrl: "https://acme.example/v1",
        keyVariable: "ACME_API_KEY",
        structuredOutput: "tool"
      })
      const error = yield* generate("p").pipe(
        Effect.provide(ChatCompletionsModel.layer({ vendor: Acme, model: "m" })),
        Effect.provide(noRequests),
        Effect.provide(env),
        Effect.flip
      )
      const reason = aiReasonOf(error, "AuthenticationError")
      assert.strictEqual(reason.kind, "MissingKey")
      assert.include(reason.message, "ACME_API_KEY")
    }))

  it.effect("come from configuration", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "a" }))
      const env = { LLM_BASE_URL: `${server.url}/v1`, LLM_MODEL: "m", LLM_TEMPERATURE: "0.5", LLM_API_KEY: "sk-conf" }
      const layer = (options: ChatCompletionsModel.ConfigOptions = {}) =>
        ChatCompletionsModel.layerConfig(options).pipe(Layer.provide(client))
      yield* generate("p").pipe(
        Effect.provide(layer()),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
      )
      yield* generate("p").pipe(
        Effect.provide(layer({ model: Config.String("OTHER"), temperature: 1, config: { seed: 1 } })),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ...env, OTHER: "other" })))
      )
      const messages = [{ role: "user", content: "p" }]
      assert.deepStrictEqual(server.received.map(({ body }) => body), [
        { temperature: 0.5, model: "m", messages },
        { seed: 1, temperature: 1, model: "other", messages }
      ])
      assert.strictEqual(server.received[0]!.headers.authorization, "Bearer sk-conf")
    }))
})
