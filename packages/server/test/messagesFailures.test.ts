import { assert, describe, it } from "@effect/vitest"
import { DirectoryStore } from "@llm-cache/core"
import { Effect, Redacted, Schedule } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { answering, ask, numberedMessages, text } from "./support/anthropic.ts"
import { makeDirectory, makeServer, user } from "./support/server.ts"
import { json, makeUpstream, type Reply, upstreams } from "./support/upstream.ts"

const messages = user("p")

/** The type of an error in Anthropic's form. */
const typeOf = ({ json, text }: { readonly json: any; readonly text: string }): string => {
  assert.strictEqual(json?.type, "error", text)
  assert.isString(json.error.message)
  return json.error.type
}

describe("a failure of a message", () => {
  const told = (status: number, body: unknown, headers: object = {}): Reply => (response) =>
    json(response, body, status, headers)

  it.live("has the upstream's status, its body and its `Retry-After`", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const error = (type: string) => ({ type: "error", error: { type, message: "no" }, request_id: "req_1" })
      const all: ReadonlyArray<[number, unknown, object?]> = [
        [400, error("invalid_request_error")],
        [401, error("authentication_error")],
        [403, error("permission_error")],
        [404, error("not_found_error")],
        [413, error("request_too_large")],
        [429, error("rate_limit_error"), { "retry-after": "7" }],
        [500, error("api_error"), { "x-should-retry": "true" }],
        [529, error("overloaded_error"), { "request-id": "req_1" }]
      ]
      for (const [status, body, headers = {}] of all) {
        upstream.reply = told(status, body, headers)
        const answer = yield* ask(server, "", { messages })
        assert.strictEqual(answer.status, status)
        assert.strictEqual(answer.text, JSON.stringify(body))
        for (const [name, value] of Object.entries(headers)) assert.strictEqual(answer.headers[name], value)
      }
    }))

  it.live("in a success has the status of its type, and is retried as long as a retry may help", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer({ ...upstreams(upstream.url), retry: Schedule.recurs(1) })
      const all: ReadonlyArray<[type: string, status: number, requests: number]> = [
        ["overloaded_error", 529, 2],
        ["rate_limit_error", 429, 2],
        ["api_error", 500, 2],
        ["invalid_request_error", 400, 1],
        ["something_new", 502, 1]
      ]
      for (const [type, status, requests] of all) {
        upstream.received.length = 0
        const body = { type: "error", error: { type, message: "no" } }
        upstream.reply = told(200, body)
        const answer = yield* ask(server, "", { messages })
        assert.strictEqual(answer.status, status)
        assert.deepStrictEqual(answer.json, body)
        assert.strictEqual(upstream.received.length, requests)
      }
    }))

  it.live("is 502 where it is no answer, and 504 where none came in time", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer({ ...upstreams(upstream.url), timeout: "200 millis" })
      const replies: ReadonlyArray<[number, string, Reply]> = [
        [502, "api_error", (response) => response.destroy()],
        [502, "api_error", told(200, { choices: [] })],
        [502, "api_error", answering([], { stop_reason: null })],
        [502, "api_error", told(200, { content: "a text", stop_reason: "end_turn" })],
        [502, "api_error", told(200, "{\"content\": [")],
        [504, "timeout_error", () => {}]
      ]
      for (const [status, type, reply] of replies) {
        upstream.reply = reply
        const answer = yield* ask(server, "/run/a/independent", { messages })
        assert.strictEqual(answer.status, status, answer.text)
        assert.strictEqual(typeOf(answer), type)
      }
      // No draw was used up.
      upstream.reply = numberedMessages()
      assert.deepStrictEqual((yield* ask(server, "/run/a/independent", { messages })).json.content, [text("sample 0")])
    }))

  it.live("is 404 for a miss in replication, which no client retries", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedMessages())
      const server = yield* makeServer(upstreams(upstream.url))
      for (const body of [{ messages }, { messages, stream: true }, { messages, tools: [{ name: "f" }] }]) {
        const missed = yield* ask(server, "/replication", body)
        assert.strictEqual(missed.status, 404)
        assert.strictEqual(typeOf(missed), "not_found_error")
        assert.strictEqual(missed.json.error.code, "replication_cache_miss")
        assert.strictEqual(missed.headers["x-should-retry"], "false")
      }
      assert.strictEqual(upstream.received.length, 0)
    }))

  it.live("is 400 for a request that no model can answer", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedMessages())
      const server = yield* makeServer(upstreams(upstream.url), DirectoryStore.layer(yield* makeDirectory))
      const bodies: ReadonlyArray<object> = [
        {},
        { messages: [] },
        { messages: ["p"] },
        { messages, model: "" },
        { messages, model: "../../m" },
        { messages, temperature: "hot" },
        { messages: user("\ud800") },
        { messages: [...user("\ud800"), ...user("q")] },
        { messages, "llm-cache": "chat" },
        { messages, "anthropic-beta": ["a"] }
      ]
      for (const body of bodies) {
        const answer = yield* ask(server, "", body)
        assert.strictEqual(answer.status, 400, `${JSON.stringify(body)}: ${answer.text}`)
        assert.strictEqual(typeOf(answer), "invalid_request_error")
      }
      assert.strictEqual(upstream.received.length, 0)
    }))

  it.live("outside of a message has the form of the client's vendor", () =>
    Effect.gen(function*() {
      const server = yield* makeServer({ token: Redacted.make("t0ken=of the server") })
      const key = { "x-api-key": "t0ken=of the server" }
      const anthropic = { "anthropic-version": "2023-06-01" }
      assert.strictEqual(typeOf(yield* server.send("/v1/messages")), "authentication_error")
      assert.strictEqual(
        typeOf(yield* server.send("/independent/v1/messages", { headers: key, body: {} })),
        "invalid_request_error"
      )
      const nowhere = yield* server.send("/v1/nothing", { headers: { ...key, ...anthropic } })
      assert.deepStrictEqual([nowhere.status, typeOf(nowhere)], [404, "not_found_error"])
      const foreign = yield* server.send("/v1/nothing", { headers: { ...anthropic, host: "evil.example" } })
      assert.deepStrictEqual([foreign.status, typeOf(foreign)], [403, "permission_error"])
      for (const path of ["/v1/nothing", "/fork/messages/v1/nothing"]) {
        const { json } = yield* server.send(path, { headers: key })
        assert.strictEqual(json.error.code, "not_found")
        assert.isUndefined(json.type)
      }
    }))
})

