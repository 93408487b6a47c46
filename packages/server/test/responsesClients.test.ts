import { createOpenAI } from "@ai-sdk/openai"
import { LLMock } from "@copilotkit/aimock"
import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore } from "@llm-cache/core"
import { isStepCount, streamText, tool } from "ai"
import { Effect, type Scope } from "effect"
import OpenAI, { APIError, NotFoundError } from "openai"
import { z } from "zod"
import {
  answering,
  callItem,
  events,
  eventsFor,
  messageItem,
  reasoningItem,
  responseOf,
  streaming,
  textPart
} from "./support/responses.ts"
import { makeDirectory, makeServer } from "./support/server.ts"
import { json, makeUpstream, startStream, upstreams } from "./support/upstream.ts"

/** A provider, and the count of its requests. */
interface Provider {
  readonly url: string
  readonly asked: () => number
}

const turns = [
  { reasoning: "Where is it?", content: "", calls: [["locate", "{\"name\":\"Eiffel \u{1F5FC}\"}"]] },
  { reasoning: "", content: "In Paris.", calls: [["weather", "{\"city\":\"Paris\"}"], ["time", "{}"]] },
  { reasoning: "", content: "It is sunny, and noon.\r\n\u{1F31E}", calls: [] }
] as const

const scripted: Effect.Effect<Provider, never, Scope.Scope> = Effect.map(
  makeUpstream((response, received, index) => {
    const outputs = received.body.input.filter(({ type }: any) => type === "function_call_output").length
    const { calls, content, reasoning } = turns[outputs === 0 ? 0 : outputs === 1 ? 1 : 2]
    const output = [
      ...reasoning === "" ? [] : [reasoningItem(reasoning)],
      ...content === "" ? [] : [messageItem(content)],
      ...calls.map(([name, args]) => callItem(name, args))
    ]
    streaming(output)(response, received, index)
  }),
  ({ received, url }) => ({ url, asked: () => received.length })
)

/** A provider that others wrote. */
const aimock: Effect.Effect<Provider, never, Scope.Scope> = Effect.gen(function*() {
  const mock = yield* Effect.acquireRelease(
    Effect.promise(() => {
      const mock = new LLMock({ port: 0 })
      for (const [turn, { calls, content, reasoning }] of turns.entries()) {
        const toolCalls = calls.map(([name, args]) => ({ name, arguments: args }))
        mock.on(
          { predicate: ({ messages }) => messages.filter(({ role }) => role === "tool").length === [0, 1, 3][turn] },
          {
            ...reasoning === "" ? undefined : { reasoning },
            ...content === "" ? undefined : { content },
            ...toolCalls.length === 0 ? undefined : { toolCalls }
          }
        )
      }
      return mock.start().then(() => mock)
    }),
    (mock) => Effect.promise(() => mock.stop())
  )
  return { url: `${mock.url}/v1`, asked: () => mock.getRequests().length }
})

/** The AI SDK's provider as it comes, which reads the base URL of the environment. */
const defaultProvider = (url: string) => {
  const before = process.env["OPENAI_BASE_URL"]
  process.env["OPENAI_BASE_URL"] = `${url}/v1`
  process.env["OPENAI_API_KEY"] ??= "none"
  try {
    const provider = createOpenAI()
    // It reads the variable when it makes the model.
    return provider("gpt-4o")
  } finally {
    if (before === undefined) delete process.env["OPENAI_BASE_URL"]
    else process.env["OPENAI_BASE_URL"] = before
  }
}

/** Runs an agent, and tells what it has seen. */
const runAgent = (url: string) =>
  Effect.promise(async () => {
    const errors: Array<unknown> = []
    const result = streamText({
      model: defaultProvider(url),
      instructions: "Be short.",
      prompt: "How is the weather at the Eiffel tower, and what time is it?",
      tools: {
        locate: tool({
          inputSchema: z.object({ name: z.string() }),
          execute: () => Promise.resolve({ city: "Paris" })
        }),
        weather: tool({ inputSchema: z.object({ city: z.string() }), execute: () => Promise.resolve("sunny") }),
        time: tool({ inputSchema: z.object({}), execute: () => Promise.resolve(12) })
      },
      stopWhen: isStepCount(5),
      onError: ({ error }) => void errors.push(error)
    })
    const steps = await result.steps
    assert.deepStrictEqual(errors, [])
    return steps.map(({ content, finishReason, providerMetadata, response, usage }) => ({
      content,
      finishReason,
      providerMetadata,
      usage,
      response: { id: response.id, timestamp: response.timestamp, modelId: response.modelId }
    }))
  })

