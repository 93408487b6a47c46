// Failures of a language model: reasons, retries, limits, keys that no error has.
import { assert, describe, it } from "@effect/vitest"
import { Limits } from "@llm-cache/providers"
import * as ChatCompletionsModel from "@llm-cache/providers/ChatCompletionsModel"
import { Duration, Effect, Exit, Fiber, Inspectable, Layer, Logger, Redacted, Schedule, Stream } from "effect"
import { type AiError, LanguageModel } from "effect/ai"
import { TestClock } from "effect/testing"
import { aiReasonOf, answer, chatting, chunk, event, pieces, sse } from "../support/chat.ts"
import { clients } from "../support/clients.ts"
import { cut, hang, json, makeServer, type Reply } from "../support/server.ts"

const methods = [
  ["generateText", Effect.asVoid(LanguageModel.generateText({ prompt: "hi" }))],
  ["streamText", Stream.runDrain(LanguageModel.streamText({ prompt: "hi" }))]
] as const

const [, client] = clients[0]!

/** Lets time pass until a fiber ends. */
const passTime = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.gen(function*() {
    while (!Exit.isExit(fiber.pollUnsafe())) {
      yield* TestClock.adjust("1 minute")
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    }
    return yield* Fiber.join(fiber)
  })

const failure = (message: string, fields: object = {}) => ({ error: { message, ...fields } })

describe.each(methods)("%s", (method, ask) => {
  const failing = (reply: Reply, options?: Parameters<typeof chatting>[2]) =>
    Effect.gen(function*() {
      const server = yield* makeServer(reply)
      return yield* Effect.flip(ask.pipe(chatting(client, server.url, options)))
    })

  it.effect("fails with the reason of each status", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<[number, object, AiError.AiErrorReason["_tag"], boolean]> = [
        [400, failure("bad temperature"), "InvalidRequestError", false],
        [400, failure("maximum context length is 5"), "InvalidRequestError", false],
        [400, failure("flagged by content_filter"), "ContentPolicyError", false],
        [401, failure("wrong"), "AuthenticationError", false],
        [402, failure("pay"), "QuotaExhaustedError", false],
        [403, failure("no"), "AuthenticationError", false],
        [404, failure("no such model"), "InvalidRequestError", false],
        [429, failure("slow down"), "RateLimitError", true],
        [500, failure("oops"), "InternalProviderError", true],
        [503, failure("busy"), "InternalProviderError", true],
        [307, {}, "InvalidRequestError", false],
        [200, failure("busy", { code: 503 }), "InternalProviderError", true]
      ]
      for (const [status, body, tag, isRetryable] of cases) {
        const headers = status === 429 ? { "retry-after": "400" } : status === 307 ? { location: "/other" } : {}
        const error = yield* failing(json(status, body, headers))
        const reason = aiReasonOf(error, tag)
        assert.strictEqual(reason.isRetryable, isRetryable, String(status))
        assert.include((error as AiError.AiError).message, `ChatCompletionsModel.${method}`)
      }
      const limited = aiReasonOf(
        yield* failing(json(429, failure("slow down"), { "retry-after": "400" })),
        "RateLimitError"
      )
      assert.deepStrictEqual(limited.retryAfter, Duration.seconds(400))
      // The error of Effect has no text of its own.
      assert.include(JSON.stringify(limited.metadata), "slow down")
      assert.deepInclude(limited.metadata["chatCompletions"], { reason: "RateLimited", status: 429 })
      const forbidden = aiReasonOf(yield* failing(json(403, failure("no"))), "AuthenticationError")
      assert.strictEqual(forbidden.kind, "InsufficientPermissions")
    }))

  it.effect("fails with NetworkError for a cut and for an answer that takes too long", () =>
    Effect.gen(function*() {
      assert.strictEqual(aiReasonOf(yield* failing(cut), "NetworkError").reason, "TransportError")
      const server = yield* makeServer(hang)
      const fiber = yield* Effect.forkChild(
        Effect.flip(ask.pipe(chatting(client, server.url, { timeout: "30 seconds", idleTimeout: "30 seconds" })))
      )
      while (server.received.length === 0) yield* Effect.yieldNow
      const reason = aiReasonOf(yield* passTime(fiber), "NetworkError")
      assert.include(reason.message, "30s")
      yield* server.cutOff(1)
    }))

  it.effect("sends a request again after a transient failure, and says how often", () =>
    Effect.gen(function*() {
      const success = method === "generateText" ? answer({ content: "a" }) : sse(chunk({ content: "a" }, "stop"))
      const server = yield* makeServer(json(500, failure("oops")), json(503, failure("oops")), success)
      yield* ask.pipe(chatting(client, server.url, { retry: Schedule.recurs(2) }))
      assert.lengthOf(server.received, 3)
      const error = yield* failing(json(500, failure("oops")), { retry: Schedule.recurs(2) })
      assert.include(aiReasonOf(error, "InternalProviderError").description, "3 tries")
    }))

  it.effect("cuts the request off when it is interrupted", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(hang)
      const fiber = yield* Effect.forkChild(ask.pipe(chatting(client, server.url)))
      while (server.received.length === 0) yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      yield* server.cutOff(1)
    }))

  it.effect("keeps to the limits of the account, and counts a request until the last byte", () =>
    Effect.gen(function*() {
      let open = 0
      let most = 0
      const server = yield* makeServer((response, received) => {
        most = Math.max(most, ++open)
        response.on("close", () => open--)
        setImmediate(() =>
          (method === "generateText" ? answer({ content: "a" }) : sse(chunk({ content: "a" }, "stop")))(
            response,
            received
          )
        )
      })
      const model = ChatCompletionsModel.layer({
        baseUrl: `${server.url}/v1`,
        apiKey: Redacted.make("sk-test"),
        model: "m"
      }).pipe(Layer.provide(client), Layer.provide(Limits.layer({ inFlight: 2 })))
      yield* Effect.all(Array.from({ length: 8 }, () => ask), { concurrency: "unbounded" }).pipe(Effect.provide(model))
      assert.lengthOf(server.received, 8)
      assert.isAtMost(most, 2)
    }))

  it.effect("never has the key in an error, its text, its JSON or the log", () =>
    Effect.gen(function*() {
      const key = "sk-secret-test-key"
      const echo = { message: `wrong key ${key}`, detail: { key } }
      const replies: ReadonlyArray<Reply> = [
        json(401, { error: echo }),
        json(500, { error: echo }),
        json(429, { error: echo }, { "retry-after": "400" }),
        json(200, { error: echo }),
        json(200, { choices: [{ message: { content: 7 }, note: key }] }),
        pieces([event({ error: echo })]),
        pieces([event(`no JSON ${key}`)]),
        json(307, {}, { location: `https://other.example/${key}` })
      ]
      for (const reply of replies) {
        const logged: Array<unknown> = []
        const error = yield* failing(reply, { retry: Schedule.recurs(1) }).pipe(
          Effect.tapCause((cause) => Effect.logError(cause)),
          Effect.provide(Logger.layer([Logger.make(({ message }) => logged.push(message))]))
        )
        for (
          const text of [
            String(error),
            JSON.stringify(error),
            Inspectable.toStringUnknown(error),
            JSON.stringify(logged)
          ]
        ) {
          assert.notInclude(text, key)
        }
      }
    }))
})
