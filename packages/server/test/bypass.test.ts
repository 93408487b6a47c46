import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import * as Http from "node:http"
import { type Client, makeDirectory, makeServer, user } from "./support/server.ts"
import { json, makeUpstream, type Reply, upstreams } from "./support/upstream.ts"

const key = "sk-very-secret-key-of-a-test"

const receiptOf = (server: Client, run: string) =>
  Effect.map(server.send(`/llm-cache/runs/${run}`), ({ json }) => json.receipt)

describe("requests that the server does not know", () => {
  it.live("pass to the upstream as they are, with any method and body", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response, { path }) =>
        json(response, { path }, 201, { "x-own": "a", "set-cookie": "a=b", "access-control-allow-origin": "*" })
      )
      const server = yield* makeServer(upstreams(upstream.url))
      const multipart = "--b\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n\u{1F600}\r\n--b--\r\n"
      const sent = [
        yield* server.send("/v1/moderations", { body: { input: "x" }, headers: { authorization: `Bearer ${key}` } }),
        yield* server.send("/fork/f/v1/files?limit=2&a=%C3%A4", { headers: { accept: "text/plain", cookie: "c" } }),
        yield* server.send("/v1/files", {
          body: multipart,
          headers: { "content-type": "multipart/form-data; boundary=b", "llm-cache-place": "/fork/a" }
        }),
        yield* server.send("/v1/files/1", { method: "DELETE" }),
        yield* server.send("/v1/responses/r/cancel", { method: "POST" }),
        yield* server.send("/v1/chat/completions")
      ]
      assert.deepStrictEqual(sent.map(({ status }) => status), Array(6).fill(201))
      assert.deepStrictEqual(upstream.received.map(({ method, path }) => `${method} ${path}`), [
        "POST /v1/moderations",
        "GET /v1/files?limit=2&a=%C3%A4",
        "POST /v1/files",
        "DELETE /v1/files/1",
        "POST /v1/responses/r/cancel",
        "GET /v1/chat/completions"
      ])
      const [moderated, listed, uploaded] = upstream.received
      assert.deepInclude(moderated!.headers, { authorization: `Bearer ${key}`, "content-type": "application/json" })
      assert.deepStrictEqual(moderated!.body, { input: "x" })
      assert.strictEqual(listed!.headers.accept, "text/plain")
      assert.isUndefined(listed!.headers.cookie)
      assert.strictEqual(uploaded!.text, multipart)
      assert.strictEqual(uploaded!.headers["content-type"], "multipart/form-data; boundary=b")
      assert.isUndefined(uploaded!.headers["llm-cache-place"])
      assert.deepStrictEqual(sent[1]!.json, { path: "/v1/files?limit=2&a=%C3%A4" })
      assert.strictEqual(sent[0]!.headers["x-own"], "a")
      assert.isUndefined(sent[0]!.headers["set-cookie"])
      assert.isUndefined(sent[0]!.headers["access-control-allow-origin"])
      // The cache knows the models.
      assert.strictEqual((yield* server.send("/v1/models")).status, 200)
      assert.strictEqual(upstream.received.length, 6)
    }))

  it.live("stream in both directions", () =>
    Effect.gen(function*() {
      // It answers each piece when it comes.
      const upstream = yield* Effect.acquireRelease(
        Effect.callback<Http.Server>((resume) => {
          const http = Http.createServer((request, response) => {
            response.writeHead(200, { "content-type": "text/event-stream" })
            response.flushHeaders()
            request.on("data", (piece) => response.write(`data: ${piece}\n\n`)).on("end", () => response.end())
          })
          http.listen(0, "127.0.0.1", () => resume(Effect.succeed(http)))
        }),
        (http) => Effect.sync(() => http.close())
      )
      const { port } = upstream.address() as { port: number }
      const server = yield* makeServer(upstreams(`http://127.0.0.1:${port}/v1`))
      const text = yield* Effect.callback<string>((resume) => {
        const pieces = ["one", "two", "three"]
        const request = Http.request(`${server.url}/v1/audio/speech`, { method: "POST", agent: false }, (response) => {
          let text = ""
          response.on("data", (piece) => {
            text += piece
            const next = pieces.shift()
            if (next === undefined) request.end()
            else request.write(next)
          }).on("end", () => resume(Effect.succeed(text)))
        })
        request.write(pieces.shift()!)
      })
      assert.strictEqual(text, "data: one\n\ndata: two\n\ndata: three\n\n")
    }))

  it.live("are told in the receipt, which is no replay", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const directory = yield* makeDirectory
      const server = yield* makeServer({ ...upstreams(upstream.url), trace: { directory } })
      yield* server.texts("")
      yield* server.texts("/run/a/independent")
      assert.deepInclude(yield* receiptOf(server, "a"), { asked: 1, replayed: 1, bypassed: 0, isReplay: true })
      yield* server.send("/run/a/independent/v1/images/generations?secret=x", { body: { prompt: "a cat" } })
      assert.deepInclude(yield* receiptOf(server, "a"), { asked: 2, replayed: 1, bypassed: 1, isReplay: false })
    }))

  it.live("are a 404 in replication, and ask nothing", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const directory = yield* makeDirectory
      const server = yield* makeServer({ ...upstreams(upstream.url), trace: { directory } })
      const only = yield* makeServer({ ...upstreams(upstream.url), replication: true })
      for (
        const answer of [
          yield* server.send("/run/a/replication/v1/moderations", { body: {} }),
          yield* only.send("/v1/files")
        ]
      ) {
        assert.strictEqual(answer.status, 404)
        assert.strictEqual(answer.json.error.code, "replication_cache_miss")
        assert.strictEqual(answer.headers["x-should-retry"], "false")
      }
      assert.strictEqual(upstream.received.length, 0)
      assert.deepInclude(yield* receiptOf(server, "a"), { bypassed: 1, isReplay: false })
    }))

  it.live("stay within the API of the upstream, and behind the guard", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) => json(response, {}))
      const server = yield* makeServer(upstreams(`${upstream.url}/api`))
      const out = [
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/..%5c../admin",
        "/v1/..\\..\\admin",
        "//127.0.0.1:1/v1/x",
        "/v2/x",
        "/v1"
      ]
      const statuses: Record<string, number> = {}
      for (const path of out) statuses[path] = (yield* server.send(path)).status
      assert.strictEqual((yield* server.send("/v1/x", { headers: { origin: "http://evil.example" } })).status, 403)
      assert.strictEqual((yield* server.send("/v1/x", { headers: { host: "evil.example" } })).status, 403)
      for (const { path } of upstream.received) assert.match(path, /^\/v1\/api\//)
      assert.deepInclude(statuses, { "/v1/../admin": 404, "/v1/%2e%2e/admin": 404, "/v2/x": 404, "/v1": 404 })
      const none = yield* server.send("/v1/x")
      assert.strictEqual(none.status, 200)
      assert.include(String(none.headers["content-security-policy"]), "sandbox")
    }))

  it.live("have the upstream's key, and not the server's token", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response, { headers }) =>
        json(response, { error: { message: `wrong key ${headers.authorization}` } }, 401)
      )
      const token = "t0ken of the server"
      const server = yield* makeServer({
        ...upstreams(upstream.url, { key: Redacted.make(key) }),
        token: Redacted.make(token)
      })
      assert.strictEqual((yield* server.send("/v1/files")).status, 401)
      assert.strictEqual(upstream.received.length, 0)
      for (
        const [path, headers] of [
          ["/v1/files", { authorization: `Bearer ${token}` }],
          ["/v1/files?a=1&token=t0ken+of+the+server", {}]
        ] as const
      ) {
        const answer = yield* server.send(path, { body: {}, headers })
        assert.strictEqual(answer.status, 401)
        assert.deepStrictEqual(answer.json, { error: { message: "wrong key Bearer <redacted>" } })
      }
      assert.strictEqual(upstream.received.length, 2)
      assert.strictEqual(upstream.received[1]!.path, "/v1/files?a=1")
      assert.notInclude(JSON.stringify(upstream.received), "t0ken")
    }))

  it.live("keep the key of a repeated request beside the upstream's key, so that nothing is paid for twice", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) => json(response, {}))
      const server = yield* makeServer(upstreams(upstream.url, { key: Redacted.make(key) }))
      const headers = { "idempotency-key": "job-1", "x-idempotency-key": "job-2", "x-gateway-key": "secret" }
      yield* server.send("/v1/batches", { body: {}, headers })
      const [received] = upstream.received
      assert.deepInclude(received!.headers, { "idempotency-key": "job-1", "x-idempotency-key": "job-2" })
      assert.notProperty(received!.headers, "x-gateway-key")
    }))

  it.live("go to the upstream of their protocol", () =>
    Effect.gen(function*() {
      const reply: Reply = (response) => json(response, {})
      const [openai, anthropic] = [yield* makeUpstream(reply), yield* makeUpstream(reply)]
      const server = yield* makeServer({
        upstreams: [{ name: "openai", url: openai.url }, { name: "anthropic", url: anthropic.url }]
      })
      yield* server.send("/v1/messages/count_tokens", { body: { messages: user("p") } })
      yield* server.send("/v1/files", { headers: { "anthropic-version": "2023-06-01" } })
      yield* server.send("/v1/files")
      assert.deepStrictEqual(anthropic.received.map(({ path }) => path), ["/v1/messages/count_tokens", "/v1/files"])
      assert.deepStrictEqual(openai.received.map(({ path }) => path), ["/v1/files"])
    }))

  it.live("end at the upstream when their client hangs up", () =>
    Effect.gen(function*() {
      let hasClosed = () => {}
      const closed = new Promise<void>((resolve) => {
        hasClosed = resolve
      })
      const upstream = yield* makeUpstream((response) => void response.on("close", hasClosed))
      const server = yield* makeServer(upstreams(upstream.url))
      const asked = yield* Effect.forkChild(server.send("/v1/images/generations", { body: {} }))
      yield* upstream.until(1)
      yield* Fiber.interrupt(asked)
      yield* Effect.promise(() => closed)
    }))

  it.live("are 502 if the upstream is gone", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(upstreams("http://127.0.0.1:1/v1"))
      const answer = yield* server.send("/v1/moderations", { body: {} })
      assert.strictEqual(answer.status, 502)
      assert.include(answer.json.error.message, "no answer from http://127.0.0.1:1/v1")
    }))
})
