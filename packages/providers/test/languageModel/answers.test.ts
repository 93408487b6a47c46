// Whole answers: prompts with files and options, objects, settings, spans.
import { assert, describe, it } from "@effect/vitest"
import { SampleError } from "@llm-cache/core"
import { DeepSeek, Groq, Mistral, OpenAi, OpenAiCompatible } from "@llm-cache/providers"
import * as ChatCompletionsModel from "@llm-cache/providers/ChatCompletionsModel"
import { Config, ConfigProvider, Effect, Layer, Redacted, Schedule, Schema, Stream, Tracer } from "effect"
import { LanguageModel, Prompt, Tool, Toolkit } from "effect/ai"
import { gzipSync } from "node:zlib"
import { aiReasonOf, answer, call, chatting, chunk, sse } from "../support/chat.ts"
import { clients, noRequests, sentTo } from "../support/clients.ts"
import { invalidInputOf } from "../support/model.ts"
import { choices, makeServer, text } from "../support/server.ts"

const [, client] = clients[0]!

const generate = (prompt: Prompt.RawInput) => LanguageModel.generateText({ prompt })

describe.each(clients)("generateText over %s", (_, client) => {
  it.effect("gives the text, the reasoning, the response and the usage", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(
        answer({ content: "Grüße 😀", reasoning: "hm" }, "stop", {
          usage: {
            prompt_tokens: 10,
            completion_tokens: 8,
            prompt_tokens_details: { cached_tokens: 4 },
            completion_tokens_details: { reasoning_tokens: 5 }
          }
        })
      )
      const response = yield* generate("hi").pipe(chatting(client, server.url))
      assert.strictEqual(response.text, "Grüße 😀")
      assert.strictEqual(response.reasoningText, "hm")
      assert.strictEqual(response.finishReason, "stop")
      assert.deepInclude(response.usage, {
        inputTokens: { uncached: 6, total: 10, cacheRead: 4, cacheWrite: undefined },
        outputTokens: { total: 8, text: 3, reasoning: 5 }
      })
      assert.deepStrictEqual(response.content.map(({ type }) => type), [
        "response-metadata",
        "reasoning",
        "text",
        "finish"
      ])
      const [{ body, headers, path }] = server.received as [typeof server.received[0]]
      assert.strictEqual(path, "/v1/chat/completions")
      assert.deepStrictEqual(body, { model: "gpt-mock", messages: [{ role: "user", content: "hi" }] })
      assert.strictEqual(headers.authorization, "Bearer sk-secret-test-key")
      assert.strictEqual(headers["cache-control"], "no-cache")
    }))

  it.effect("reads packed answers, and a stream that was not asked for, with its calls of tools", () =>
    Effect.gen(function*() {
      const body = gzipSync(JSON.stringify({ choices: [{ message: { content: "packed" }, finish_reason: "stop" }] }))
      const server = yield* makeServer(
        (response) => response.writeHead(200, { "content-encoding": "gzip" }).end(body),
        sse(
          chunk({ content: "from a " }),
          chunk({ content: "stream" }),
          chunk({ tool_calls: [{ index: 0, id: "c1", function: { name: "now", arguments: "{" } }] }),
          chunk({ tool_calls: [{ index: 0, function: { arguments: "}" } }] }, "tool_calls")
        )
      )
      assert.strictEqual((yield* generate("p").pipe(chatting(client, server.url))).text, "packed")
      const toolkit = Toolkit.make(Tool.make("now", { success: Schema.String }))
      const response = yield* LanguageModel.generateText({ prompt: "p", toolkit }).pipe(
        Effect.provide(toolkit.toLayer({ now: () => Effect.succeed("12:00") })),
        chatting(client, server.url)
      )
      assert.strictEqual(response.text, "from a stream")
      assert.deepStrictEqual(response.toolResults.map(({ result }) => result), ["12:00"])
    }))
})

