// Whole answers: prompts with files and options, spans.
import { assert, describe, it } from "@effect/vitest"
import { SampleError } from "@llm-cache/core"
import { Effect, Schema, Stream, Tracer } from "effect"
import { LanguageModel, Prompt, Tool, Toolkit } from "effect/ai"
import { gzipSync } from "node:zlib"
import { aiReasonOf, answer, call, chatting, chunk, sse } from "../support/chat.ts"
import { clients, noRequests } from "../support/clients.ts"
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
