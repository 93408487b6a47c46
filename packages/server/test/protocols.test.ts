import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, MemoryStore, SampleError, SampleStore } from "@llm-cache/core"
import { Effect, Fiber, Layer } from "effect"
import * as Http from "node:http"
import { askBy, numberedBy, protocols, type TestedProtocol } from "./support/protocols.ts"
import { type Client, makeDirectory, makeServer } from "./support/server.ts"
import { json, makeUpstream, upstreams } from "./support/upstream.ts"

const place = "/run/a/independent"

/** A server whose first client has the head of an answer of 16 MiB, and not its body. */
const whileWritten = (protocol: TestedProtocol) =>
  Effect.gen(function*() {
    const long = "x".repeat(16 * 1024 * 1024)
    const upstream = yield* makeUpstream((response) => json(response, protocol.answer(long)))
    const directory = yield* makeDirectory
    const options = { ...upstreams(upstream.url), trace: { directory } }
    const store = DirectoryStore.layer(directory)
    const server = yield* makeServer(options, store)
    yield* Effect.callback<void>((resume) => {
      const { hostname, port } = new URL(server.url)
      const request = Http.request({
        hostname,
        port,
        agent: false,
        method: "POST",
        path: place + protocol.path,
        headers: { "content-type": "application/json" }
      }, (response) => {
        response.destroy()
        resume(Effect.void)
      })
      request.on("error", () => {})
      request.end(JSON.stringify(protocol.body("p")))
    })
    yield* server.settle
    const again = (server: Client) =>
      Effect.map(askBy(protocol, server, place), ({ headers, json }) => {
        assert.strictEqual(headers["llm-cache-positions"], "0")
        assert.strictEqual(protocol.textOf(json).length, long.length)
        assert.strictEqual(upstream.received.length, 1)
      })
    return { again, options, server, store }
  })

describe.each(protocols)("a client of $name", (protocol) => {
  const ask = (server: Client, at = place) => askBy(protocol, server, at)
  const text = (server: Client, at = place) => Effect.map(ask(server, at), ({ json }) => protocol.textOf(json))

  it.live("gets nothing if it hangs up, and its retry joins the request in flight", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedBy(protocol))
      const server = yield* makeServer(upstreams(upstream.url))
      const release = upstream.hold()
      const asked = yield* Effect.forkChild(ask(server))
      yield* upstream.until(1)
      yield* Fiber.interrupt(asked)
      yield* server.settle
      const retry = yield* Effect.forkChild(text(server))
      yield* server.settle
      release()
      assert.strictEqual(yield* Fiber.join(retry), "sample 0")
      assert.strictEqual(upstream.received.length, 1)
      assert.strictEqual(yield* text(server), "sample 1")
    }))

  it.live("gives its sample back if it goes while the answer is written", () =>
    Effect.gen(function*() {
      const { again, server } = yield* whileWritten(protocol)
      yield* again(server)
    }))

  it.live("goes on behind its draws when the server restarts, and replays them in another run", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedBy(protocol))
      const directory = yield* makeDirectory
      const options = { ...upstreams(upstream.url), trace: { directory } }
      const before = yield* makeServer(options, DirectoryStore.layer(directory))
      assert.strictEqual(yield* text(before), "sample 0")
      assert.strictEqual(yield* text(before, `${place}/repeatable/x`), "sample 1")
      yield* before.stop
      const after = yield* makeServer(options, DirectoryStore.layer(directory))
      assert.strictEqual(yield* text(after, `${place}/repeatable/x`), "sample 1")
      assert.strictEqual(yield* text(after), "sample 2")
      assert.strictEqual(yield* text(after, "/run/b/independent"), "sample 0")
      assert.strictEqual(upstream.received.length, 3)
    }))

  it.live("shares the request of another for the same sample", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedBy(protocol))
      const server = yield* makeServer(upstreams(upstream.url))
      const release = upstream.hold()
      const both = yield* Effect.forkChild(Effect.all([ask(server, ""), ask(server, "")], { concurrency: 2 }))
      yield* upstream.until(1)
      yield* server.settle
      release()
      const [one, other] = yield* Fiber.join(both)
      assert.strictEqual(one.text, other.text)
      assert.strictEqual(upstream.received.length, 1)
      assert.deepStrictEqual([one, other].map(({ headers }) => String(headers["cache-status"])).sort(), [
        "llm-cache; fwd=miss; collapsed",
        "llm-cache; fwd=miss; stored"
      ])
    }))

  it.live("races with itself where its requests overlap, and the receipt tells", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedBy(protocol))
      const directory = yield* makeDirectory
      const server = yield* makeServer({ ...upstreams(upstream.url), trace: { directory } })
      const release = upstream.hold()
      const both = yield* Effect.forkChild(Effect.all([text(server), text(server)], { concurrency: 2 }))
      yield* upstream.until(2)
      release()
      assert.deepStrictEqual((yield* Fiber.join(both)).sort(), ["sample 0", "sample 1"])
      const { json: { receipt } } = yield* server.send("/llm-cache/runs/a", { method: "DELETE" })
      assert.deepInclude(receipt, { asked: 2, bought: 2, racing: 1, isReplay: false })
    }))

  it.live("is told of a store that fails, and gets what was bought by its next request", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedBy(protocol))
      let isFull = true
      const full = new SampleError.StoreError({
        kind: "Unavailable",
        store: "test",
        operation: "put",
        description: "full"
      })
      const store = Layer.effect(
        SampleStore.SampleStore,
        Effect.map(MemoryStore.make, (store) =>
          SampleStore.make({ ...store, put: (...args) => isFull ? Effect.fail(full) : store.put(...args) }))
      )
      const server = yield* makeServer(upstreams(upstream.url), store)
      const failed = yield* ask(server)
      assert.strictEqual(failed.status, 500)
      assert.strictEqual(failed.headers["x-should-retry"], "false")
      assert.isString(failed.json.error.message)
      isFull = false
      assert.strictEqual(yield* text(server), "sample 0")
      assert.strictEqual(upstream.received.length, 1)
    }))

  it.live("is told what the upstream says of a failure, but for its key, and uses up no draw", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) =>
        json(response, { error: { message: "slow down, sk-very-secret-1234" } }, 429, { "retry-after": "7" })
      )
      const server = yield* makeServer(upstreams(upstream.url))
      const key = { authorization: "Bearer sk-very-secret-1234", "x-api-key": "sk-very-secret-1234" }
      const failed = yield* askBy(protocol, server, place, key)
      assert.deepStrictEqual([failed.status, failed.headers["retry-after"]], [429, "7"])
      assert.strictEqual(failed.json.error.message, "slow down, <redacted>")
      upstream.reply = numberedBy(protocol)
      assert.strictEqual(yield* text(server), "sample 0")
    }))

  it.live("is told 404 for a miss in replication, which no client retries", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedBy(protocol))
      const server = yield* makeServer(upstreams(upstream.url))
      for (const at of ["/replication", "/run/r/replication/independent", "/run/s/independent/replication/fork/f"]) {
        const missed = yield* ask(server, at)
        assert.deepStrictEqual([missed.status, missed.headers["x-should-retry"]], [404, "false"])
        assert.isString(missed.json.error.message)
      }
      assert.strictEqual(upstream.received.length, 0)
    }))
})

describe("a client", () => {
  it.live("gives its sample back if it goes while the answer is written, also to the run in the next server", () =>
    Effect.gen(function*() {
      const { again, options, server, store } = yield* whileWritten(protocols[0]!)
      yield* server.stop
      yield* again(yield* makeServer(options, store))
    }))
})