describe("a prompt", () => {
  const messagesOf = (prompt: Prompt.RawInput) =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "a" }))
      yield* generate(prompt).pipe(chatting(client, server.url))
      const messages: ReadonlyArray<unknown> = server.received[0]!.body.messages
      return messages
    })

  it.effect("sends images as bytes, base64, data and URLs, with the detail and options of the user", () =>
    Effect.gen(function*() {
      const file = (data: string | Uint8Array | URL, options = {}) =>
        Prompt.filePart({ mediaType: "image/png", data, options })
      const [message] = yield* messagesOf([
        Prompt.userMessage({
          content: [
            Prompt.textPart({
              text: "look",
              options: { chatCompletions: { cache_control: { type: "ephemeral" } } }
            }),
            file(Uint8Array.of(0, 1, 2), { chatCompletions: { detail: "low" } }),
            file("AAEC"),
            file("data:image/png;base64,AAEC"),
            file(new URL("https://example.com/a.png")),
            file("https://example.com/a.png"),
            Prompt.filePart({ mediaType: "image/*", data: "AAEC" })
          ]
        })
      ])
      const image = (url: string, fields = {}) => ({ type: "image_url", image_url: { url, ...fields } })
      assert.deepStrictEqual(message, {
        role: "user",
        content: [
          { type: "text", text: "look", cache_control: { type: "ephemeral" } },
          image("data:image/png;base64,AAEC", { detail: "low" }),
          image("data:image/png;base64,AAEC"),
          image("data:image/png;base64,AAEC"),
          image("https://example.com/a.png"),
          image("https://example.com/a.png"),
          image("data:image/jpeg;base64,AAEC")
        ]
      })
    }))

  it.effect("sends PDFs and audio, and fails for a file that the protocol has no form for", () =>
    Effect.gen(function*() {
      const file = (mediaType: string, data: string | Uint8Array | URL, fileName?: string) => [
        Prompt.userMessage({ content: [Prompt.filePart({ mediaType, data, fileName })] })
      ]
      assert.deepStrictEqual(yield* messagesOf(file("application/pdf", Uint8Array.of(0), "a.pdf")), [{
        role: "user",
        content: [{ type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,AA==" } }]
      }])
      assert.deepStrictEqual(yield* messagesOf(file("audio/mpeg", "data:audio/mpeg;base64,AA==")), [{
        role: "user",
        content: [{ type: "input_audio", input_audio: { data: "AA==", format: "mp3" } }]
      }])
      for (
        const prompt of [file("video/mp4", "AA=="), file("audio/wav", new URL("https://example.com/a.wav"))]
      ) {
        const error = yield* generate(prompt).pipe(Effect.flip, chatting(noRequests, "http://127.0.0.1:1"))
        aiReasonOf(error, "InvalidUserInputError")
      }
    }))

  it.effect("sends histories of other providers without their reasoning and their own tools", () =>
    Effect.gen(function*() {
      const messages = yield* messagesOf([
        Prompt.assistantMessage({
          content: [
            Prompt.reasoningPart({ text: "secret", options: { openai: { itemId: "r1" } } }),
            Prompt.toolCallPart({ id: "s1", name: "search", params: {}, providerExecuted: true }),
            Prompt.toolResultPart({ id: "s1", name: "search", isFailure: false, result: 1, providerExecuted: true }),
            Prompt.toolCallPart({ id: "c1", name: "weather", params: { a: 1 }, providerExecuted: false }),
            Prompt.textPart({ text: "one " }),
            Prompt.textPart({ text: "two" })
          ]
        }),
        Prompt.toolMessage({
          content: [Prompt.toolResultPart({
            id: "c1",
            name: "weather",
            isFailure: false,
            result: { ignored: true },
            modelOutput: [
              Prompt.textPart({ text: "see" }),
              Prompt.filePart({ mediaType: "image/png", data: "AAEC", fileName: "a.png" })
            ],
            providerExecuted: false
          })]
        })
      ])
      assert.deepStrictEqual(messages, [
        { role: "assistant", content: "one two", tool_calls: [call("c1", "weather", { a: 1 })] },
        { role: "tool", tool_call_id: "c1", content: "see\n[image/png a.png omitted]" }
      ])
    }))
})

