import { createAnthropic } from "@ai-sdk/anthropic"
import Anthropic, { NotFoundError, RateLimitError } from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { generateText, isStepCount, streamText, tool } from "ai"
import { Effect, Redacted } from "effect"
import { z } from "zod"
import {
  ask,
  block,
  end,
  events,
  numberedMessages,
  start,
  streamedMessage,
  text,
  textBlock
} from "./support/anthropic.ts"
import { type Client, makeServer, user } from "./support/server.ts"
import { json, makeUpstream, type Received, type Reply, startStream, upstreams } from "./support/upstream.ts"

/** A client as it comes, with the requests that it sends counted. */
const anthropic = (server: Client, place: string, options: object = {}) => {
  const sent: Array<string> = []
  const client = new Anthropic({
    apiKey: "sk-ant-test-key",
    baseURL: server.url + place,
    fetch: (url, init) => {
      sent.push(url instanceof Request ? url.url : url.toString())
      return fetch(url, init)
    },
    ...options
  })
  return { client, sent }
}

/** Thinks, calls two tools, and answers when it has their results. */
const agent: Reply = (response, received, index) => {
  const { messages } = received.body
  const input = (...pieces: ReadonlyArray<string>) =>
    pieces.map((partial_json) => ({ type: "input_json_delta", partial_json }))
  const reply = messages.length > 1
    ? streamedMessage(...textBlock(0, `It is ${messages.length}`, " degrees \u{1F600}."), ...end())
    : streamedMessage(
      ...block(0, { type: "thinking", thinking: "", signature: "" }, { type: "thinking_delta", thinking: "Hm, " }, {
        type: "thinking_delta",
        thinking: "two cities."
      }, { type: "signature_delta", signature: "c2ln" }),
      ...block(1, { type: "redacted_thinking", data: "cmVk" }),
      ["ping"],
      ...block(
        2,
        { type: "tool_use", id: `toolu_${index}a`, name: "weather", input: {} },
        ...input("", "{\"city\": \"Par", "is\"}")
      ),
      ...block(
        3,
        { type: "tool_use", id: `toolu_${index}b`, name: "weather", input: {} },
        ...input("{\"city\":\"Rome\"}")
      ),
      ...end("tool_use", { container: null, stop_details: null })
    )
  reply(response, received, index)
}

const weather = {
  name: "weather",
  description: "The weather of a city",
  input_schema: { type: "object" as const, properties: { city: { type: "string" } } }
}

