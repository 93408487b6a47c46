import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import { allProtocols, askBy, numberedBy, streamBy } from "./support/protocols.ts"
import { makeDirectory, makeServer, user } from "./support/server.ts"
import { json, makeUpstream, numbered, startStream, upstreams } from "./support/upstream.ts"

/** Writes to a connection, and returns what came back when the server ended it. */
const write = (url: string, text: string) =>
  Effect.callback<string>((resume) => {
    const socket = Net.connect(Number(new URL(url).port), "127.0.0.1")
    let received = ""
    socket.setEncoding("utf8").on("data", (part: string) => void (received += part))
    socket.on("error", () => {}).on("close", () => resume(Effect.succeed(received)))
    socket.write(text)
    return Effect.sync(() => socket.destroy())
  })

const post = (path: string, body: string, { headers = [] as ReadonlyArray<string>, version = "1.1" } = {}) =>
  [
    `POST ${path} HTTP/${version}`,
    "Host: 127.0.0.1",
    "Content-Type: application/json",
    ...headers.some((header) => header.startsWith("Transfer")) ? [] : [`Content-Length: ${Buffer.byteLength(body)}`],
    ...headers,
    "",
    body
  ].join("\r\n")

describe.each(allProtocols)("an upstream of $name", (protocol) => {
  it.live("packs no answer as long as it does what it is asked, because packed pieces wait for others", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedBy(protocol))
      yield* askBy(protocol, yield* makeServer(upstreams(upstream.url)))
      assert.strictEqual(upstream.received[0]!.headers["accept-encoding"], "identity")
    }))

  it.live("may stream an answer that was asked for as a whole, which is paid for as well", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) => {
        startStream(response)
        response.end(streamBy(protocol, "paid"))
      })
      const server = yield* makeServer(upstreams(upstream.url))
      const cold = yield* askBy(protocol, server)
      const warm = yield* askBy(protocol, server)
      assert.strictEqual(protocol.textOf(cold.json), "paid", cold.text)
      assert.strictEqual(warm.text, cold.text)
      assert.strictEqual(upstream.received.length, 1)
    }))

  it.live("gets no request past the cache where a client writes `/v1` twice, or doubles or ends with a slash", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedBy(protocol))
      const server = yield* makeServer(upstreams(upstream.url))
      const first = yield* askBy(protocol, server)
      for (
        const path of [
          `/v1${protocol.path}`,
          `${protocol.path}/`,
          protocol.path.replace("/v1", "/v1/"),
          protocol.path.replace("/v1", "")
        ]
      ) {
        const again = yield* askBy({ ...protocol, path }, server)
        assert.deepStrictEqual([again.status, again.text], [200, first.text], path)
      }
      assert.deepStrictEqual(upstream.received.map(({ path }) => path), [protocol.path])
    }))
})