describe("generateObject", () => {
  const Person = Schema.Struct({ name: Schema.String, age: Schema.optionalKey(Schema.Finite) })
  const person = LanguageModel.generateObject({ prompt: "p", schema: Person, objectName: "a person!" })

  const strict = {
    type: "object",
    properties: { name: { type: "string" }, age: { anyOf: [{ type: "number" }, { type: "null" }] } },
    required: ["name", "age"],
    additionalProperties: false
  }

  it.effect("asks by a strict JSON Schema, and reads its forms of optional fields", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "{\"name\":\"Ada\",\"age\":null}" }))
      const { value } = yield* person.pipe(chatting(client, server.url))
      assert.deepStrictEqual(value, { name: "Ada" })
      assert.deepStrictEqual(server.received[0]!.body["response_format"], {
        type: "json_schema",
        json_schema: { name: "a_person_", schema: strict, strict: true }
      })
    }))

  it.effect("asks by a plain JSON Schema with `strictJsonSchema: false`", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "{\"name\":\"Ada\"}" }))
      const { value } = yield* person.pipe(chatting(client, server.url, { strictJsonSchema: false }))
      assert.deepStrictEqual(value, { name: "Ada" })
      assert.deepInclude(server.received[0]!.body["response_format"], {
        json_schema: {
          name: "a_person_",
          schema: {
            type: "object",
            properties: { name: { type: "string" }, age: { type: "number" } },
            required: ["name"],
            additionalProperties: true
          },
          strict: false
        }
      })
    }))

  it.effect("asks servers without JSON Schemas by JSON and a system message, or by the message alone", () =>
    Effect.gen(function*() {
      for (const structuredOutput of ["json_object", "prompt"] as const) {
        const server = yield* makeServer(answer({ content: "```json\n{\"name\":\"Ada\"}\n```" }))
        const ask = chatting(client, server.url, { structuredOutput })
        assert.deepStrictEqual((yield* person.pipe(ask)).value, { name: "Ada" })
        const prompt = Prompt.setSystem(Prompt.make("p"), "Be brief.")
        yield* LanguageModel.generateObject({ prompt, schema: Person }).pipe(ask)
        const [first, second] = server.received.map(({ body }) => body)
        assert.deepStrictEqual(
          first!["response_format"],
          structuredOutput === "json_object" ? { type: "json_object" } : undefined
        )
        assert.lengthOf(first!.messages, 2)
        assert.include(first!.messages[0]!.content, "JSON Schema")
        assert.include(first!.messages[0]!.content, "\"name\"")
        assert.lengthOf(second!.messages, 2)
        assert.match(second!.messages[0]!.content, /^Be brief\.\n\nAnswer with a JSON object/)
      }
    }))

  it.effect("reads what a plain JSON Schema allows, dates and `null` for an optional field", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "{\"at\":\"2026-01-01T00:00:00.000Z\",\"note\":null}" }))
      const schema = Schema.Struct({ at: Schema.Date, note: Schema.optional(Schema.String) })
      const { value } = yield* LanguageModel.generateObject({ prompt: "p", schema }).pipe(
        chatting(client, server.url, { structuredOutput: "json_object" })
      )
      assert.deepStrictEqual(value, { at: new Date("2026-01-01T00:00:00.000Z"), note: undefined })
    }))

  it.effect("asks by a tool whose parameters are the object, beside the tools of the program", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(
        answer({ tool_calls: [call("c1", "a_person_", { name: "Ada" })] }, "tool_calls")
      )
      const ask = chatting(client, server.url, { structuredOutput: "tool" })
      const response = yield* person.pipe(ask)
      assert.deepStrictEqual(response.value, { name: "Ada" })
      assert.strictEqual(response.finishReason, "stop")
      const toolkit = Toolkit.make(Tool.make("now", { success: Schema.String }))
      yield* LanguageModel.generateObject({ prompt: "p", schema: Person, objectName: "a_person_", toolkit }).pipe(
        Effect.provide(toolkit.toLayer({ now: () => Effect.succeed("12:00") })),
        ask
      )
      const [first, second] = server.received.map(({ body }) => body)
      assert.deepStrictEqual(first!["tool_choice"], { type: "function", function: { name: "a_person_" } })
      assert.notProperty(first, "response_format")
      assert.strictEqual(second!["tool_choice"], "required")
      assert.deepStrictEqual(
        (second!["tools"] as ReadonlyArray<{ readonly function: { readonly name: string } }>)
          .map((tool) => tool.function.name),
        ["now", "a_person_"]
      )
      const taken = yield* LanguageModel.generateObject({ prompt: "p", schema: Person, objectName: "now", toolkit })
        .pipe(
          Effect.provide(toolkit.toLayer({ now: () => Effect.succeed("12:00") })),
          Effect.flip,
          ask
        )
      assert.include(aiReasonOf(taken, "InvalidRequestError").description, "objectName")
    }))

  it.effect("fails for an object of another form with the text that came", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: "{\"name\":1,\"age\":null}" }), answer({ refusal: "no" }))
      const ask = chatting(client, server.url)
      const wrong = aiReasonOf(yield* Effect.flip(person.pipe(ask)), "StructuredOutputError")
      assert.strictEqual(wrong.responseText, "{\"name\":1,\"age\":null}")
      assert.strictEqual(aiReasonOf(yield* Effect.flip(person.pipe(ask)), "StructuredOutputError").responseText, "")
    }))

  it.effect("fails for a schema that OpenAI does not take, before anything is sent", () =>
    Effect.gen(function*() {
      const error = yield* LanguageModel.generateObject({
        prompt: "p",
        schema: Schema.Union([Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.String })])
      }).pipe(Effect.flip, chatting(noRequests, "http://127.0.0.1:1"))
      assert.include(aiReasonOf(error, "UnsupportedSchemaError").description, "wrap the schema in a struct")
    }))
})

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