describe("the SDK of Anthropic", () => {
  const conversation = async ({ messages }: Pick<Anthropic, "messages">) => {
    const settings = {
      model: "claude",
      max_tokens: 2000,
      thinking: { type: "enabled" as const, budget_tokens: 1024 },
      tools: [weather]
    }
    const deltas: Array<string> = []
    const asked = [{ role: "user" as const, content: "The weather in Paris and Rome?" }]
    const first = await messages.stream({ ...settings, messages: asked })
      .on("thinking", (delta) => deltas.push(delta))
      .on("inputJson", (delta) => deltas.push(delta))
      .finalMessage()
    const results = first.content.flatMap((block) =>
      block.type === "tool_use" ? [{ type: "tool_result" as const, tool_use_id: block.id, content: "9" }] : []
    )
    const second = await messages.stream({
      ...settings,
      messages: [...asked, { role: "assistant", content: first.content }, { role: "user", content: results }]
    }).finalMessage()
    return { deltas: deltas.join(""), messages: [first, second] }
  }

  it.live("streams thinking and tools, twice, equal, also when the provider is dead", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(agent)
      const server = yield* makeServer(upstreams(upstream.url))
      const talk = (run: string) =>
        Effect.promise(() => conversation(anthropic(server, `/run/${run}/independent`).client))
      const first = yield* talk("a")
      assert.strictEqual(upstream.received.length, 2)
      upstream.reply = (response) => response.destroy()
      const second = yield* talk("b")
      assert.deepStrictEqual(second.messages, first.messages)
      assert.include(second.deltas, "two cities.")
      const [asked, answered] = second.messages
      assert.deepStrictEqual(asked!.content, [
        { type: "thinking", thinking: "Hm, two cities.", signature: "c2ln" },
        { type: "redacted_thinking", data: "cmVk" },
        { type: "tool_use", id: "toolu_0a", name: "weather", input: { city: "Paris" } },
        { type: "tool_use", id: "toolu_0b", name: "weather", input: { city: "Rome" } }
      ] as never)
      assert.strictEqual(asked!.stop_reason, "tool_use")
      assert.deepStrictEqual(answered!.content, [text("It is 3 degrees \u{1F600}.")] as never)
      assert.deepInclude(answered!.usage, { input_tokens: 7, cache_read_input_tokens: 2, output_tokens: 30 })
      const whole = anthropic(server, "/run/c/independent").client
      const message = yield* Effect.promise(() =>
        whole.messages.create({
          model: "claude",
          max_tokens: 2000,
          thinking: { type: "enabled", budget_tokens: 1024 },
          tools: [weather],
          messages: [{ role: "user", content: [{ type: "text", text: "The weather in Paris and Rome?" }] }]
        })
      )
      assert.deepStrictEqual(message.content, asked!.content)
      assert.strictEqual(upstream.received.length, 2)
    }))

  it.live("streams with beta features, twice, equal", () =>
    Effect.gen(function*() {
      const edits = { applied_edits: [{ type: "clear_tool_uses_20250919", cleared_tool_uses: 1 }] }
      const upstream = yield* makeUpstream((response) => {
        startStream(response)
        response.end(events(
          start({ container: { id: "c", expires_at: "2026" } }),
          ...textBlock(0, "a"),
          ["message_delta", {
            delta: { stop_reason: "end_turn", stop_sequence: null, stop_details: null },
            usage: { output_tokens: 9, iterations: [{ type: "message" }] },
            context_management: edits
          }],
          ["message_stop"]
        ))
      })
      const server = yield* makeServer(upstreams(upstream.url))
      const talk = (run: string) =>
        Effect.promise(() =>
          anthropic(server, `/run/${run}/independent`).client.beta.messages.stream({
            model: "claude",
            max_tokens: 9,
            betas: ["context-management-2025-06-27"],
            messages: [{ role: "user", content: "p" }]
          }).finalMessage()
        )
      const first = yield* talk("a")
      const { stop_details: _, ...second } = yield* talk("b")
      assert.deepStrictEqual({ ...second, stop_details: first.stop_details }, first)
      assert.deepStrictEqual(second.context_management, edits as never)
      assert.deepStrictEqual(upstream.received.map(({ path }) => path), ["/v1/messages"])
    }))

  it.live("that times out and tries again costs one request and one draw", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedMessages())
      const server = yield* makeServer(upstreams(upstream.url))
      const release = upstream.hold()
      const { client, sent } = anthropic(server, "/run/a/independent", { timeout: 300, maxRetries: 20 })
      const draw = () =>
        client.messages.create({ model: "claude", max_tokens: 9, messages: [{ role: "user", content: "p" }] })
      const first = draw()
      yield* upstream.until(1)
      while (sent.length < 2) yield* server.settle
      release()
      assert.deepStrictEqual((yield* Effect.promise(() => first)).content, [text("sample 0")] as never)
      assert.deepStrictEqual((yield* Effect.promise(draw)).content, [text("sample 1")] as never)
      assert.strictEqual(upstream.received.length, 2)
      assert.isAtLeast(sent.length, 3)
    }))

  it.live("that leaves in the middle of a stream gives its draw back", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      let finish = () => {}
      upstream.reply = (response, { body }, index) => {
        assert.isTrue(body.stream)
        startStream(response)
        response.write(events(start(), ...textBlock(0, `sample ${index}`)))
        finish = () => response.end(events(...end()))
        if (index > 0) finish()
      }
      const { client } = anthropic(server, "/run/a/independent")
      const stream = () =>
        client.messages.stream({ model: "claude", max_tokens: 9, messages: [{ role: "user", content: "p" }] })
      yield* Effect.promise(async () => {
        for await (const { type } of stream()) if (type === "content_block_delta") break
      })
      yield* server.settle
      finish()
      const texts = yield* Effect.replicateEffect(Effect.promise(() => stream().finalText()), 2)
      assert.deepStrictEqual(texts, ["sample 0", "sample 1"])
      assert.strictEqual(upstream.received.length, 2)
    }))

  it.live("does not retry a miss, and understands failures", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const failure = ({ client }: ReturnType<typeof anthropic>, isStreamed = false) =>
        Effect.promise(() =>
          client.messages.create({
            model: "claude",
            max_tokens: 9,
            stream: isStreamed,
            messages: [{ role: "user", content: "p" }]
          }).then(
            () => assert.fail("no failure"),
            (error: unknown) => error
          )
        )
      for (const isStreamed of [false, true]) {
        const missing = anthropic(server, "/replication", { maxRetries: 3 })
        const missed = yield* failure(missing, isStreamed)
        assert.instanceOf(missed, NotFoundError)
        assert.strictEqual(missed.type, "not_found_error")
        assert.include(missed.message, "replication")
        assert.strictEqual(missing.sent.length, 1)
      }
      assert.strictEqual(upstream.received.length, 0)
      upstream.reply = (response) =>
        json(response, { type: "error", error: { type: "rate_limit_error", message: "slow" } }, 429, {
          "retry-after": "7"
        })
      const limited = yield* failure(anthropic(server, "", { maxRetries: 0 }))
      assert.instanceOf(limited, RateLimitError)
      assert.strictEqual(limited.headers?.get("retry-after"), "7")
      upstream.reply = (response) =>
        json(response, { type: "error", error: { type: "overloaded_error", message: "busy" } }, 529)
      const busy = yield* failure(anthropic(server, "", { maxRetries: 0 }))
      assert.deepInclude(busy, { status: 529, type: "overloaded_error" })
    }))

  it.live("counts tokens, which samples nothing and passes to the upstream", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) => json(response, { input_tokens: 14 }))
      const server = yield* makeServer({
        upstreams: [
          { name: "other", url: "http://127.0.0.1:1/v1" },
          { name: "anthropic", url: upstream.url, key: Redacted.make("server-key") }
        ]
      })
      const { client } = anthropic(server, "/run/a/independent", { maxRetries: 0 })
      const count = (client: Anthropic) =>
        client.messages.countTokens({ model: "claude", messages: [{ role: "user", content: "p" }] })
      assert.deepStrictEqual(yield* Effect.promise(() => count(client)), { input_tokens: 14 })
      const [{ headers, path }] = upstream.received as [Received]
      assert.strictEqual(path, "/v1/messages/count_tokens")
      assert.strictEqual(headers["x-api-key"], "server-key")
      assert.isUndefined(headers.authorization)
      const missed = yield* Effect.promise(() =>
        count(anthropic(server, "/replication").client).then(() => assert.fail("no failure"), (error: unknown) => error)
      )
      assert.instanceOf(missed, NotFoundError)
      assert.strictEqual(upstream.received.length, 1)
    }))

  it.live("is told in the stream that it broke off", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) => {
        startStream(response)
        response.write(events(start(), ...textBlock(0, "half")), () => response.destroy())
      })
      const server = yield* makeServer(upstreams(upstream.url))
      const { client } = anthropic(server, "", { maxRetries: 0 })
      const error = yield* Effect.promise(() =>
        client.messages.stream({ model: "claude", max_tokens: 9, messages: [{ role: "user", content: "p" }] })
          .finalMessage().then(() => assert.fail("no failure"), (error: unknown) => error)
      )
      assert.deepInclude(error, { type: "api_error" })
      assert.include(String(error), "broke off")
    }))
})