describe("the AI SDK, as it comes", () => {
  for (const [name, makeProvider] of Object.entries({ scripted, aimock })) {
    it.live(
      `runs a loop of tools over three turns as a stream, and again without a provider (${name})`,
      () =>
        Effect.gen(function*() {
          const directory = yield* makeDirectory
          const first = yield* Effect.scoped(Effect.gen(function*() {
            const provider = yield* makeProvider
            const alone = yield* runAgent(provider.url.replace(/\/v1$/, ""))
            assert.strictEqual(provider.asked(), 3)
            const server = yield* makeServer(upstreams(provider.url), DirectoryStore.layer(directory))
            const steps = yield* runAgent(`${server.url}/run/first/independent`)
            assert.strictEqual(provider.asked(), 6)
            // But for the ids, it is what the provider tells.
            const shape = (all: typeof steps) =>
              all.map(({ content, finishReason, usage }) => [
                content.map((
                  part
                ) => [part.type, "text" in part ? part.text : "input" in part ? part.input : undefined]),
                finishReason,
                usage
              ])
            assert.deepStrictEqual(shape(steps), shape(alone))
            assert.strictEqual(steps.length, 3)
            return steps
          }))
          const server = yield* makeServer(upstreams("http://127.0.0.1:1/v1"), DirectoryStore.layer(directory))
          assert.deepStrictEqual(yield* runAgent(`${server.url}/run/second/independent`), first)
          assert.deepStrictEqual(yield* runAgent(`${server.url}/run/third/independent/replication`), first)
          assert.strictEqual(
            first[2]!.content.map((part) => part.type === "text" ? part.text : "").join(""),
            turns[2].content
          )
        }),
      20_000
    )
  }
})

const makeOpenAi = (url: string) => {
  const requests: Array<string> = []
  const client = new OpenAI({
    apiKey: "none",
    baseURL: `${url}/v1`,
    fetch: (input, init) => {
      requests.push(typeof input === "string" ? input : "")
      return fetch(input, init)
    }
  })
  return { client, requests }
}