describe("a span", () => {
  it.effect("has the request and the answer, for whole answers and for streams", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const server = yield* makeServer(
        answer({ content: "a" }, "length"),
        sse(chunk({ content: "a" }), chunk({}, "stop"))
      )
      yield* Effect.gen(function*() {
        yield* generate("p")
        yield* Stream.runDrain(LanguageModel.streamText({ prompt: "p" }))
      }).pipe(
        chatting(client, server.url, { config: { temperature: 0.5, top_p: 0.9, max_tokens: 9, stop: "x", seed: 3 } }),
        Effect.withTracer(tracer)
      )
      const attributesOf = (name: string) => Object.fromEntries(spans.find((span) => span.name === name)!.attributes)
      const request = {
        "gen_ai.provider.name": "127.0.0.1",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-mock",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.stop_sequences": ["x"],
        "gen_ai.request.seed": 3,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-mock-1"
      }
      assert.deepInclude(attributesOf("LanguageModel.generateText"), {
        ...request,
        "gen_ai.response.finish_reasons": ["length"],
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3
      })
      assert.deepInclude(attributesOf("LanguageModel.streamText"), {
        ...request,
        "gen_ai.response.finish_reasons": ["stop"]
      })
    }))
})

describe("an answer without content", () => {
  it.effect("is an empty text if the model was done, and a failure if it was not", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(answer({ content: null }, "length"))
      const response = yield* generate("p").pipe(chatting(client, server.url))
      assert.strictEqual(response.text, "")
      assert.strictEqual(response.finishReason, "length")
      for (
        const reply of [
          answer({ content: null }, null),
          choices(),
          choices({ message: { content: 7 } }),
          text(200, "ok")
        ]
      ) {
        const broken = yield* makeServer(reply)
        const error = yield* generate("p").pipe(Effect.flip, chatting(client, broken.url))
        assert.notInstanceOf(error, SampleError.InvalidInput)
        aiReasonOf(error, "InvalidResponseError")
      }
    }))
})
