// Streams of a language model: the parts of every form of a server's stream, and its ends.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schedule, Schema, Stream } from "effect"
import { LanguageModel, Prompt, type Response } from "effect/ai"
import { TestClock } from "effect/testing"
import { gzipSync } from "node:zlib"
import { aiReasonOf, answer, chatting, chunk, event, events, pieces, sse, usageChunk } from "../support/chat.ts"
import { clients } from "../support/clients.ts"
import { json, makeServer, type Reply, text } from "../support/server.ts"

type Part = Response.AnyPart

const streamed = LanguageModel.streamText({ prompt: "hi" })

/** The parts without the fields that all have. */
const plain = (parts: ReadonlyArray<Part>): ReadonlyArray<unknown> =>
  parts.map((part) =>
    Object.fromEntries(
      Object.entries(part).filter(([name, value]) =>
        !name.startsWith("~") && !(name === "metadata" && Object.keys(value).length === 0)
      )
    )
  )

const textOf = (parts: ReadonlyArray<Part>) =>
  parts.map((part) => part.type === "text-delta" ? part.delta : "").join("")

const typesOf = (parts: ReadonlyArray<Part>) => parts.map(({ type }) => type)

const finishOf = (parts: ReadonlyArray<Part>) => parts.find((part) => part.type === "finish")

const whole = [
  chunk({ role: "assistant", content: "" }),
  chunk({ content: "Grüße " }),
  chunk({ content: "😀\u2028" }),
  chunk({}, "stop"),
  usageChunk
]

/** Runs the parts that come before an error, and the error. */
const untilError = Effect.gen(function*() {
  const parts: Array<Part> = []
  const error = yield* Effect.flip(Stream.runForEach(streamed, (part) => Effect.sync(() => parts.push(part))))
  return { parts, error }
})