describe("the AI SDK's provider for Anthropic", () => {
  const talk = async (server: Client, place: string) => {
    const { steps, text: told, toolCalls } = streamText({
      model: createAnthropic({ apiKey: "sk-ant-test-key", baseURL: server.url + place })("claude"),
      prompt: "The weather in Paris and Rome?",
      tools: {
        weather: tool({ inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `${city}: 9` })
      },
      stopWhen: isStepCount(3),
      maxOutputTokens: 2000,
      maxRetries: 0
    })
    const taken = await steps
    return {
      text: await told,
      toolCalls: await toolCalls,
      steps: taken.map(({ content, finishReason, usage }) => ({ content, finishReason, usage }))
    }
  }

  it.live("loops over tools, streamed, twice, equal, with `/v1` in its base URL and without", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(agent)
      const server = yield* makeServer(upstreams(upstream.url))
      const first = yield* Effect.promise(() => talk(server, "/run/a/independent/v1"))
      assert.strictEqual(first.text, "It is 3 degrees \u{1F600}.")
      assert.strictEqual(first.steps.length, 2)
      assert.strictEqual(first.steps[0]!.content.filter(({ type }) => type === "tool-result").length, 2)
      upstream.reply = (response) => response.destroy()
      assert.deepStrictEqual(yield* Effect.promise(() => talk(server, "/run/b/independent")), first)
      assert.strictEqual(upstream.received.length, 2)
    }))

  it.live("shares plain requests with other clients, and does not retry a miss", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedMessages())
      const server = yield* makeServer(upstreams(upstream.url))
      yield* ask(server, "", { messages: user("p"), system: "s" })
      let sent = 0
      const model = createAnthropic({
        apiKey: "sk-ant-test-key",
        baseURL: `${server.url}/replication/v1`,
        fetch: (url, init) => {
          sent++
          return fetch(url, init)
        }
      })("claude")
      const settings = { model, system: "s", maxOutputTokens: 100, maxRetries: 2 }
      const { text: told } = yield* Effect.promise(() => generateText({ ...settings, prompt: "p" }))
      assert.strictEqual(told, "sample 0")
      const missed = yield* Effect.promise(() =>
        generateText({ ...settings, prompt: "q" }).then(() => assert.fail("no failure"), (error: unknown) => error)
      )
      assert.include(String(missed), "replication")
      assert.strictEqual(sent, 2)
    }))
})

