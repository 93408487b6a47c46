import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Zlib from "node:zlib"
import { makeDirectory, makeServer, user } from "./support/server.ts"
import { json, makeUpstream, startStream, upstreams } from "./support/upstream.ts"

/** Requests that an upstream may answer, and that no samples stand for. */
const requests: ReadonlyArray<readonly [path: string, body: object, why: string]> = [
  ["/responses", { model: "m", input: "p", background: true }, "`background`"],
  ["/responses", { model: "m", input: "p", background: true, stream: true }, "`background`"],
  ["/responses", { model: "m", input: "p", conversation: "conv_1" }, "`conversation`"],
  ["/responses", { model: "m", input: "p", conversation: { id: "conv_1" } }, "`conversation`"],
  ["/responses", { prompt: { id: "pmpt_1" } }, "`model`"],
  ["/chat/completions", { messages: user("p"), seed: 1 }, "`model`"],
  ["/messages", { max_tokens: 9, messages: user("p") }, "`model`"],
  ["/completions", { model: "m", prompt: ["p", "p"], best_of: 3 }, "`best_of`"],
  ["/embeddings", { model: "m", input: "p", encoding_format: "int8" }, "`encoding_format`"],
  ["/embeddings", { model: "m", input: [{ image: "data:" }] }, "`input`"]
]

describe("a request that no samples stand for", () => {
  it.live("passes to the upstream in its own words, each time, and is no replay", () =>
    Effect.gen(function*() {
      let count = 0
      const upstream = yield* makeUpstream((response) => json(response, { answer: count++ }, 202, { "x-own": "a" }))
      const trace = { directory: yield* makeDirectory }
      const server = yield* makeServer({ ...upstreams(upstream.url), trace })
      for (const [path, body] of requests) {
        const before = upstream.received.length
        for (const place of ["/run/a/independent", "/run/a/independent", ""]) {
          const answer = yield* server.send(`${place}/v1${path}?q=1`, { body, headers: { authorization: "Bearer k" } })
          const sent = upstream.received.at(-1)!
          assert.deepStrictEqual([answer.status, answer.json], [202, { answer: count - 1 }], JSON.stringify(body))
          assert.strictEqual(answer.headers["x-own"], "a")
          assert.isUndefined(answer.headers["cache-status"])
          assert.deepStrictEqual([sent.path, sent.text], [`/v1${path}?q=1`, JSON.stringify(body)])
          assert.deepInclude(sent.headers, { authorization: "Bearer k", "content-type": "application/json" })
        }
        assert.strictEqual(upstream.received.length, before + 3)
      }
      const { json: { receipt } } = yield* server.send("/llm-cache/runs/a")
      const asked = 2 * requests.length
      assert.deepInclude(receipt, { asked, bypassed: asked, replayed: 0, bought: 0, isReplay: false })
    }))

  it.live("is a 404 in replication that says why", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      for (const [path, body, why] of requests) {
        const { headers, status, text } = yield* server.send(`/replication/v1${path}`, { body })
        assert.deepStrictEqual([status, headers["x-should-retry"]], [404, "false"])
        assert.include(text, "replication_cache_miss")
        assert.include(text, `is never cached: ${why}`)
      }
      assert.strictEqual(upstream.received.length, 0)
    }))

  it.live("has the model's name of its upstream, and goes there unpacked with its digits", () =>
    Effect.gen(function*() {
      const [first, second] = [yield* makeUpstream(), yield* makeUpstream((response) => json(response, {}))]
      const server = yield* makeServer({
        upstreams: [{ name: "first", url: first.url }, { name: "second", url: second.url }],
        aliases: [{ alias: "fast", upstream: "second", model: "m-1" }]
      })
      const body = (model: string) => `{"model":"${model}","input":"p","background":true,"seed":9007199254740993}`
      yield* server.send("/v1/responses", {
        body: Zlib.gzipSync(body("fast")),
        headers: { "content-type": "application/json", "content-encoding": "gzip" }
      })
      assert.deepStrictEqual(second.received.map(({ text }) => text), [body("m-1")])
      assert.isUndefined(second.received[0]!.headers["content-encoding"])
      assert.strictEqual(first.received.length, 0)
    }))

  it.live("gets a stream piece by piece, and failures with their status", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) => {
        startStream(response)
        response.end("event: response.queued\ndata: {}\n\n")
      })
      const server = yield* makeServer(upstreams(upstream.url))
      const body = { model: "m", input: "p", background: true, stream: true }
      const { headers, text } = yield* server.send("/v1/responses", { body })
      assert.include(String(headers["content-type"]), "text/event-stream")
      assert.strictEqual(text, "event: response.queued\ndata: {}\n\n")
      upstream.reply = (response) => json(response, { error: { message: "no such conversation" } }, 404)
      const refused = yield* server.send("/v1/responses", { body })
      assert.deepStrictEqual([refused.status, refused.json], [404, { error: { message: "no such conversation" } }])
    }))
})

describe("keys that gateways take in the body", () => {
  it.live("are not in the cache's key, and go to the upstream", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      for (const api_key of ["sk-1", "sk-2"]) {
        yield* server.send("/v1/chat/completions", { body: { model: "m", messages: user("p"), api_key } })
      }
      assert.deepStrictEqual(upstream.received.map(({ body }) => body.api_key), ["sk-1"])
    }))
})