describe.each(clients)("streamText over %s", (_, client) => {
  const collect = (reply: Reply, options?: Parameters<typeof chatting>[2]) =>
    Effect.gen(function*() {
      const server = yield* makeServer(reply)
      return yield* Stream.runCollect(streamed).pipe(chatting(client, server.url, options))
    })

  it.effect("hands out the text, the response and the usage, with a packet for each byte", () =>
    Effect.gen(function*() {
      const body = Buffer.from("\ufeff: comment\r\n\r\n" + events(...whole, "[DONE]").replaceAll("\n", "\r\n"))
      const parts = yield* collect(pieces(Array.from(body, (byte) => Uint8Array.of(byte))))
      assert.deepStrictEqual(typesOf(parts), [
        "response-metadata",
        "text-start",
        "text-delta",
        "text-delta",
        "text-end",
        "finish"
      ])
      assert.strictEqual(textOf(parts), "Grüße 😀\u2028")
      const [metadata] = parts
      assert.deepInclude(metadata, { id: "chatcmpl-1", modelId: "gpt-mock-1" })
      assert.deepInclude(finishOf(parts)!.usage, {
        inputTokens: { uncached: 7, total: 7, cacheRead: undefined, cacheWrite: undefined },
        outputTokens: { total: 3, text: 3, reasoning: undefined }
      })
    }))

  it.effect("asks for a stream and its usage, and neither with `streamUsage: false`", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(sse(...whole))
      yield* Stream.runDrain(streamed).pipe(chatting(client, server.url))
      yield* Stream.runDrain(streamed).pipe(chatting(client, server.url, { streamUsage: false }))
      const [first, second] = server.received.map(({ body }) => body)
      assert.deepStrictEqual(first, {
        model: "gpt-mock",
        messages: [{ role: "user", content: "hi" }],
        stream: true,
        stream_options: { include_usage: true }
      })
      assert.notProperty(second, "stream_options")
      const { headers } = server.received[0]!
      assert.strictEqual(headers.accept, "text/event-stream")
      assert.strictEqual(headers["accept-encoding"], "identity")
    }))

  it.effect("hands out the first part before the server sends the rest", () =>
    Effect.gen(function*() {
      let sendRest = () => {}
      const server = yield* makeServer((response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.write(event(chunk({ content: "a" })))
        sendRest = () => response.end(events(chunk({ content: "b" }), chunk({}, "stop"), "[DONE]"))
      })
      const seen: Array<string> = []
      yield* Stream.runForEach(streamed, (part) =>
        Effect.sync(() => {
          if (part.type !== "text-delta") return
          seen.push(part.delta)
          if (seen.length === 1) sendRest()
        })).pipe(chatting(client, server.url))
      assert.deepStrictEqual(seen, ["a", "b"])
    }))

  it.effect("passes over what servers send beside the answer, at any place", () =>
    Effect.gen(function*() {
      const all = [...whole, "[DONE]"]
      for (
        const extra of [
          ": OPENROUTER PROCESSING\n\n",
          "data:\n\n",
          "event: ping\ndata: {\"type\": \"ping\"}\n\n",
          "event: later\ndata: {\"type\": \"later\"}\n\n",
          "retry: 3000\n\n",
          events({ id: "chatcmpl-1", choices: [] }),
          events("[DONE]")
        ]
      ) {
        // The end is told twice, not early.
        for (let at = extra.includes("DONE") ? all.length - 1 : 0; at <= all.length; at++) {
          const parts = yield* collect(pieces([events(...all.slice(0, at)) + extra + events(...all.slice(at))]))
          assert.strictEqual(textOf(parts), "Grüße 😀\u2028", extra)
          assert.deepInclude(finishOf(parts), { reason: "stop" })
        }
      }
    }))

  it.effect("stops at [DONE], although the server keeps the connection open", () =>
    Effect.gen(function*() {
      const parts = yield* collect(pieces([events(...whole, "[DONE]")], "hang"))
      assert.strictEqual(finishOf(parts)!.reason, "stop")
    }))

  it.effect("takes a finish reason as the end, without [DONE] and without an empty line at the end", () =>
    Effect.gen(function*() {
      assert.strictEqual(finishOf(yield* collect(pieces([events(...whole)])))!.reason, "stop")
      const parts = yield* collect(pieces([events(...whole).trimEnd()]))
      assert.strictEqual(finishOf(parts)!.usage.inputTokens.total, 7)
      const cut = yield* collect(pieces([events(...whole)], "cut", { "content-length": "100000" }))
      assert.strictEqual(finishOf(cut)!.usage.inputTokens.total, 7)
    }))

  it.effect("ends with an error in a stream that is cut, after its first parts", () =>
    Effect.gen(function*() {
      for (const end of ["end", "cut"] as const) {
        const server = yield* makeServer(pieces([events(...whole.slice(0, 2))], end))
        const { error, parts } = yield* untilError.pipe(
          chatting(client, server.url, { retry: Schedule.recurs(3) })
        )
        assert.strictEqual(textOf(parts), "Grüße ")
        const reason = aiReasonOf(error, "NetworkError")
        assert.isTrue(reason.isRetryable)
        // Another answer must not follow a part of this one.
        assert.lengthOf(server.received, 1)
      }
    }))

  it.effect("sends the request again after a failure before the first part", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(
        json(500, { error: { message: "busy" } }),
        pieces([event(chunk({ role: "assistant" }))], "cut"),
        pieces([event({ error: { message: "overloaded", code: 503 } })]),
        sse(...whole)
      )
      const parts = yield* Stream.runCollect(streamed).pipe(
        chatting(client, server.url, { retry: Schedule.recurs(3) })
      )
      assert.strictEqual(textOf(parts), "Grüße 😀\u2028")
      assert.lengthOf(server.received, 4)
    }))

  it.effect("ends with the reason of an error in the stream", () =>
    Effect.gen(function*() {
      for (
        const failure of [
          event({ error: { message: "the upstream is overloaded", code: 502 } }),
          `event: error\n${event({ message: "the upstream is overloaded", code: 502 })}`,
          event({ ...chunk({}, "error"), error: { message: "the upstream is overloaded", code: 502 } })
        ]
      ) {
        const server = yield* makeServer(pieces([events(...whole.slice(0, 2)) + failure]))
        const { error, parts } = yield* untilError.pipe(chatting(client, server.url))
        assert.strictEqual(textOf(parts), "Grüße ")
        assert.include(aiReasonOf(error, "InternalProviderError").description, "the upstream is overloaded")
      }
    }))

  it.effect("reads a whole answer, a packed one and a web page in place of a stream", () =>
    Effect.gen(function*() {
      assert.strictEqual(textOf(yield* collect(answer({ content: "whole" }))), "whole")
      const packed = yield* collect(
        pieces([gzipSync(events(...whole, "[DONE]"))], "end", { "content-encoding": "gzip" })
      )
      assert.strictEqual(textOf(packed), "Grüße 😀\u2028")
      const page = yield* Effect.flip(collect(text(200, "<html>login</html>", { "content-type": "text/html" })))
      assert.include(aiReasonOf(page, "InvalidResponseError").description, "web page")
      const nothing = yield* Effect.flip(collect(pieces([""])))
      aiReasonOf(nothing, "InvalidResponseError")
    }))

  it.effect("fails for an event that is no JSON", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(collect(pieces([event("nonsense"), events(...whole)])))
      assert.include(aiReasonOf(error, "InvalidResponseError").description, "nonsense")
    }))

  it.effect("fails for more than 32 MiB, and reads no further", () =>
    Effect.gen(function*() {
      const mebibyte = event(chunk({ content: "x".repeat(1024 * 1024) }))
      const server = yield* makeServer(pieces(Array.from({ length: 40 }, () => mebibyte), "hang"))
      const { error } = yield* untilError.pipe(chatting(client, server.url))
      assert.include(aiReasonOf(error, "InvalidResponseError").description, "32 MiB")
      yield* server.cutOff(1)
    }))

  it.effect("cuts the request off when the consumer has gone", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(pieces([events(...whole.slice(0, 2))], "hang"))
      const parts = yield* Stream.runCollect(Stream.take(streamed, 2)).pipe(chatting(client, server.url))
      assert.lengthOf(parts, 2)
      yield* server.cutOff(1)
      const fiber = yield* Effect.forkChild(Stream.runDrain(streamed).pipe(chatting(client, server.url)))
      while (server.received.length < 2) yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      yield* server.cutOff(2)
    }))

  it.effect("fails after a silence as long as `idleTimeout`, before the headers and in the body", () =>
    Effect.gen(function*() {
      for (const reply of [() => {}, pieces([events(...whole.slice(0, 2))], "hang")]) {
        const server = yield* makeServer(reply)
        const fiber = yield* Effect.forkChild(
          untilError.pipe(chatting(client, server.url, { idleTimeout: "1 minute" }))
        )
        while (server.received.length < 1) yield* Effect.yieldNow
        while (!Exit.isExit(fiber.pollUnsafe())) {
          yield* TestClock.adjust("1 minute")
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        }
        const { error } = yield* Fiber.join(fiber)
        assert.include(aiReasonOf(error, "NetworkError").message, "idleTimeout")
      }
    }))
})

