import { assert, describe, it } from "@effect/vitest"
import { Identity, Key } from "@llm-cache/core"
import { Effect } from "effect"
import * as Net from "node:net"
import { open, until } from "./support/open.ts"
import { makeServer, user } from "./support/server.ts"
import { chunks, makeUpstream, startStream, upstreams } from "./support/upstream.ts"

describe("a server under load", () => {
  it.live("refuses requests when 10,000 wait, says when to come again, and takes them when there is room", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const release = upstream.hold()
      const { hostname, port } = new URL(server.url)
      const body = JSON.stringify({ model: "m", messages: user("p") })
      const request = `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
        `content-length: ${body.length}\r\n\r\n${body}`
      const waiting = yield* Effect.acquireRelease(
        Effect.sync(() => Net.connect(Number(port), hostname)),
        (socket) => Effect.sync(() => socket.destroy())
      )
      const answer = "HTTP/1.1 200"
      let answers = 0
      // A piece may end within it.
      let rest = ""
      waiting.setEncoding("utf8").on("data", (text: string) => {
        const parts = `${rest}${text}`.split(answer)
        answers += parts.length - 1
        rest = parts.at(-1)!.slice(1 - answer.length)
      })
      waiting.write(request.repeat(10_000))
      yield* upstream.until(1)
      const refused = yield* Effect.repeat(server.chat("/replication", { messages: user("q") }), {
        until: ({ status }) => status === 429
      })
      assert.strictEqual(refused.headers["retry-after"], "1")
      assert.isString(refused.json.error.message)
      release()
      yield* Effect.repeat(server.settle, { until: () => answers === 10_000 })
      assert.strictEqual((yield* server.chat("", { messages: user("p") })).status, 200)
      assert.isAtMost(upstream.received.filter(({ body }) => body.messages[0].content === "p").length, 1)
    }))

  it.live("holds back no other client and no sample for a reader that reads nothing", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const piece = "x".repeat(64 * 1024)
      upstream.reply = (response) => {
        startStream(response)
        response.end(chunks(Array.from({ length: 200 }, () => ({ content: piece }))).join(""))
      }
      const slow = yield* open(server.url, "/v1/chat/completions", { stream: true })
      slow.response.pause()
      const [text] = yield* server.texts("")
      assert.strictEqual(text!.length, 200 * piece.length)
      assert.isBelow(slow.text().length, text!.length)
      slow.response.resume()
      yield* until(slow.response, () => slow.text().endsWith("data: [DONE]\n\n"))
      assert.isAbove(slow.text().length, text!.length)
    }))

  it.live("drops the oldest events for a reader of events that is slow, instead of keeping them all", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      yield* server.send("/llm-cache/runs", { body: { name: "a" } })
      const slow = yield* open(server.url, "/llm-cache/runs/a/events")
      yield* until(slow.response, () => slow.text() !== "")
      slow.response.pause()
      const run = (yield* server.runs.get("a"))!
      const key = new Key.Key(yield* Identity.make({ model: "m" }), "p", [])
      const count = 200_000
      for (let position = 0; position < count; position++) {
        run.events.publish({ _tag: "Raced", key, position })
        if (position % 1000 === 0) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      slow.response.resume()
      yield* until(slow.response, () => slow.text().includes(`"position":${count - 1}`))
      assert.isBelow(slow.text().split("event: ").length, count / 2)
    }))
})
