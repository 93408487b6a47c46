// A program behaves alike with a bare provider and over an empty cache: every method with every reply of a server.
import { assert, describe, it } from "@effect/vitest"
import { CachedModel, RequestModel } from "@llm-cache/ai"
import { Independent, type InvalidInput, LlmModel, MemoryStore, Persistent, type SampleStore } from "@llm-cache/core"
import * as ChatCompletionsModel from "@llm-cache/providers/ChatCompletionsModel"
import { type Cause, Effect, Exit, Layer, Redacted, Schedule, Schema, Stream } from "effect"
import { AiError, Chat, LanguageModel, Tool, Toolkit } from "effect/ai"
import { FetchHttpClient } from "effect/http"
import { makeChatServer, type Reply } from "./support/chatServer.ts"
import { samplesOf } from "./support/listed.ts"

class NoSuchCity extends Schema.TaggedError<NoSuchCity>()("NoSuchCity", { city: Schema.String }) {}

const parameters = Schema.Struct({ city: Schema.String })

const toolkit = Toolkit.make(
  Tool.make("weather", { parameters, success: Schema.Int, failure: NoSuchCity }),
  Tool.make("forecast", { parameters, success: Schema.Int, failure: NoSuchCity, failureMode: "return" })
)

/** Handlers that note their calls. */
const handlers = (calls: Array<string>) => {
  const handle = (name: string) => ({ city }: { readonly city: string }) =>
    Effect.suspend(() => {
      calls.push(`${name} ${city}`)
      return city === "Nowhere" ? Effect.fail(new NoSuchCity({ city })) : Effect.succeed(city.length)
    })
  return toolkit.toLayer({ weather: handle("weather"), forecast: handle("forecast") })
}

const prompt = "What now?"

const schema = Schema.Struct({ name: Schema.String, note: Schema.optionalKey(Schema.String) })

const contentOf = <E, R>(response: Effect.Effect<{ readonly content: unknown }, E, R>) =>
  Effect.map(response, ({ content }) => content)

/** The parts that a stream showed, also in front of its error. */
const partsOf = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.gen(function*() {
    const parts: Array<A> = []
    const exit = yield* Effect.exit(Stream.runForEach(stream, (part) => Effect.sync(() => parts.push(part))))
    return [parts, Exit.isSuccess(exit) ? "whole" : shownCause(exit.cause)]
  })

const programs = {
  "text": contentOf(LanguageModel.generateText({ prompt })),
  "text with tools": contentOf(LanguageModel.generateText({ prompt, toolkit })),
  "text with unresolved tools": contentOf(
    LanguageModel.generateText({ prompt, toolkit, disableToolCallResolution: true })
  ),
  "text with deferred tools": contentOf(
    LanguageModel.generateText({ prompt, toolkit, disableToolCallResolution: true, toolCallValidation: "deferred" })
  ),
  "one of the tools": contentOf(
    LanguageModel.generateText({ prompt, toolkit, toolChoice: { oneOf: ["weather"] as const } })
  ),
  "object": Effect.map(
    LanguageModel.generateObject({ prompt, schema }),
    ({ content, value }) => [content, value]
  ),
  "object with tools": Effect.map(
    LanguageModel.generateObject({ prompt, schema, toolkit }),
    ({ content, value }) => [content, value]
  ),
  "stream": partsOf(LanguageModel.streamText({ prompt })),
  "stream with tools": partsOf(LanguageModel.streamText({ prompt, toolkit })),
  "chat": Effect.gen(function*() {
    const chat = yield* Chat.empty
    const first = yield* chat.generateText({ prompt, toolkit })
    const second = yield* chat.generateText({ prompt: first.toolCalls.length > 0 ? [] : "And then?", toolkit })
    return [first.content, second.content, yield* chat.exportJson]
  }),
  "chat of streams": Effect.gen(function*() {
    const chat = yield* Chat.empty
    const first = yield* partsOf(chat.streamText({ prompt, toolkit }))
    return [first, yield* partsOf(chat.streamText({ prompt: [], toolkit }))]
  }),
  "retry": contentOf(LanguageModel.generateText({ prompt, toolkit })).pipe(
    Effect.retry({ times: 2, while: (error) => AiError.isAiError(error) && error.isRetryable })
  )
}

const call = (name: string, args: unknown, id = "c1") => ({
  id,
  type: "function",
  function: { name, arguments: typeof args === "string" ? args : JSON.stringify(args) }
})

const calling = (...tool_calls: ReadonlyArray<object>): Reply => ({ message: { tool_calls }, finish: "tool_calls" })

const failure = (status: number, message: string, fields = {}, headers = {}): Reply => ({
  status,
  body: { error: { message, ...fields } },
  headers
})

