import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { MemoryStore } from "@llm-cache/core"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import * as Zlib from "node:zlib"
import { allProtocols, askBy, streamBy } from "./support/protocols.ts"
import { makeServer } from "./support/server.ts"
import { makeUpstream, upstreams } from "./support/upstream.ts"

const packers = [
  ["br", Zlib.brotliCompressSync],
  ["deflate", Zlib.deflateSync],
  ["deflate", Zlib.deflateRawSync],
  ["gzip", Zlib.gzipSync],
  ["zstd", Zlib.zstdCompressSync]
] as const

/** `fetch` unpacks answers itself. */
const clients = { fetch: FetchHttpClient.layer, undici: NodeHttpClient.layerUndici }

const failure = { error: { type: "invalid_request_error", message: "a field is unknown" } }

describe.each(allProtocols)("an upstream of $name", (protocol) => {
  it.live.each(Object.entries(clients))(
    "may pack its answers, failures and streams, and the HTTP client may be %s",
    ([, client]) =>
      Effect.gen(function*() {
        for (const [encoding, pack] of packers) {
          const upstream = yield* makeUpstream()
          const reply = (type: string, text: string, status = 200) => {
            upstream.reply = (response) => {
              response.writeHead(status, { "content-type": type, "content-encoding": encoding })
              const bytes = pack(text)
              response.write(bytes.subarray(0, 20))
              setImmediate(() => response.end(bytes.subarray(20)))
            }
          }
          const server = yield* makeServer(upstreams(upstream.url), MemoryStore.layer, Layer.empty, client)
          reply("application/json", JSON.stringify(failure), 400)
          const failed = yield* askBy(protocol, server)
          assert.deepStrictEqual([failed.status, failed.json], [400, failure], failed.text)
          reply("application/json", JSON.stringify(protocol.answer("paid")))
          const cold = yield* askBy(protocol, server)
          assert.strictEqual(protocol.textOf(cold.json), "paid", cold.text)
          reply("text/event-stream", streamBy(protocol, "paid again"))
          const streamed = yield* server.send(protocol.path, { body: { ...protocol.body("q"), stream: true } })
          const whole = yield* server.send(protocol.path, { body: protocol.body("q") })
          assert.include(streamed.text, "paid again")
          assert.strictEqual(protocol.textOf(whole.json), "paid again", whole.text)
          for (const status of [200, 404]) {
            reply("application/json", "{\"of\": \"another path\"}", status)
            const bypassed = yield* server.send("/v1/other", { body: {} })
            assert.deepStrictEqual([bypassed.status, bypassed.json], [status, { of: "another path" }], bypassed.text)
            assert.notProperty(bypassed.headers, "content-encoding")
          }
        }
      })
  )

  it.live("may not pack its answers in a way that nobody knows, or in none that it says", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      for (const [encoding, why] of [["compress", "packs its answer as compress"], ["gzip", "is no gzip"]] as const) {
        upstream.reply = (response) => {
          response.writeHead(200, { "content-type": "application/json", "content-encoding": encoding })
          response.end(Buffer.from([0x1f, 0x9d, 1, 2, 3]))
        }
        const answer = yield* askBy(protocol, server)
        assert.deepStrictEqual([answer.status, answer.text.includes(why)], [502, true], answer.text)
      }
    }))

  it.live("may not send an answer that unpacks without end", () =>
    Effect.gen(function*() {
      const bomb = Zlib.gzipSync(Buffer.alloc(33 * 1024 * 1024, " "))
      const upstream = yield* makeUpstream((response) => {
        response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" })
        response.end(bomb)
      })
      const answer = yield* askBy(protocol, yield* makeServer(upstreams(upstream.url)))
      assert.deepStrictEqual([answer.status, answer.text.includes("longer than 32 MiB")], [502, true], answer.text)
    }))

  it.effect("may not stay connected with a packed answer that stalls", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const closed = Deferred.makeUnsafe<void>()
      upstream.reply = (response) => {
        response.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
        response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" })
        response.write(Zlib.gzipSync(JSON.stringify(protocol.answer("paid"))).subarray(0, 20))
      }
      const server = yield* makeServer({ ...upstreams(upstream.url), timeout: "1 minute" })
      const asked = yield* Effect.forkChild(askBy(protocol, server))
      yield* upstream.until(1)
      yield* server.settle
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(asked)).status, 504)
      yield* Deferred.await(closed)
    }))
})
