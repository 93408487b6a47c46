// Against a server by others.
import { LLMock } from "@copilotkit/aimock"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { Chat, LanguageModel, Tool, Toolkit } from "effect/ai"
import { aiReasonOf, chatting } from "../support/chat.ts"
import { clients } from "../support/clients.ts"

const makeMock = Effect.acquireRelease(
  Effect.promise(() => LLMock.create({ host: "127.0.0.1", port: 0, auth: { apiKeys: ["sk-secret-test-key"] } })),
  (mock) => Effect.promise(() => mock.stop())
)

const Weather = Tool.make("weather", {
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.Struct({ sky: Schema.String })
})
const toolkit = Toolkit.make(Weather)
const handlers = toolkit.toLayer({ weather: ({ city }) => Effect.succeed({ sky: `sunny in ${city}` }) })

describe.each(clients)("aimock over %s", (_, client) => {
  it.effect("answers with a text, whole and as a stream", () =>
    Effect.gen(function*() {
      const mock = yield* makeMock
      const content = "Grüße 😀, and a text that comes in several chunks."
      mock.onMessage("hello", { content, usage: { prompt_tokens: 3, completion_tokens: 5 } })
      yield* Effect.gen(function*() {
        const response = yield* LanguageModel.generateText({ prompt: "hello" })
        assert.strictEqual(response.text, content)
        assert.strictEqual(response.usage.outputTokens.total, 5)
        const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "hello" }))
        const deltas = parts.filter((part) => part.type === "text-delta")
        assert.isAbove(deltas.length, 1)
        assert.strictEqual(deltas.map(({ delta }) => delta).join(""), content)
        assert.strictEqual(parts.at(-1)?.type, "finish")
      }).pipe(chatting(client, mock.url))
    }))

  it.effect("runs two tools at once in a chat, whole and as a stream", () =>
    Effect.gen(function*() {
      const mock = yield* makeMock
      mock.on({ userMessage: "compare", hasToolResult: false }, {
        toolCalls: [
          { id: "c1", name: "weather", arguments: "{\"city\":\"Bonn\"}" },
          { id: "c2", name: "weather", arguments: "{\"city\":\"Köln\"}" }
        ]
      })
      mock.on({ userMessage: "compare", hasToolResult: true }, { content: "The same." })
      yield* Effect.gen(function*() {
        const whole = yield* Chat.empty
        const { toolResults } = yield* whole.generateText({ prompt: "compare", toolkit })
        assert.sameDeepMembers(toolResults.map(({ id, result }) => ({ id, result })), [
          { id: "c1", result: { sky: "sunny in Bonn" } },
          { id: "c2", result: { sky: "sunny in Köln" } }
        ])
        assert.strictEqual((yield* whole.generateText({ prompt: [], toolkit })).text, "The same.")
        const live = yield* Chat.empty
        const parts = yield* Stream.runCollect(live.streamText({ prompt: "compare", toolkit }))
        assert.lengthOf(parts.filter((part) => part.type === "tool-result"), 2)
        assert.strictEqual((yield* live.generateText({ prompt: [], toolkit })).text, "The same.")
      }).pipe(Effect.provide(handlers), chatting(client, mock.url))
    }))

  it.effect("gives an object, and an error with its reason", () =>
    Effect.gen(function*() {
      const mock = yield* makeMock
      mock.onMessage("person", { content: "{\"name\":\"Ada\"}" })
      mock.onMessage("busy", { error: { message: "slow down" }, status: 429, retryAfter: 400 })
      yield* Effect.gen(function*() {
        const schema = Schema.Struct({ name: Schema.String })
        assert.deepStrictEqual((yield* LanguageModel.generateObject({ prompt: "person", schema })).value, {
          name: "Ada"
        })
        aiReasonOf(yield* Effect.flip(LanguageModel.generateText({ prompt: "busy" })), "RateLimitError")
      }).pipe(chatting(client, mock.url))
    }))
})