const replies: Record<string, ReadonlyArray<Reply>> = {
  "a text": [{ message: { content: "Grüße 😀" } }],
  "a text with reasoning": [{ message: { reasoning: "hm, hm", content: "so" } }],
  "an empty text": [{ message: { content: "" } }],
  "no message": [{ message: {} }],
  "a text that is cut off": [{ message: { content: "so far" }, finish: "length" }],
  "a filtered text": [{ message: { content: "so" }, finish: "content_filter" }],
  "a refusal": [{ message: { refusal: "I will not" } }],
  "an object": [{ message: { content: `{"name":"Ada","note":null}` } }],
  "an object that does not decode": [{ message: { content: `{"name":5,"note":null}` } }],
  "an object that is cut off": [{ message: { content: `{"name":"A` }, finish: "length" }],
  "a call": [calling(call("weather", { city: "Rome" })), { message: { content: "sunny" } }],
  "two calls": [
    calling(call("weather", { city: "Rome" }), call("forecast", { city: "Oslo" }, "c2")),
    { message: { content: "sunny" } }
  ],
  "two calls of one id": [
    calling(call("weather", { city: "Rome" }), call("weather", { city: "Oslo" })),
    { message: { content: "sunny" } }
  ],
  "a call that fails": [calling(call("weather", { city: "Nowhere" }))],
  "a call that returns its failure": [
    calling(call("forecast", { city: "Nowhere" })),
    { message: { content: "unknown" } }
  ],
  "a call of a tool that was not offered": [calling(call("deploy", {}))],
  "a call with wrong parameters": [calling(call("weather", { town: 1 })), { message: { content: "sorry" } }],
  "a call with parameters that are no JSON": [calling(call("weather", "{city")), { message: { content: "sorry" } }],
  "a call that is cut off": [{ message: { tool_calls: [call("weather", { city: "Rome" })] }, finish: "length" }],
  "400": [failure(400, "wrong field")],
  "400, a context that is too long": [failure(400, "too long", { code: "context_length_exceeded" })],
  "400, a content policy": [failure(400, "no", { code: "content_filter" })],
  "401": [failure(401, "wrong key")],
  "404": [failure(404, "no such model")],
  "429": [failure(429, "slow down", {}, { "retry-after": "0" })],
  "429, without money": [failure(429, "pay", { code: "insufficient_quota" })],
  "500, and then a text": [failure(500, "oops"), { message: { content: "here" } }],
  "503": [failure(503, "busy")],
  "a closed connection": ["closed"],
  "an answer that is cut": [{ message: { content: "so far so good" }, cut: true }],
  "a call that is cut": [{ message: { content: "so", tool_calls: [call("weather", { city: "Rome" })] }, cut: true }],
  "no JSON": [{ status: 200, body: "<html>" }],
  "another JSON": [{ status: 200, body: { hello: 1 } }]
}

const shownCause = (cause: Cause.Cause<unknown>) =>
  cause.reasons.map((part) => {
    if (part._tag !== "Fail") return part
    const { error } = part
    if (!AiError.isAiError(error)) return error
    // The module that fails for an unknown tool is the provider's, if it is bare.
    const { isRetryable, message, method, reason, retryAfter } = error
    return [message.replace(/^\w+\./, ""), method, isRetryable, retryAfter, Object.entries(reason)]
  })

const settings = { model: "gpt-mock", config: { temperature: 1 } }

type Provider = (options: typeof settings) => Layer.Layer<LanguageModel.LanguageModel, InvalidInput.InvalidInput>

const bare = (provider: Provider) => provider(settings)

const cached = (store: SampleStore.Store) => (provider: Provider) =>
  CachedModel.layer().pipe(Layer.provide(
    LlmModel.stack(Independent.layer, Persistent.layer({ store }), RequestModel.from(provider, settings))
  ))

const replayed = (store: SampleStore.Store) => () =>
  CachedModel.layer().pipe(Layer.provide(LlmModel.stack(
    Independent.layer,
    Persistent.layerReplication({ store, ...RequestModel.identity({ model: settings.model, ...settings.config }) })
  )))

/** Runs a program over the server's script, and gives all that it does and says. */
const makeRun = Effect.map(makeChatServer, ({ baseUrl, bodies, replies }) => {
  const provider: Provider = (options) =>
    ChatCompletionsModel.layer({
      baseUrl,
      apiKey: Redacted.make("sk-secret-test-key"),
      retry: Schedule.recurs(0),
      ...options
    }).pipe(Layer.provide(FetchHttpClient.layer))

  return Effect.fnUntraced(function*(
    program: (typeof programs)[keyof typeof programs],
    script: ReadonlyArray<Reply>,
    model: (provider: Provider) => Layer.Layer<LanguageModel.LanguageModel, InvalidInput.InvalidInput>
  ) {
    bodies.length = 0
    replies.splice(0, Infinity, ...script)
    const calls: Array<string> = []
    const exit = yield* Effect.exit(
      program.pipe(Effect.provide(handlers(calls)), Effect.provide(model(provider)))
    )
    return {
      // JSON: whether a field is absent or undefined does not count.
      outcome: JSON.parse(JSON.stringify(Exit.isSuccess(exit) ? exit.value : shownCause(exit.cause))),
      calls,
      bodies: [...bodies]
    }
  })
})

type Name = keyof typeof programs

describe("a program over an empty cache", () => {
  it.live.each(Object.keys(programs) as Array<Name>)(
    "asks, fails and calls its tools as over a bare provider: %s",
    (name) =>
      Effect.gen(function*() {
        const run = yield* makeRun
        for (const [of, script] of Object.entries(replies)) {
          const store = yield* MemoryStore.make
          const expected = yield* run(programs[name], script, bare)
          assert.deepStrictEqual(yield* run(programs[name], script, cached(store)), expected, of)
          const { bodies, ...again } = yield* run(programs[name], script, replayed(store))
          assert.deepStrictEqual(bodies, [], of)
          // A provider's failure is not recorded.
          if ((yield* samplesOf(store)).length < expected.bodies.length) continue
          assert.deepStrictEqual(again, { outcome: expected.outcome, calls: expected.calls }, of)
        }
      })
  )
})
