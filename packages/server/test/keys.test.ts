import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, Fork, LlmModel, MemoryStore, Persistent, SampleStore } from "@llm-cache/core"
import { OpenAiCompatible } from "@llm-cache/providers"
import { Context, Effect, Layer, Redacted, Result, Stream } from "effect"
import { makeDirectory, makeServer, user } from "./support/server.ts"
import { makeUpstream, message, upstreams } from "./support/upstream.ts"

describe("keys", () => {
  it.live("of plain requests are those of the library: each replays what the other bought", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const directory = yield* makeDirectory
      const library = (prompt: string, options: object) =>
        LlmModel.sampleMany(prompt, 2).pipe(
          Fork.fork("f"),
          Effect.provide(Persistent.layer({ directory })),
          Effect.provide(OpenAiCompatible.layer({
            baseUrl: upstream.url,
            apiKey: Redacted.make("none"),
            model: "org/m",
            ...options
          })),
          Effect.provide(NodeHttpClient.layerUndici)
        )
      const server = yield* makeServer(upstreams(upstream.url), DirectoryStore.layer(directory))
      const variants: ReadonlyArray<[options: object, body: object]> = [
        [{}, { messages: user("p") }],
        [{ temperature: 0.5, parameters: { max_tokens: 9, stop: ["a"], seed: 3 } }, {
          seed: 3,
          stop: ["a"],
          max_tokens: 9,
          temperature: 0.5,
          messages: user("p"),
          user: "u",
          metadata: {},
          top_p: null
        }],
        [{ temperature: 1, system: "s", parameters: { response_format: { type: "json_object" } } }, {
          temperature: 1,
          response_format: { type: "json_object" },
          messages: [{ role: "system", content: "s" }, { role: "user", content: "p", name: null }]
        }]
      ]
      for (const [options, body] of variants) {
        for (const isServerFirst of [true, false]) {
          const prompt = `p${isServerFirst}`
          const served = Effect.map(
            server.chat(
              "/fork/f",
              JSON.parse(JSON.stringify({ model: "org/m", n: 2, ...body }).replace("\"p\"", JSON.stringify(prompt)))
            ),
            ({ json }) => json.choices.map((choice: any) => choice.message.content)
          )
          const before = upstream.received.length
          const one = isServerFirst ? yield* served : yield* library(prompt, options)
          const other = isServerFirst ? yield* library(prompt, options) : yield* served
          assert.deepStrictEqual(one, other)
          assert.strictEqual(upstream.received.length, before + 1)
        }
      }
    }))

  /** The identities and prompts in the store after some requests. */
  const keysOf = (bodies: ReadonlyArray<object | string>) =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(message({ content: "x" }))
      const store = Context.get(yield* Layer.build(MemoryStore.layer), SampleStore.SampleStore)
      const server = yield* makeServer(upstreams(upstream.url), Layer.succeed(SampleStore.SampleStore, store))
      for (const body of bodies) {
        const { status, text } = yield* server.send("/v1/chat/completions", {
          body: typeof body === "string" ? body : { model: "m", ...body }
        })
        assert.strictEqual(status, 200, text)
      }
      const listed = yield* Stream.runCollect(store.keys())
      return {
        keys: listed.map((one) => Result.getOrThrow(one).key),
        sent: upstream.received
      }
    })

  const isOneKey = (...bodies: ReadonlyArray<object | string>) =>
    Effect.map(keysOf(bodies), ({ keys, sent }) => {
      assert.strictEqual(keys.length, 1, keys.map(({ identity, prompt }) => `${identity.id} ${prompt}`).join("\n"))
      assert.strictEqual(sent.length, 1)
    })

  const areKeys = (...bodies: ReadonlyArray<object | string>) =>
    Effect.map(
      keysOf(bodies),
      ({ keys }) =>
        assert.strictEqual(
          keys.length,
          bodies.length,
          keys.map(({ identity, prompt }) => `${identity.id} ${prompt}`).join("\n")
        )
    )

  const call = (id: string, fields: object = {}) => [
    { role: "user", content: "p" },
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id, type: "function", function: { name: "f", arguments: "{}" } }],
      ...fields
    },
    { role: "tool", tool_call_id: id, content: "r" }
  ]

  it.live("do not have what changes no sample", () =>
    isOneKey(
      { messages: user("p") },
      { messages: user("p"), stream: true, stream_options: { include_usage: true } },
      {
        messages: user("p"),
        n: 1,
        user: "u",
        safety_identifier: "s",
        metadata: { a: "b" },
        store: true,
        service_tier: "flex",
        prompt_cache_key: "k",
        prompt_cache_retention: "24h"
      },
      { messages: user("p"), temperature: null, tools: null, seed: null }
    ))

  it.live("have every other field, unknown ones too, and an absent temperature is none", () =>
    areKeys(
      { messages: user("p") },
      { messages: user("p"), temperature: 1 },
      { messages: user("p"), temperature: 0 },
      { messages: user("p"), something_new: 1 },
      { messages: user("p"), seed: 1 },
      { messages: user("p"), tools: [{ type: "function", function: { name: "f" } }] },
      { messages: user("p"), logprobs: true },
      { messages: user("p"), system: "s" },
      { messages: [{ role: "system", content: "s" }, ...user("p")] },
      { messages: [{ role: "developer", content: "s" }, ...user("p")] },
      { messages: [...user("p"), { role: "system", content: "s" }] },
      { messages: [{ role: "assistant", content: "p" }] },
      { messages: [{ role: "user", content: "p", name: "n" }] },
      { messages: [{ role: "user", content: [{ type: "text", text: "p" }] }] }
    ))

  it.live("are equal for echoed answers with other ids of calls, and with nulls", () =>
    isOneKey(
      { messages: call("call_1") },
      { messages: call("call_2") },
      { messages: call("call_3", { refusal: null, audio: null, function_call: null }) }
    ))

  it.live("tell calls apart whose ids are swapped", () => {
    const two = (first: string, second: string) => [
      ...user("p"),
      {
        role: "assistant",
        tool_calls: ["a", "b"].map((id) => ({ id, type: "function", function: { name: id, arguments: "{}" } }))
      },
      { role: "tool", tool_call_id: first, content: "1" },
      { role: "tool", tool_call_id: second, content: "2" }
    ]
    return areKeys({ messages: two("a", "b") }, { messages: two("b", "a") })
  })

  it.live("keep the order of the properties of a schema, and of no other object", () =>
    Effect.gen(function*() {
      const tool = (properties: string) =>
        `{"model":"m","messages":[{"role":"user","content":"p"}],"tools":[{"type":"function","function":` +
        `{"name":"f","parameters":{"type":"object","properties":${properties}}}}]}`
      yield* areKeys(tool("{\"a\":{},\"b\":{}}"), tool("{\"b\":{},\"a\":{}}"))
      yield* isOneKey(
        `{"model":"m","seed":1,"messages":[{"role":"user","content":"p"}],"logit_bias":{"1":2,"3":4}}`,
        `{"logit_bias":{"3":4,"1":2},"messages":[{"content":"p","role":"user"}],"seed":1,"model":"m"}`
      )
    }))

  it.live("keep seeds beyond 2^53, as the upstream gets them", () =>
    Effect.gen(function*() {
      const seeded = (seed: string) => `{"model":"m","messages":[{"role":"user","content":"p"}],"seed":${seed}}`
      const { keys, sent } = yield* keysOf([seeded("9007199254740993"), seeded("9007199254740992")])
      assert.strictEqual(keys.length, 2)
      assert.include(sent[0]!.text, "\"seed\":9007199254740993")
    }))

  it.live("of a text that is the JSON of a chat are not those of the chat", () =>
    Effect.gen(function*() {
      const chat = { messages: call("x") }
      const { keys } = yield* keysOf([chat])
      const { prompt } = keys[0]!
      assert.deepStrictEqual(JSON.parse(prompt)[0], { role: "user", content: "p" })
      yield* areKeys(chat, { messages: user(prompt) })
    }))

  it.live("have the alias of a model, and its upstream gets its own name", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* makeUpstream(), yield* makeUpstream()]
      const server = yield* makeServer({
        upstreams: [{ name: "first", url: first.url }, { name: "second", url: second.url }],
        aliases: [{ alias: "fast", upstream: "second", model: "org/model-mini" }]
      })
      yield* server.chat("", { messages: user("p") })
      yield* server.chat("", { model: "fast", messages: user("p") })
      assert.deepStrictEqual([first, second].map(({ received }) => received.map(({ body }) => body.model)), [["m"], [
        "org/model-mini"
      ]])
      const models = yield* server.send("/v1/models")
      assert.deepStrictEqual(models.json.data.map(({ id }: { id: string }) => id), ["fast", "m"])
      assert.strictEqual((yield* server.send("/v1/models/fast")).json.id, "fast")
      assert.strictEqual((yield* server.send("/v1/models/slow")).status, 404)
    }))
})
