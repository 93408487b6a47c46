import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore, MemoryStore } from "@llm-cache/core"
import { Effect, Layer, Redacted, Schedule } from "effect"
import { FetchHttpClient } from "effect/http"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { makeDirectory, makeServer, user } from "./support/server.ts"
import { json, makeUpstream, numbered, type Reply, upstreams } from "./support/upstream.ts"

describe("a failure of the upstream", () => {
  const told = (status: number, body: unknown, headers: object = {}): Reply => (response) =>
    json(response, body, status, headers)

  it.live("has its status, its body and its `Retry-After`", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const error = (message: string, code?: string) => ({ error: { message, code } })
      const all: ReadonlyArray<[number, unknown, object?]> = [
        [400, error("bad")],
        [401, error("no key")],
        [404, error("no model")],
        [422, error("no")],
        [429, error("slow down"), { "retry-after": "7" }],
        [429, error("slow down"), { "retry-after-ms": "7" }],
        [429, error("no credit", "insufficient_quota")],
        [500, error("oops"), { "x-should-retry": "true" }],
        [503, error("busy"), { "retry-after": "Wed, 21 Oct 2099 07:28:00 GMT" }],
        [529, { type: "error", error: { type: "overloaded_error", message: "busy" } }]
      ]
      for (const [status, body, headers = {}] of all) {
        upstream.reply = told(status, body, headers)
        const answer = yield* server.chat("", { messages: user("p") })
        assert.strictEqual(answer.status, status)
        assert.strictEqual(answer.text, JSON.stringify(body))
        for (const [name, value] of Object.entries(headers)) assert.strictEqual(answer.headers[name], value)
      }
      upstream.reply = numbered()
      assert.deepStrictEqual(yield* server.texts(""), ["sample 0"])
    }))

  it.live("is retried by the server, as long as a retry may help", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer({ ...upstreams(upstream.url), retry: Schedule.recurs(2) })
      const counts: Record<number, number> = {}
      for (const status of [400, 401, 500, 501, 529]) {
        upstream.received.length = 0
        upstream.reply = told(status, { error: { message: "no" } })
        yield* server.chat("", { messages: user("p") })
        counts[status] = upstream.received.length
      }
      assert.deepStrictEqual(counts, { 400: 1, 401: 1, 500: 3, 501: 1, 529: 3 })
      const ok = numbered()
      let count = 0
      upstream.reply = (...args) => (count++ === 0 ? told(500, {}) : ok)(...args)
      assert.deepStrictEqual(yield* server.texts(""), ["sample 0"])
    }))

  it.live("is 502 where it is no answer, and 504 where none came in time", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer({ ...upstreams(upstream.url), timeout: "200 millis" })
      const replies: ReadonlyArray<[number, Reply]> = [
        [502, (response) => response.destroy()],
        [502, told(200, { error: { message: "in a success" } })],
        [502, told(200, { choices: [] })],
        [502, told(200, "{\"choices\": [")],
        [502, told(302, "", { location: "http://127.0.0.1:1/" })],
        [
          502,
          (response) => {
            response.writeHead(200, { "content-type": "text/html" })
            response.end("<html>")
          }
        ],
        [504, () => {}],
        [504, (response) => void response.writeHead(200, { "content-type": "application/json" }).write("{")]
      ]
      for (const [status, reply] of replies) {
        upstream.reply = reply
        const answer = yield* server.chat("/run/a/independent", { messages: user("p") })
        assert.strictEqual(answer.status, status, answer.text)
        assert.isString(answer.json.error.message)
      }
      const unreachable = yield* makeServer(upstreams("http://127.0.0.1:1/v1"))
      assert.strictEqual((yield* unreachable.chat("", { messages: user("p") })).status, 502)
      // No draw was used up.
      upstream.reply = numbered()
      assert.deepStrictEqual(yield* server.texts("/run/a/independent"), ["sample 0"])
    }))

  it.live("is a redirect, which would take the key to another server", () =>
    Effect.gen(function*() {
      const other = yield* makeUpstream()
      const upstream = yield* makeUpstream((response) =>
        json(response, "", 307, { location: `${other.url}/chat/completions` })
      )
      const options = upstreams(upstream.url)
      const server = yield* makeServer(options, MemoryStore.layer, Layer.empty, FetchHttpClient.layer)
      const answer = yield* server.chat("", { messages: user("p") })
      assert.strictEqual(answer.status, 502)
      assert.include(answer.json.error.message, "307")
      const bypassed = yield* server.send("/v1/other", { body: {} })
      assert.strictEqual(bypassed.status, 307)
      assert.strictEqual(other.received.length, 0)
    }))

  it.live("that is a web page does not run as one", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) => {
        response.writeHead(500, { "content-type": "text/html" })
        response.end("<script>")
      })
      const server = yield* makeServer(upstreams(upstream.url))
      const answer = yield* server.chat("", { messages: user("p") })
      assert.deepStrictEqual([answer.status, answer.text], [500, "<script>"])
      assert.match(String(answer.headers["content-type"]), /^text\/plain/)
      assert.strictEqual(answer.headers["x-content-type-options"], "nosniff")
    }))

  it.live("is told as it is, also where a key is a word of it", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) => json(response, { error: { message: "no such model" } }, 400))
      const server = yield* makeServer(upstreams(upstream.url))
      const answer = yield* server.chat("", { messages: user("p") }, { authorization: "Bearer no" })
      assert.strictEqual(answer.json.error.message, "no such model")
    }))

  it.live("that echoes a key is told without it, and the key is in no file", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(
        { ...upstreams(upstream.url), trace: { directory } },
        DirectoryStore.layer(directory)
      )
      const key = "sk-very-secret-1234"
      const headers = { authorization: `Bearer ${key}` }
      upstream.reply = (response, { headers }) =>
        json(response, { error: { message: `Incorrect API key: ${headers.authorization}` } }, 401)
      const refused = yield* server.chat("/run/a/independent", { messages: user("p") }, headers)
      assert.strictEqual(refused.json.error.message, "Incorrect API key: Bearer <redacted>")
      upstream.reply = numbered()
      yield* server.chat("/run/a/independent", { messages: user("p"), metadata: { k: "v" } }, headers)
      assert.strictEqual(upstream.received[1]!.headers.authorization, headers.authorization)
      yield* server.stop
      const files = Fs.globSync("**/*", { cwd: directory }).map((name) => Path.join(directory, name))
        .concat(Fs.globSync(".runs/*", { cwd: directory }).map((name) => Path.join(directory, name)))
        .filter((file) => Fs.statSync(file).isFile())
      assert.isAbove(files.length, 3)
      for (const file of files) assert.notInclude(Fs.readFileSync(file, "utf8"), key, file)
    }))

  it.live("has a key of the server in place of the client's, if the upstream has one", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer({
        upstreams: [{ name: "test", url: upstream.url, key: Redacted.make("server-key") }]
      })
      yield* server.chat("", { messages: user("p") }, { authorization: "Bearer client-key", cookie: "a=b" })
      assert.strictEqual(upstream.received[0]!.headers.authorization, "Bearer server-key")
      assert.notInclude(JSON.stringify(upstream.received[0]!.headers), "a=b")
    }))
})

