import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeServer, user } from "./support/server.ts"
import { completion, json, makeUpstream, message, upstreams } from "./support/upstream.ts"

describe("chat completions", () => {
  it.live("replays the same samples, with equal bodies cold and warm", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const cold = yield* server.chat("", { messages: user("p"), n: 3 })
      const warm = yield* server.chat("", { messages: user("p"), n: 3 })
      assert.strictEqual(cold.status, 200)
      assert.strictEqual(warm.text, cold.text)
      assert.deepStrictEqual(cold.json.choices.map(({ message }: any) => message.content), [
        "sample 0",
        "sample 1",
        "sample 2"
      ])
      assert.deepStrictEqual(cold.json.usage, { prompt_tokens: 7, completion_tokens: 9, total_tokens: 16 })
      assert.strictEqual(upstream.received.length, 1)
      assert.strictEqual(upstream.received[0]!.body.n, 3)
      assert.strictEqual(cold.headers["cache-status"], "llm-cache; fwd=miss; stored")
      assert.strictEqual(warm.headers["cache-status"], "llm-cache; hit")
      const [first, second] = [
        yield* server.chat("", { messages: user("p") }),
        yield* server.chat("", { messages: user("p"), n: 2 })
      ]
      assert.deepStrictEqual([first, second].map(({ json }) => json.usage.completion_tokens), [3, 6])
      assert.strictEqual(warm.headers["llm-cache-positions"], "0,1,2")
      assert.match(String(warm.headers["llm-cache-prompt"]), /^[0-9a-f]{64}$/)
    }))

  it.live("requests only the samples that are missing", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const one = yield* server.chat("", { messages: user("p") })
      const three = yield* server.chat("", { messages: user("p"), n: 3 })
      assert.deepStrictEqual(upstream.received.map(({ body }) => body.n), [undefined, 2])
      assert.deepStrictEqual(three.json.choices.map(({ message }: any) => message.content), [
        "sample 0",
        "sample 1",
        "sample 2"
      ])
      assert.strictEqual(three.headers["cache-status"], "llm-cache; fwd=partial; stored")
      assert.strictEqual(one.json.id, three.json.id)
      // Both requests together.
      assert.deepStrictEqual(three.json.usage, { prompt_tokens: 14, completion_tokens: 9, total_tokens: 23 })
    }))

  it.live("asks again when an upstream ignores `n`", () =>
    Effect.gen(function*() {
      let count = 0
      const upstream = yield* makeUpstream((response) =>
        json(
          response,
          completion([{
            index: 0,
            message: { role: "assistant", content: `only ${count++}` },
            finish_reason: "stop"
          }])
        )
      )
      const server = yield* makeServer(upstreams(upstream.url))
      assert.deepStrictEqual([...yield* server.texts("", "p", 3)].sort(), ["only 0", "only 1", "only 2"])
      assert.strictEqual(upstream.received.length, 3)
    }))

  it.live("keeps what an answer has beside its text", () =>
    Effect.gen(function*() {
      const calls = [
        { id: "call_a", type: "function", function: { name: "f", arguments: "" } },
        { id: "call_b", type: "function", function: { name: "g", arguments: "{\"x\":null}" } }
      ]
      const answers = [
        { content: null, tool_calls: calls },
        { content: null, refusal: "No." },
        { content: "", reasoning_content: "Hmm." },
        { content: "t", reasoning: "Hmm.", annotations: [{ type: "url_citation" }] },
        { content: [{ type: "text", text: "a" }, { type: "text", text: "b" }] }
      ]
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      for (const [i, fields] of answers.entries()) {
        upstream.reply = message(fields, { logprobs: { content: [{ token: "t", logprob: -0.1 }] } })
        const cold = yield* server.chat("", { messages: user(`p${i}`) })
        const warm = yield* server.chat("", { messages: user(`p${i}`) })
        assert.strictEqual(warm.text, cold.text)
        assert.deepStrictEqual(warm.json.choices[0].message, { role: "assistant", refusal: null, ...fields })
        assert.deepStrictEqual(warm.json.choices[0].logprobs, { content: [{ token: "t", logprob: -0.1 }] })
      }
      upstream.reply = (response) =>
        json(
          response,
          completion([{ index: 0, message: { content: "t" }, finish_reason: "stop" }], {
            system_fingerprint: "fp",
            service_tier: "default",
            usage: {
              prompt_tokens: 1,
              completion_tokens: 2,
              total_tokens: 3,
              completion_tokens_details: { reasoning_tokens: 1 }
            }
          })
        )
      yield* server.chat("", { messages: user("usage") })
      const { json: warm } = yield* server.chat("", { messages: user("usage") })
      assert.strictEqual(warm.usage.completion_tokens_details.reasoning_tokens, 1)
      assert.deepInclude(warm, { system_fingerprint: "fp", service_tier: "default" })
    }))
})
