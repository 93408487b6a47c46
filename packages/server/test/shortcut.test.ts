import { assert, describe, it } from "@effect/vitest"
import { Events, MemoryStore } from "@llm-cache/core"
import { Effect, Layer } from "effect"
import * as Zlib from "node:zlib"
import { type Answer, makeServer, user } from "./support/server.ts"
import { makeUpstream, upstreams } from "./support/upstream.ts"

const told = ({ headers: { date: _, ...headers }, status, text }: Answer) => ({ headers, status, text })

describe("the shortcut to recorded samples", () => {
  it.live("answers as a server does that draws", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const requests = [
        { messages: user("p"), n: 2 },
        { messages: user("p"), n: 2, stream: true, stream_options: { include_usage: true } },
        { messages: [...user("p"), ...user("q")], temperature: 0.5, seed: 1 },
        { messages: user("\ud800") },
        { messages: [] },
        { messages: user("p"), n: 0 }
      ]
      for (const place of ["", "/fork/a%2Fb"]) {
        for (const request of requests) {
          yield* server.chat(place, request)
          const short = yield* server.chat(place, request)
          // Repeats its samples as well, but notes them, and so draws.
          const long = yield* server.chat(`/run/r${place}`, request)
          assert.deepStrictEqual(told(short), told(long))
        }
      }
      assert.strictEqual(upstream.received.length, 4)
    }))

  it.live("leads requests on that it cannot read", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const body = JSON.stringify({ model: "m", messages: user("p") })
      yield* server.chat("", { messages: user("p") })
      const post = (body: string | Buffer, headers: Record<string, string>) =>
        server.send("/v1/chat/completions", { method: "POST", body, headers })
      const packed = yield* post(Zlib.gzipSync(body), { "content-encoding": "gzip" })
      const chunked = yield* post(body, { "transfer-encoding": "chunked" })
      const typed = yield* post(body, { "content-type": "application/vnd.api+json" })
      for (const { headers, json } of [packed, chunked, typed]) {
        assert.strictEqual(json.choices[0].message.content, "sample 0")
        assert.strictEqual(headers["cache-status"], "llm-cache; hit")
      }
      assert.strictEqual((yield* post("{", {})).status, 400)
      assert.strictEqual((yield* post(body, { "content-type": "text/plain" })).status, 415)
      assert.strictEqual((yield* post(body, { host: "elsewhere" })).status, 403)
    }))

  it.live("is not taken while a program observes events", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const events = yield* Events.make
      const server = yield* makeServer(
        upstreams(upstream.url),
        Layer.merge(MemoryStore.layer, Layer.succeed(Events.Events, events))
      )
      const heard: Array<string> = []
      yield* events.listen(({ _tag }) => heard.push(_tag))
      yield* server.texts("")
      heard.length = 0
      yield* server.texts("")
      assert.deepStrictEqual(heard, ["Hit"])
    }))
})
