import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, Fork, LlmModel, MemoryStore, Persistent, SampleStore } from "@llm-cache/core"
import { Anthropic } from "@llm-cache/providers"
import { Context, Effect, Layer, Redacted, Result, Stream } from "effect"
import { answering, ask, eventsIn, messageOf, numberedMessages, text } from "./support/anthropic.ts"
import { makeDirectory, makeServer, user } from "./support/server.ts"
import { json, makeUpstream, upstreams } from "./support/upstream.ts"

const call = (id: string, fields: object = {}) => [
  ...user("p"),
  { role: "assistant", content: [{ type: "tool_use", id, name: "f", input: { id, x: null }, ...fields }] },
  { role: "user", content: [{ type: "tool_result", tool_use_id: id, content: "r" }] }
]

describe("messages", () => {
  it.live("are replayed, with equal bodies cold and warm, and go on in a run", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedMessages())
      const server = yield* makeServer(upstreams(upstream.url))
      const cold = yield* ask(server, "", { messages: user("p") })
      const warm = yield* ask(server, "", { messages: user("p") })
      assert.strictEqual(cold.status, 200, cold.text)
      assert.strictEqual(warm.text, cold.text)
      const { id, ...message } = cold.json
      assert.match(id, /^msg_\d+$/)
      assert.deepStrictEqual(message, {
        type: "message",
        role: "assistant",
        model: "claude",
        content: [text("sample 0")],
        stop_reason: "end_turn",
        stop_sequence: null,
        usage: { input_tokens: 7, output_tokens: 3 }
      })
      assert.strictEqual(warm.headers["cache-status"], "llm-cache; hit")
      const run = Effect.map(
        Effect.replicateEffect(ask(server, "/run/r/independent", { messages: user("p") }), 2),
        (answers) => answers.map(({ json }) => json.content[0].text)
      )
      assert.deepStrictEqual(yield* run, ["sample 0", "sample 1"])
      assert.deepStrictEqual(upstream.received.map(({ path }) => path), ["/v1/messages", "/v1/messages"])
      assert.deepStrictEqual(upstream.received[0]!.body, { model: "claude", max_tokens: 100, messages: user("p") })
    }))

  it.live("keep all blocks and details of an answer", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url), DirectoryStore.layer(yield* makeDirectory))
      const contents: ReadonlyArray<ReadonlyArray<object>> = [
        [
          { type: "thinking", thinking: "Hm, hm.", signature: "c2ln" },
          { type: "redacted_thinking", data: "cmVk" },
          text("a"),
          { type: "text", text: "b", citations: [{ type: "char_location", cited_text: "c", document_title: null }] },
          { type: "tool_use", id: "toolu_1", name: "f", input: {} },
          { type: "tool_use", id: "toolu_2", name: "g", input: { b: 1, a: null } },
          { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: { query: "q" } },
          { type: "web_search_tool_result", tool_use_id: "srvtoolu_1", content: [{ type: "web_search_result" }] },
          { type: "something_new", fields: [1, { x: null }] }
        ],
        [{ type: "text", text: "t", citations: null }],
        [text("")],
        []
      ]
      const usage = {
        input_tokens: 7,
        cache_creation_input_tokens: 5,
        cache_read_input_tokens: 11,
        cache_creation: { ephemeral_5m_input_tokens: 5, ephemeral_1h_input_tokens: 0 },
        output_tokens: 3,
        service_tier: "standard"
      }
      for (const [i, content] of contents.entries()) {
        const fields = { stop_reason: "stop_sequence", stop_sequence: "x", usage, container: { id: "c" } }
        upstream.reply = answering(content, fields)
        const body = { messages: user(`p${i}`), tools: [{ name: "f", input_schema: {} }] }
        const cold = yield* ask(server, "", body)
        const warm = yield* ask(server, "", body)
        assert.strictEqual(warm.text, cold.text)
        assert.deepStrictEqual(warm.json.content, content)
        assert.deepInclude(warm.json, fields)
      }
    }))

  it.live("keep integers beyond 2^53 in the input of a tool", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) =>
        json(
          response,
          JSON.stringify(messageOf([{ type: "tool_use", id: "t", name: "f", input: { id: "N" } }], {
            stop_reason: "tool_use"
          })).replace("\"N\"", "1234567890123456789")
        )
      )
      const server = yield* makeServer(upstreams(upstream.url), DirectoryStore.layer(yield* makeDirectory))
      for (let i = 0; i < 2; i++) {
        const { text } = yield* ask(server, "", { messages: user("p") })
        assert.include(text, "\"input\":{\"id\":1234567890123456789}")
      }
      const streamed = yield* ask(server, "", { messages: user("p"), stream: true })
      const pieces = eventsIn(streamed.text).map(({ delta }) => delta?.partial_json ?? "")
      assert.strictEqual(pieces.join(""), "{\"id\":1234567890123456789}")
    }))

  it.live("answer with the samples of chats and of the library, and the other way round", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const reasons: ReadonlyArray<[chat: string, messages: string]> = [
        ["stop", "end_turn"],
        ["length", "max_tokens"],
        ["content_filter", "refusal"],
        ["something", "something"]
      ]
      for (const [chat, stop] of reasons) {
        upstream.reply = (response) =>
          json(response, {
            id: "chatcmpl-1",
            choices: [{
              index: 0,
              message: { role: "assistant", content: chat, reasoning_content: "Hm." },
              finish_reason: chat
            }],
            usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }
          })
        const body = { model: "claude", messages: user(chat), max_tokens: 100 }
        yield* server.chat("", body)
        const answer = yield* ask(server, "/replication", body)
        assert.strictEqual(answer.status, 200, answer.text)
        // Reasoning without a signature cannot be sent back.
        assert.deepStrictEqual(answer.json.content, [text(chat)])
        assert.strictEqual(answer.json.stop_reason, stop)
        assert.deepStrictEqual(answer.json.usage, { input_tokens: 5, output_tokens: 2 })
      }
      const back: ReadonlyArray<[stop: string, chat: string]> = [
        ["end_turn", "stop"],
        ["stop_sequence", "stop"],
        ["max_tokens", "length"],
        ["model_context_window_exceeded", "length"],
        ["refusal", "content_filter"]
      ]
      for (const [stop, chat] of back) {
        upstream.reply = answering([text("a"), text("b")], { stop_reason: stop })
        const body = { model: "claude", messages: user(stop), max_tokens: 100 }
        yield* ask(server, "", body)
        const { json: answer } = yield* server.chat("/replication", body)
        assert.strictEqual(answer.choices[0].message.content, "ab")
        assert.strictEqual(answer.choices[0].finish_reason, chat)
        assert.deepStrictEqual(answer.usage, { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 })
      }
    }))

  it.live("tell a refusal in the fields of Anthropic", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const details = { type: "refusal", category: "cyber", explanation: "No." }
      upstream.reply = answering([], { stop_reason: "refusal", stop_details: details })
      const refused = yield* ask(server, "", { messages: user("p") })
      assert.deepInclude(refused.json, { stop_reason: "refusal", stop_details: details, content: [] })
      upstream.reply = (response) =>
        json(response, {
          choices: [{ index: 0, message: { role: "assistant", content: null, refusal: "No." }, finish_reason: "stop" }]
        })
      const body = { model: "claude", messages: user("q"), max_tokens: 100 }
      yield* server.chat("", body)
      const told = yield* ask(server, "/replication", body)
      assert.deepStrictEqual(told.json.stop_details, { type: "refusal", category: null, explanation: "No." })
    }))
})