describe("a client", () => {
  it.live("that asks for HTTP/2 by its first request has the cache", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const headers = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAEAAEAAAAIAAAAB" }
      for (const _ of [1, 2]) {
        const { json, status } = yield* server.chat("", { messages: user("p") }, headers)
        assert.deepStrictEqual([status, json.choices[0].message.content], [200, "sample 0"])
      }
      const { status } = yield* server.send("/v1/files", { headers, body: {} })
      assert.strictEqual(status, 200)
      const named = upstream.received.flatMap(({ headers }) => Object.keys(headers))
      assert.deepStrictEqual(named.filter((name) => /^(?:upgrade|http2-settings)$/.test(name)), [])
    }))

  it.live("has its own headers at the upstream, without those of its connection, its body and its retries", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const own = {
        "x-portkey-provider": "openai",
        "x-goog-api-key": "very-secret-1234",
        "x-apikey": "very-secret-5678",
        "user-agent": "a client"
      }
      const others = {
        accept: "text/html",
        cookie: "a=b",
        "idempotency-key": "one",
        "content-language": "de",
        "x-stainless-retry-count": "1"
      }
      yield* server.chat("", { messages: user("p"), n: 2 }, { ...own, ...others })
      for (const { headers } of upstream.received) {
        assert.deepInclude(headers, own)
        for (const [name, value] of Object.entries(others)) assert.notStrictEqual(headers[name], value, name)
      }
      upstream.reply = (response, { headers }) =>
        json(response, { error: { message: `${headers["x-goog-api-key"]} ${headers["x-apikey"]}` } }, 401)
      for (const path of ["/v1/chat/completions", "/v1/files"]) {
        const { text } = yield* server.send(path, { body: { model: "m", messages: user("q") }, headers: own })
        assert.notInclude(text, "very-secret")
      }
      const keyed = yield* makeServer(upstreams(upstream.url, { key: Redacted.make("the-key-of-the-server") }))
      yield* keyed.chat("", { messages: user("p") }, own)
      assert.isUndefined(upstream.received.at(-1)!.headers["x-goog-api-key"])
    }))

  it.live("has no key in a failure that echoes it without its scheme", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response, { headers }) =>
        json(response, { error: { message: `No such key: ${headers.authorization!.split(" ")[1]}` } }, 401)
      )
      const server = yield* makeServer(upstreams(upstream.url))
      for (const scheme of ["Bearer", "Basic", "Api-Key"]) {
        for (const path of ["/v1/chat/completions", "/v1/files"]) {
          const headers = { authorization: `${scheme} very-secret-1234` }
          const { json } = yield* server.send(path, { body: { model: "m", messages: user("p") }, headers })
          assert.strictEqual(json.error.message, "No such key: <redacted>", `${scheme} ${path}`)
        }
      }
    }))

  it.live("has no key in a failure that echoes a header of another vendor, or the query", () =>
    Effect.gen(function*() {
      const secret = "very+secret/1234"
      const upstream = yield* makeUpstream((response, { headers, path }) =>
        json(
          response,
          { error: { message: `No: ${JSON.stringify(headers)} ${path} ${decodeURIComponent(path)}` } },
          401
        )
      )
      const directory = yield* makeDirectory
      const server = yield* makeServer({ ...upstreams(upstream.url), trace: { directory } })
      const names = ["authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization", "cookie"]
      const fields = ["key", "api_key", "api-key", "apikey", "access_token", "sig"]
      for (const path of ["chat/completions", "embeddings", "files"]) {
        const asked = { body: { model: "m", messages: user("p"), input: "p" } }
        for (const name of names) {
          const { status, text } = yield* server.send(`/run/a/v1/${path}`, { ...asked, headers: { [name]: secret } })
          assert.strictEqual(status, 401)
          assert.notInclude(text, secret, `${name} ${path}`)
        }
        for (const field of fields) {
          const query = `?a=1&${field}=${encodeURIComponent(secret)}`
          const { status, text } = yield* server.send(`/run/a/v1/${path}${query}`, asked)
          assert.strictEqual(status, 401)
          assert.include(text, "a=1")
          assert.notMatch(text, /very(?:\+|%2B)secret/i, `${field} ${path}`)
        }
      }
      yield* server.stop
      const files = Fs.readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
        entry.isFile()
      )
      const written = files.map(({ name, parentPath }) => Fs.readFileSync(Path.join(parentPath, name), "utf8")).join()
      assert.include(written, "/files")
      assert.notMatch(written, /very(?:\+|%2B)secret/i)
    }))

  const path = "/run/a/independent/v1/chat/completions"
  const body = JSON.stringify({ model: "m", messages: user("p") })
  const textsIn = (received: string) => [...received.matchAll(/sample \d+/g)].map(([text]) => text)

  it.live("may speak HTTP in each of its ways", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const close = "Connection: close"
      const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
      const ways = [
        post(path, body, { version: "1.0" }),
        post(path, body, { headers: [close] }),
        post(path, body, { headers: [close, "Expect: 100-continue"] }),
        post(path, chunked, { headers: [close, "Transfer-Encoding: chunked"] }),
        post(path, body, { headers: [close, `X-Long: ${"x".repeat(10_000)}`] })
      ]
      for (const [i, way] of ways.entries()) {
        const received = yield* write(server.url, way)
        assert.deepStrictEqual(textsIn(received), [`sample ${i}`], received)
      }
    }))

  it.live("gets its answers in order if it does not wait for them, and gives all back if it goes", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const last = post(path, body, { headers: ["Connection: close"] })
      const received = yield* write(server.url, post(path, body).repeat(3) + last)
      assert.deepStrictEqual(textsIn(received), ["sample 0", "sample 1", "sample 2", "sample 3"])

      const release = upstream.hold()
      const waiting = yield* Effect.forkChild(write(server.url, post(path, body).repeat(3)))
      yield* upstream.until(7)
      yield* Fiber.interrupt(waiting)
      yield* server.settle
      release()
      assert.deepStrictEqual(yield* server.texts("/run/a/independent", "p", 3), ["sample 4", "sample 5", "sample 6"])
      assert.strictEqual(upstream.received.length, 7)
    }))

  it.live("has a draw from the moment that the system has its whole answer, also if it resets its connection", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      yield* Effect.callback<void>((resume) => {
        const socket = Net.connect(Number(new URL(server.url).port), "127.0.0.1")
        socket.write(post(path, body))
        socket.once("readable", () => socket.resetAndDestroy()).once("close", () => resume(Effect.void))
      })
      yield* server.settle
      // Nobody can tell this client from one that has read its answer, and no draw is given twice.
      assert.deepStrictEqual(yield* server.texts("/run/a/independent"), ["sample 1"])
      assert.deepStrictEqual(yield* server.texts("/run/b/independent"), ["sample 0"])
    }))

  it.live("may ask for heads alone, which lead to no upstream", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      for (const path of ["/health", "/v1/models"]) {
        const { status, text } = yield* server.send(path, { method: "HEAD" })
        assert.deepStrictEqual([status, text], [200, ""], path)
      }
      assert.strictEqual(upstream.received.length, 0)
    }))

  it.live("is told of a place that it gives twice, or not encoded, in place of another fork's samples", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numbered())
      const server = yield* makeServer(upstreams(upstream.url))
      for (const places of [["/fork/a", "/fork/b"], [Buffer.from("/fork/ä").toString("latin1")]]) {
        const answer = yield* server.chat("", { messages: user("p") }, { "llm-cache-place": places })
        assert.strictEqual(answer.status, 400)
        assert.include(answer.json.error.message, "percent-encoded")
      }
      assert.strictEqual(upstream.received.length, 0)
    }))
})