describe("parts of a stream", () => {
  const [, client] = clients[0]!

  const collect = (...data: ReadonlyArray<unknown>) =>
    Effect.gen(function*() {
      const server = yield* makeServer(sse(...data))
      const parts = yield* Stream.runCollect(streamed).pipe(chatting(client, server.url))
      return parts as ReadonlyArray<Part>
    })

  it.effect("reasoning comes before the text, in each field that servers have for it", () =>
    Effect.gen(function*() {
      for (const field of ["reasoning_content", "reasoning"]) {
        const parts = yield* collect(
          chunk({ [field]: "I th" }),
          chunk({ content: null, [field]: "ink" }),
          chunk({ content: "42" }),
          chunk({}, "stop")
        )
        assert.deepStrictEqual(plain(parts).slice(1, -1), [
          { type: "reasoning-start", id: "reasoning-0" },
          { type: "reasoning-delta", id: "reasoning-0", delta: "I th" },
          { type: "reasoning-delta", id: "reasoning-0", delta: "ink" },
          { type: "reasoning-end", id: "reasoning-0", metadata: { chatCompletions: { field } } },
          { type: "text-start", id: "text-1" },
          { type: "text-delta", id: "text-1", delta: "42" },
          { type: "text-end", id: "text-1" }
        ])
      }
    }))

  it.effect("details of the reasoning are joined by their index, a late signature included", () =>
    Effect.gen(function*() {
      const detail = (fields: object) => chunk({ reasoning_details: [{ type: "reasoning.text", index: 0, ...fields }] })
      const parts = yield* collect(
        detail({ text: "I th", format: "anthropic-claude-v1" }),
        detail({ text: "ink" }),
        chunk({ content: "42" }),
        detail({ signature: "sig" }),
        chunk({}, "stop")
      )
      const [end] = parts.filter((part) => part.type === "reasoning-end")
      assert.deepStrictEqual(end!.metadata, {
        chatCompletions: {
          details: [{
            type: "reasoning.text",
            index: 0,
            text: "I think",
            format: "anthropic-claude-v1",
            signature: "sig"
          }]
        }
      })
      assert.lengthOf(parts.filter((part) => part.type === "reasoning-start"), 1)
    }))

  it.effect("both halves of a character are one, whatever the delta they come in", () =>
    Effect.gen(function*() {
      const parts = yield* collect(
        chunk({ content: "a\ud83d" }),
        chunk({ content: "\ude00b" }),
        chunk({ content: "\ud83d" }),
        chunk({}, "stop")
      )
      assert.strictEqual(textOf(parts), "a😀b\ufffd")
      for (const part of parts) if (part.type === "text-delta") assert.isTrue(part.delta.isWellFormed())
    }))

  it.effect("a refusal is an empty text with the refusal, and the finish reason content-filter", () =>
    Effect.gen(function*() {
      const parts = yield* collect(chunk({ refusal: "I ca" }), chunk({ refusal: "n't" }), chunk({}, "stop"))
      const [end] = parts.filter((part) => part.type === "text-end")
      assert.deepStrictEqual(end!.metadata, { chatCompletions: { refusal: "I can't" } })
      assert.strictEqual(finishOf(parts)!.reason, "content-filter")
    }))

  it.effect("finish reasons are those of Effect, and the server's own is in the metadata", () =>
    Effect.gen(function*() {
      const reasons = {
        stop: "stop",
        eos: "stop",
        length: "length",
        model_length: "length",
        content_filter: "content-filter",
        SAFETY: "content-filter",
        tool_calls: "tool-calls",
        odd: "other"
      }
      for (const [reason, expected] of Object.entries(reasons)) {
        const finish = finishOf(yield* collect(chunk({ content: "a" }), chunk({}, reason)))!
        assert.strictEqual(finish.reason, expected)
        assert.deepStrictEqual(finish.metadata, { chatCompletions: { finishReason: reason } })
      }
      assert.strictEqual(finishOf(yield* collect(chunk({ content: "a" })))!.reason, "unknown")
    }))

  it.effect("the usage counts, whatever chunk it comes in", () =>
    Effect.gen(function*() {
      const { choices: [choice], ...fields } = chunk({ content: "a" })
      const early = yield* collect({ ...fields, choices: [choice], usage: usageChunk.usage }, chunk({}, "stop"))
      assert.strictEqual(finishOf(early)!.usage.outputTokens.total, 3)
      const inChoice = yield* collect(
        { ...fields, choices: [{ ...choice, usage: usageChunk.usage }] },
        chunk({}, "stop")
      )
      assert.strictEqual(finishOf(inChoice)!.usage.outputTokens.total, 3)
    }))

  it.effect("images and sources are parts, and a source without a URL is left out", () =>
    Effect.gen(function*() {
      const annotation = (url: string) => ({ type: "url_citation", url_citation: { url, title: "T" } })
      const parts = yield* collect(
        chunk({ images: [{ type: "image_url", image_url: { url: "data:image/png;base64,AAEC" } }] }),
        chunk({ content: "see", annotations: [annotation("https://example.com/a"), annotation("none")] }),
        chunk({}, "stop")
      )
      const [file] = parts.filter((part) => part.type === "file")
      assert.deepInclude(file, { mediaType: "image/png", data: Uint8Array.of(0, 1, 2) })
      const sources = parts.filter((part) => part.type === "source")
      assert.lengthOf(sources, 1)
      assert.deepInclude(sources[0], { url: new URL("https://example.com/a"), title: "T" })
    }))

  it.effect.prop("text that a stream brought is the text of the history", {
    texts: Schema.Array(Schema.String.check(Schema.isMinLength(1)))
  }, ({ texts }) =>
    Effect.gen(function*() {
      const parts = yield* collect(...texts.map((content) => chunk({ content })), chunk({}, "stop"))
      const [message] = Prompt.fromResponseParts(parts).content
      const content = message?.role === "assistant" ? message.content : []
      assert.deepStrictEqual(
        content.map((part) => part.type === "text" ? part.text : part.type),
        texts.length === 0 ? [] : [texts.join("").toWellFormed()]
      )
    }), { arbitrary: { runs: 30 } })
})