describe("OpenAI's client", () => {
  const output = () => [
    { ...reasoningItem("Hmm.", "So."), content: [{ type: "reasoning_text", text: "Deep." }] },
    messageItem(
      textPart("some words, \u{1F600}\r\n", {
        annotations: [{ type: "url_citation", start_index: 0, end_index: 1, url: "http://a", title: "a" }],
        logprobs: [{ token: "t", logprob: -0.1, bytes: [116], top_logprobs: [] }]
      })
    ),
    callItem("f", "{\"x\":[1,2]}"),
    { id: "ci_1", type: "code_interpreter_call", status: "completed", code: "1+1", container_id: "c", outputs: null }
  ]

  it.live("gets one response from `create` and `stream`, live and replayed", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const { client } = makeOpenAi(server.url)
      const whole = responseOf(output())
      upstream.reply = (response) => json(response, whole)
      const body = { model: "m", input: "p" }
      const created = yield* Effect.promise(() => client.responses.create(body))
      assert.deepStrictEqual(created.output, whole.output as never)
      assert.strictEqual(created.output_text, "some words, \u{1F600}\r\n")
      const replayed = yield* Effect.promise(() => client.responses.stream(body).finalResponse())
      assert.strictEqual(replayed.id, created.id)
      assert.strictEqual(replayed.output_text, created.output_text)
      const plain = (value: unknown) =>
        JSON.parse(
          JSON.stringify(value, (name, value: unknown) => /^(?:output_)?parsed/.test(name) ? undefined : value)
        )
      assert.deepStrictEqual(plain(replayed), plain(created))

      upstream.reply = streaming([messageItem("a b c d e f g h"), callItem("f", "{\"x\":[1,2]}")])
      const live = yield* Effect.promise(() => client.responses.stream({ ...body, input: "q" }).finalResponse())
      const again = yield* Effect.promise(() => client.responses.stream({ ...body, input: "q" }).finalResponse())
      const once = yield* Effect.promise(() => client.responses.create({ ...body, input: "q" }))
      assert.deepStrictEqual(again, live)
      assert.deepStrictEqual(plain(live), plain(once))
      assert.strictEqual(upstream.received.length, 2)
    }))

  it.live("goes on with the answers of a replay", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const answers = [[reasoningItem("Hmm."), callItem("f", "{}")], [messageItem("done")], [messageItem("bye")]]
      upstream.reply = (response, received, index) =>
        (received.body.stream ? streaming : answering)(answers[index]!)(response, received, index)
      const converse = async (place: string) => {
        const { client } = makeOpenAi(`${server.url}${place}`)
        const tools = [{ type: "function" as const, name: "f", strict: true, parameters: { type: "object" } }]
        const input: Array<OpenAI.Responses.ResponseInputItem> = [{ role: "user", content: "p" }]
        const first = await client.responses.stream({ model: "m", input, tools }).finalResponse()
        input.push(...first.output as typeof input)
        for (const item of first.output) {
          if (item.type === "function_call") {
            input.push({ type: "function_call_output", call_id: item.call_id, output: "r" })
          }
        }
        const second = await client.responses.create({ model: "m", input, tools })
        const third = await client.responses.create({ model: "m", input: "thanks", previous_response_id: second.id })
        return [second.output_text, third.output_text]
      }
      for (const place of ["/run/a/independent", "/run/b/independent", "/run/c/replication/independent"]) {
        assert.deepStrictEqual(yield* Effect.promise(() => converse(place)), ["done", "bye"])
      }
      assert.strictEqual(upstream.received.length, 3)
      assert.match(upstream.received[2]!.body.previous_response_id, /^resp_/)
    }))

  it.live("does not ask again for a miss in replication", () =>
    Effect.gen(function*() {
      const server = yield* makeServer({ replication: true })
      const { client, requests } = makeOpenAi(server.url)
      const body = { model: "m", input: "p" }
      const missed = yield* Effect.flip(Effect.tryPromise(() => client.responses.create(body)))
      assert.instanceOf(missed.cause, NotFoundError)
      assert.strictEqual(missed.cause.code, "replication_cache_miss")
      const inStream = yield* Effect.flip(Effect.tryPromise(() => client.responses.stream(body).finalResponse()))
      assert.instanceOf(inStream.cause, NotFoundError)
      assert.strictEqual(requests.length, 2)
      const errors: Array<any> = []
      yield* Effect.promise(() =>
        streamText({
          model: defaultProvider(server.url),
          prompt: "p",
          onError: ({ error }) => void errors.push(error)
        }).consumeStream()
      )
      assert.deepInclude(errors[0], { statusCode: 404, isRetryable: false })
      assert.strictEqual(errors.length, 1)
    }))

  it.live("throws the error of a stream that breaks off", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) => {
        startStream(response)
        response.end(events([
          ...eventsFor([messageItem("half")]).slice(0, 5),
          ["response.failed", {
            response: responseOf([], { status: "failed", error: { code: "server_error", message: "busy today" } })
          }]
        ]))
      })
      const server = yield* makeServer(upstreams(upstream.url))
      const { client, requests } = makeOpenAi(server.url)
      const texts: Array<string> = []
      const failed = yield* Effect.flip(Effect.tryPromise(async () => {
        const stream = await client.responses.create({ model: "m", input: "p", stream: true })
        for await (const event of stream) {
          if (event.type === "response.output_text.delta") texts.push(event.delta)
        }
      }))
      assert.instanceOf(failed.cause, APIError)
      assert.include(failed.cause.message, "busy today")
      assert.strictEqual(failed.cause.code, "server_error")
      assert.deepStrictEqual(texts, ["half"])
      assert.strictEqual(requests.length, 1)
      assert.strictEqual(upstream.received.length, 1)
    }))
})