describe("the list of models", () => {
  it.live("is read by Anthropic's client, with the aliases and the models of the cache", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedMessages())
      const server = yield* makeServer({
        ...upstreams(upstream.url),
        aliases: [{ alias: "fast", upstream: "test", model: "claude-haiku" }]
      })
      const { client } = anthropic(server, "")
      yield* ask(server, "", { messages: user("p") })
      const page = yield* Effect.promise(() => client.models.list())
      const ids: Array<string> = []
      yield* Effect.promise(async () => {
        for await (const { display_name, id, type } of page) ids.push(`${type} ${id} ${display_name}`)
      })
      assert.deepStrictEqual(ids, ["model fast fast", "model claude claude"])
      assert.deepStrictEqual([page.has_more, page.first_id, page.last_id], [false, "fast", "claude"])
      const one = yield* Effect.promise(() => client.models.retrieve("claude"))
      assert.deepStrictEqual(
        [one.type, one.id, Date.parse(one.created_at)],
        ["model", "claude", 0]
      )
      const error = yield* Effect.promise(() => client.models.retrieve("slow").catch((error: unknown) => error))
      assert.instanceOf(error, NotFoundError)
      assert.propertyVal(error.error, "type", "error")
      const openai = yield* server.send("/v1/models")
      assert.deepStrictEqual([openai.json.object, openai.json.data[0].object], ["list", "model"])
    }))
})
