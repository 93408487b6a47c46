import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, MemoryStore } from "@llm-cache/core"
import { Server } from "@llm-cache/server"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as Zlib from "node:zlib"
import { makeDirectory, makeServer, user } from "./support/server.ts"
import { makeUpstream, upstreams } from "./support/upstream.ts"

const messages = user("p")

describe("safety", () => {
  it.live("refuses hosts that are not allowed", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer({ ...upstreams(upstream.url), allowHosts: ["Cache.example"] })
      const statuses: Record<string, number> = {}
      for (
        const host of [
          "evil.example",
          "127.0.0.1.evil.example:80",
          "localhost:1",
          "[::1]:1",
          "cache.example:1",
          "127.9.9.9"
        ]
      ) {
        statuses[host] = (yield* server.chat("", { messages }, { host })).status
      }
      assert.deepStrictEqual(statuses, {
        "evil.example": 403,
        "127.0.0.1.evil.example:80": 403,
        "localhost:1": 200,
        "[::1]:1": 200,
        "cache.example:1": 200,
        "127.9.9.9": 200
      })
    }))

  it.live("refuses web pages of other origins, so that they spend nothing", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const refused = [
        { origin: "http://evil.example" },
        { origin: "null" },
        { origin: "http://127.0.0.1:1" },
        { origin: "file://" },
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" }
      ]
      for (const headers of refused) {
        const answer = yield* server.chat("", { messages }, headers)
        assert.strictEqual(answer.status, 403, JSON.stringify(headers))
        assert.strictEqual((yield* server.send("/llm-cache/runs", { headers })).status, 403)
        assert.isUndefined(answer.headers["access-control-allow-origin"])
      }
      // A simple request, which a browser sends without asking first.
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
        const body = JSON.stringify({ model: "m", messages })
        const answer = yield* server.send("/v1/chat/completions", { body, headers: { "content-type": type } })
        assert.strictEqual(answer.status, 415)
      }
      assert.strictEqual(upstream.received.length, 0)
      const own = { origin: server.url, "sec-fetch-site": "same-origin" }
      assert.strictEqual((yield* server.chat("", { messages }, own)).status, 200)
    }))

  it.live("asks for its token, which goes on to no upstream", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer({ ...upstreams(upstream.url), token: Redacted.make("t0ken=of the server") })
      const statuses: Array<number> = []
      for (
        const headers of [
          {},
          { authorization: "Bearer wrong" },
          { authorization: "Bearer t0ken=of the server" },
          { "x-api-key": "t0ken=of the server" },
          { "x-llm-cache-token": "t0ken=of the server", authorization: "Bearer client" },
          { cookie: "a=b; llm-cache-token=t0ken%3Dof%20the%20server" }
        ]
      ) statuses.push((yield* server.chat(`/fork/${statuses.length}`, { messages }, headers)).status)
      assert.deepStrictEqual(statuses, [401, 401, 200, 200, 200, 200])
      assert.deepStrictEqual(upstream.received.map(({ headers }) => headers.authorization), [
        undefined,
        undefined,
        "Bearer client",
        undefined
      ])
      assert.notInclude(JSON.stringify(upstream.received), "t0ken")
      const link = yield* server.send("/llm-cache/runs?a=1&token=t0ken%3Dof+the+server")
      assert.strictEqual(link.status, 303)
      assert.strictEqual(link.headers.location, "/llm-cache/runs?a=1")
      assert.match(String(link.headers["set-cookie"]), /HttpOnly; SameSite=Strict/)
    }))

  it.live("guards further pages in the same way", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(
        {},
        MemoryStore.layer,
        HttpRouter.add("GET", "/page", HttpServerResponse.text("a page"))
      )
      assert.strictEqual((yield* server.send("/page")).text, "a page")
      assert.strictEqual((yield* server.send("/page", { headers: { origin: "http://evil.example" } })).status, 403)
      assert.strictEqual((yield* server.send("/other")).json.error.code, "not_found")
      assert.strictEqual((yield* server.send("/health")).status, 200)
    }))

  it.effect("does not listen for others without a token", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(
        Server.layer({ host: "0.0.0.0", port: 0, trace: false }).pipe(
          Layer.provide(MemoryStore.layer),
          Layer.provide(NodeHttpClient.layerUndici)
        )
      )))
      assert.include(error.message, "token")
    }))

  it.live("reads packed bodies, and no body over 32 MiB", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const post = (body: Buffer, encoding: string) =>
        server.send("/v1/chat/completions", { body, headers: { "content-encoding": encoding } })
      const body = Buffer.from(JSON.stringify({ model: "m", messages }))
      assert.strictEqual((yield* post(Zlib.gzipSync(body), "gzip")).status, 200)
      assert.strictEqual((yield* post(Zlib.deflateSync(body), "deflate")).status, 200)
      assert.strictEqual((yield* post(Zlib.brotliCompressSync(body), "br")).status, 200)
      assert.strictEqual((yield* post(Zlib.zstdCompressSync(body), "zstd")).status, 200)
      assert.strictEqual((yield* post(body, "gzip")).status, 400)
      assert.strictEqual((yield* post(body, "lzma")).status, 415)
      assert.strictEqual((yield* post(body, "constructor")).status, 415)
      const long = Buffer.alloc(33 * 1024 * 1024, " ")
      const bomb = Zlib.gzipSync(long)
      assert.isBelow(bomb.length, 100_000)
      assert.strictEqual((yield* post(bomb, "gzip")).status, 413)
      const chunked = { "transfer-encoding": "chunked" }
      const sent = yield* server.send("/v1/chat/completions", { body: long, headers: chunked })
      assert.strictEqual(sent.status, 413)
      const announced = { "content-length": String(long.length) }
      assert.strictEqual((yield* server.send("/v1/chat/completions", { body: "", headers: announced })).status, 413)
      assert.strictEqual((yield* server.send("/health")).status, 200)
    }))

  it.live("stops when a request whose client has gone is stored", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const store = DirectoryStore.layer(yield* makeDirectory)
      const server = yield* makeServer(upstreams(upstream.url), store)
      const release = upstream.hold()
      const asked = yield* Effect.forkChild(server.texts("/run/a/independent"))
      yield* upstream.until(1)
      yield* Fiber.interrupt(asked)
      yield* server.settle
      const stop = yield* Effect.forkChild(server.stop)
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      release()
      yield* Fiber.join(stop)
      const next = yield* makeServer({ replication: true }, store)
      assert.deepStrictEqual(yield* next.texts("/run/a/independent"), ["sample 0"])
      assert.strictEqual(upstream.received.length, 1)
    }))

  it.live("stops when the requests in flight are answered and stored", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const release = upstream.hold()
      const answer = yield* Effect.forkChild(server.chat("", { messages }))
      yield* upstream.until(1)
      const stop = yield* Effect.forkChild(server.stop)
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      release()
      assert.strictEqual((yield* Fiber.join(answer)).status, 200)
      yield* Fiber.join(stop)
    }))
})