describe("the headers of a message", () => {
  it.live("go on to the upstream with its query, and the key is in no file and no answer", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(
        { ...upstreams(upstream.url), trace: { directory }, token: Redacted.make("t0ken") },
        DirectoryStore.layer(directory)
      )
      const key = "sk-ant-very-secret"
      const headers = {
        "x-api-key": key,
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "context-1m-2025-08-07",
        "x-llm-cache-token": "t0ken"
      }
      const send = server.send("/run/a/independent/v1/messages?beta=true&token=t0ken", {
        headers,
        body: { model: "claude", max_tokens: 9, messages }
      })
      upstream.reply = (response, { headers }) =>
        json(response, { type: "error", error: { type: "authentication_error", message: headers["x-api-key"] } }, 401)
      const refused = yield* send
      assert.deepStrictEqual([refused.status, refused.json.error.message], [401, "<redacted>"])
      upstream.reply = (response) =>
        json(response, { type: "error", error: { type: "invalid_request_error", message: "no 2023-06-01" } }, 400)
      assert.strictEqual((yield* send).json.error.message, "no 2023-06-01")
      upstream.reply = numberedMessages()
      assert.strictEqual((yield* send).status, 200)
      for (const { headers: sent, path } of upstream.received) {
        assert.strictEqual(path, "/v1/messages?beta=true")
        assert.deepInclude(sent, {
          "x-api-key": key,
          "anthropic-version": "2023-06-01",
          "anthropic-beta": "context-1m-2025-08-07"
        })
      }
      assert.notInclude(JSON.stringify(upstream.received), "t0ken")
      yield* server.stop
      const files = Fs.globSync(["**/*", ".runs/*"], { cwd: directory }).map((name) => Path.join(directory, name))
        .filter((file) => Fs.statSync(file).isFile())
      assert.isAbove(files.length, 3)
      for (const file of files) assert.notInclude(Fs.readFileSync(file, "utf8"), key, file)
    }))

  it.live("have a key of the server in place of the client's, if the upstream has one", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedMessages())
      const server = yield* makeServer({
        upstreams: [{ name: "test", url: upstream.url, key: Redacted.make("server-key") }]
      })
      yield* ask(server, "", { messages }, { authorization: "Bearer client-key", "x-api-key": "client-key" })
      assert.strictEqual(upstream.received[0]!.headers["x-api-key"], "server-key")
      assert.notInclude(JSON.stringify(upstream.received[0]!.headers), "client-key")
    }))
})