describe("a failure of the server", () => {
  it.live("is 404 for a miss in replication, which no client retries", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      yield* server.texts("", "p", 2)
      assert.deepStrictEqual(yield* server.texts("/replication", "p", 2), ["sample 0", "sample 1"])
      for (const place of ["/replication", "/run/r/replication/independent", "/run/s/independent/replication"]) {
        const [missed, again] = yield* Effect.all([
          server.chat(place, { messages: user("q") }),
          server.chat(place, { messages: user("q") })
        ], { concurrency: 2 })
        assert.strictEqual(missed.status, 404)
        assert.strictEqual(again.status, 404)
        assert.strictEqual(missed.json.error.code, "replication_cache_miss")
        assert.include(missed.json.error.message, "p")
        assert.strictEqual(missed.headers["x-should-retry"], "false")
      }
      assert.strictEqual(upstream.received.length, 1)
      const only = yield* makeServer({ ...upstreams(upstream.url), replication: true })
      assert.strictEqual((yield* only.chat("", { messages: user("p"), stream: true })).status, 404)
      assert.strictEqual(upstream.received.length, 1)
    }))

  it.live("is 400 for a request that no model can answer", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url), DirectoryStore.layer(yield* makeDirectory))
      const messages = user("p")
      const bodies: ReadonlyArray<unknown> = [
        "",
        "{",
        "[]",
        "null",
        {},
        { model: "m" },
        { model: "m", messages: [] },
        { model: "m", messages: ["p"] },
        { model: "", messages },
        { model: "../../m", messages },
        { model: "m", messages, n: 0 },
        { model: "m", messages, n: 1.5 },
        { model: "m", messages, n: "2" },
        { model: "m", messages, n: 1e9 },
        { model: "m", messages, temperature: "hot" },
        { model: "m", messages, temperature: -1 },
        { model: "m", messages: user("\ud800") },
        { model: "m", messages: [...user("\ud800"), ...user("q")] },
        { model: "m", messages, "llm-cache": "chat" }
      ]
      for (const body of bodies) {
        const answer = yield* server.send("/v1/chat/completions", { body })
        assert.strictEqual(answer.status, 400, `${JSON.stringify(body)}: ${answer.text}`)
        assert.isString(answer.json.error.message)
      }
      for (
        const place of ["/independent", "/run//independent", "/fork/%zz", `/fork/${"x".repeat(300)}`]
      ) {
        const answer = yield* server.chat(place, { messages })
        assert.strictEqual(answer.status, 400, `${place}: ${answer.text}`)
      }
      assert.strictEqual((yield* server.chat("", { messages }, { "llm-cache-place": "/v1" })).status, 400)
      assert.strictEqual(upstream.received.length, 0)
    }))

  it.live("is 404 for another path or method", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      assert.strictEqual((yield* server.send("/v1/nothing")).status, 404)
      assert.strictEqual((yield* server.send("/")).status, 404)
      assert.strictEqual((yield* server.send("/v1/chat/completions")).status, 404)
      assert.strictEqual((yield* server.send("/llm-cache/runs", { method: "PUT" })).status, 405)
    }))

  it.live("says that no upstream is given", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const answer = yield* server.chat("", { messages: user("p") })
      assert.strictEqual(answer.status, 400)
      assert.include(answer.json.error.message, "no upstream")
    }))
})