describe("keys of messages", () => {
  it.live("that are plain are those of the library: each replays what the other bought", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedMessages())
      const directory = yield* makeDirectory
      const baseUrl = upstream.url.replace(/\/v1$/, "")
      const library = (prompt: string, options: object) =>
        LlmModel.sampleMany(prompt, 1).pipe(
          Fork.fork("f"),
          Effect.provide(Persistent.layer({ directory })),
          Effect.provide(Anthropic.layer({
            baseUrl,
            apiKey: Redacted.make("none"),
            model: "claude",
            parameters: { max_tokens: 100 },
            ...options
          })),
          Effect.provide(NodeHttpClient.layerUndici)
        )
      const server = yield* makeServer(upstreams(upstream.url), DirectoryStore.layer(directory))
      const variants: ReadonlyArray<[options: object, body: (prompt: string) => object]> = [
        [{}, (prompt) => ({ messages: user(prompt) })],
        [{}, (prompt) => ({
          messages: [{ role: "user", content: [{ type: "text", text: prompt, cache_control: { type: "ephemeral" } }] }],
          metadata: { user_id: "u" },
          service_tier: "auto"
        })],
        [
          { temperature: 1, system: "s", parameters: { max_tokens: 9, stop_sequences: ["a"], top_k: 3 } },
          (prompt) => ({
            top_k: 3,
            stop_sequences: ["a"],
            max_tokens: 9,
            temperature: 1,
            top_p: null,
            system: [{ type: "text", text: "s", cache_control: { type: "ephemeral" } }],
            messages: user(prompt)
          })
        ]
      ]
      for (const [i, [options, body]] of variants.entries()) {
        for (const isServerFirst of [true, false]) {
          const prompt = `p${i}${isServerFirst}`
          const served = Effect.map(
            ask(server, "/fork/f", body(prompt)),
            ({ json }) => json.content.map(({ text }: { text: string }) => text)
          )
          const before = upstream.received.length
          const one = isServerFirst ? yield* served : yield* library(prompt, options)
          const other = isServerFirst ? yield* library(prompt, options) : yield* served
          assert.deepStrictEqual(one, other)
          assert.strictEqual(upstream.received.length, before + 1)
        }
      }
    }))

  type Asked = object | readonly [body: object, headers: { readonly [name: string]: string }]

  /** The keys in the store after some requests. */
  const keysOf = (all: ReadonlyArray<Asked>) =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(answering([text("x")]))
      const store = Context.get(yield* Layer.build(MemoryStore.layer), SampleStore.SampleStore)
      const server = yield* makeServer(upstreams(upstream.url), Layer.succeed(SampleStore.SampleStore, store))
      for (const one of all) {
        const [body, headers] = Array.isArray(one) ? one : [one, {}]
        const { status, text } = yield* ask(server, "", body, headers)
        assert.strictEqual(status, 200, text)
      }
      const listed = yield* Stream.runCollect(store.keys())
      return listed.map((one) => Result.getOrThrow(one).key)
    })

  const areKeys = (count: number, ...all: ReadonlyArray<Asked>) =>
    Effect.map(keysOf(all), (keys) => {
      assert.strictEqual(keys.length, count, keys.map(({ identity, prompt }) => `${identity.id} ${prompt}`).join("\n"))
      return keys
    })

  const messages = user("p")
  const cached = { cache_control: { type: "ephemeral" } }
  const tool = (fields: object = {}, schema: object = {}) => ({
    name: "f",
    input_schema: { type: "object", properties: { cache_control: {}, id: {} }, ...schema },
    ...fields
  })

  it.live("do not have what changes no sample", () =>
    areKeys(
      1,
      { messages },
      {
        messages: [{ role: "user", content: [{ ...text("p"), ...cached, citations: null }] }],
        ...cached,
        stream: true,
        metadata: { user_id: "u" },
        service_tier: "standard_only",
        diagnostics: { previous_message_id: "msg_1" },
        billing_policy: {},
        fallback_credit_token: "secret",
        temperature: null,
        tools: null
      },
      [{ messages }, { "anthropic-beta": "prompt-caching-2024-07-31, oauth-2025-04-20" }],
      [{ messages }, { "anthropic-beta": "fine-grained-tool-streaming-2025-05-14", "anthropic-version": "2023-01-01" }]
    ))

  it.live("do not have hints and keys that are beside messages, tools and their servers", () =>
    Effect.gen(function*() {
      const server = { type: "url", url: "https://mcp.example", name: "s" }
      const body = (hints: object, token: object = {}) => ({
        messages: [{ role: "user", content: [{ ...text("p"), ...hints }, { ...text("q"), ...hints }] }],
        system: [{ ...text("s"), ...hints }, text("t")],
        tools: [tool(hints)],
        mcp_servers: [{ ...server, ...token }]
      })
      const keys = yield* areKeys(
        1,
        body({}),
        body(cached),
        body({ eager_input_streaming: true }),
        body({}, { authorization_token: "mcp-secret-token" })
      )
      assert.notInclude(JSON.stringify(keys), "mcp-secret-token")
      yield* areKeys(2, body({}), body({}, { url: "https://other.example" }))
    }))

  it.live("have every other field, unknown ones too, and an absent temperature is none", () => {
    const all = [
      { messages },
      { messages, temperature: 1 },
      { messages, temperature: 0 },
      { messages, max_tokens: 101 },
      { messages, something_new: 1 },
      { messages, something_new: [{ id: "a" }] },
      { messages, something_new: [{ id: "b" }] },
      { messages, stop_sequences: ["a"] },
      { messages, tools: [tool()] },
      { messages, tools: [tool({}, { properties: { id: {}, cache_control: {} } })] },
      { messages, tools: [tool({ input_examples: [{ id: "a" }] })] },
      { messages, tools: [tool({ input_examples: [{ id: "b" }] })] },
      { messages, thinking: { type: "enabled", budget_tokens: 1024 } },
      { messages, container: "a" },
      { messages, container: "b" },
      { messages, system: "s" },
      { messages, system: [text("s"), text("s")] },
      { messages: [...user("p"), { role: "assistant", content: "q" }] },
      { messages: [{ role: "assistant", content: "p" }] },
      { messages: [{ role: "user", content: [text("p"), text("")] }] },
      { messages: [{ role: "user", content: [text("p"), { type: "image", source: { type: "file", file_id: "a" } }] }] },
      { messages: [{ role: "user", content: [text("p"), { type: "image", source: { type: "file", file_id: "b" } }] }] }
    ]
    return areKeys(all.length, ...all)
  })

  it.live("have the features of the header `anthropic-beta`, in any order", () =>
    Effect.gen(function*() {
      const beta = (names: string): Asked => [{ messages }, { "anthropic-beta": names }]
      yield* areKeys(3, { messages }, beta("context-1m-2025-08-07"), beta("interleaved-thinking-2025-05-14"))
      yield* areKeys(1, beta("a-1,b-2"), beta("b-2, a-1,a-1"), beta("b-2,oauth-2025-04-20,a-1"))
    }))

  it.live("are equal for echoed answers with other ids of calls, and with nulls", () =>
    Effect.gen(function*() {
      const echo = (id: string, fields?: object) => ({
        messages: JSON.parse(JSON.stringify(call(id, fields)).replace(`{"id":"${id}","x"`, "{\"id\":\"own\",\"x\""))
      })
      yield* areKeys(1, echo("toolu_1"), echo("toolu_2"), echo("toolu_3", { caller: null, ...cached }))
      // The input of a call is the program's.
      yield* areKeys(2, { messages: call("toolu_1") }, { messages: call("toolu_2") })
      const signed = (signature: string) => ({
        messages: [...messages, { role: "assistant", content: [{ type: "thinking", thinking: "t", signature }] }]
      })
      yield* areKeys(2, signed("a"), signed("b"))
    }))

  it.live("tell calls apart whose ids are swapped", () => {
    const two = (first: string, second: string) => ({
      messages: [
        ...messages,
        { role: "assistant", content: ["a", "b"].map((id) => ({ type: "tool_use", id, name: id, input: {} })) },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: first, content: "1" },
            { type: "tool_result", tool_use_id: second, content: "2" }
          ]
        }
      ]
    })
    return areKeys(2, two("a", "b"), two("b", "a"))
  })

  it.live("of a text that is the JSON of a conversation are not those of the conversation", () =>
    Effect.gen(function*() {
      const [key] = yield* areKeys(1, { messages: call("x") })
      assert.include(key!.identity.parameters, "\"llm-cache\":\"messages\"")
      yield* areKeys(2, { messages: call("x") }, { messages: user(key!.prompt) })
      // Its answer has signatures, which no other protocol keeps.
      const [thinking] = yield* areKeys(1, { messages, thinking: { type: "adaptive" } })
      assert.include(thinking!.identity.parameters, "\"llm-cache\":\"messages\"")
    }))
})
