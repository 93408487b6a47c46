import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { allProtocols, askBy, streamBy } from "./support/protocols.ts"
import { makeServer } from "./support/server.ts"
import { makeUpstream, startStream, upstreams } from "./support/upstream.ts"

/** What servers send in a stream beside the answer. */
const harmless: { readonly [name: string]: string } = {
  "a comment": ": OPENROUTER PROCESSING\n\n",
  "an event without data": "data:\n\n",
  "blank lines": "\n\n\r\n\n",
  "a ping": "event: ping\ndata: {\"type\": \"ping\"}\n\n",
  "an event of an unknown type": "event: later\ndata: {\"type\": \"later\", \"of\": [1]}\n\n",
  "a time to wait": "retry: 3000\n\n",
  "an id": "id: 7\n\n"
}

/** What OpenAI's kind of servers send too. */
const ofOpenAi: { readonly [name: string]: string } = {
  "a chunk without choices": "data: {\"id\": \"x\", \"choices\": []}\n\n",
  "a chunk of usage alone":
    "data: {\"id\": \"x\", \"choices\": [], \"usage\": {\"prompt_tokens\": 1, \"completion_tokens\": 1}}\n\n"
}

describe.each(allProtocols)("a stream of $name", (protocol) => {
  const extras = "choices" in protocol.answer("") ? { ...harmless, ...ofOpenAi } : harmless

  it.live.each(Object.entries(extras))("is whole with %s at any place", ([, extra]) =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const events = streamBy(protocol, "paid").split("\n\n").slice(0, -1)
      for (let at = 0; at <= events.length; at++) {
        const text = [...events.slice(0, at).map((event) => `${event}\n\n`), extra].join("") +
          events.slice(at).map((event) => `${event}\n\n`).join("")
        upstream.reply = (response) => {
          startStream(response)
          response.end(text)
        }
        const place = `/fork/${at}`
        const streamed = yield* server.send(`${place}${protocol.path}`, {
          body: { ...protocol.body("p"), stream: true }
        })
        assert.include(streamed.text, "paid", text)
        const whole = yield* askBy(protocol, server, place)
        assert.strictEqual(protocol.textOf(whole.json), "paid", text)
      }
      assert.strictEqual(upstream.received.length, events.length + 1)
    }))

  it.live("is whole if its end is told twice", () =>
    Effect.gen(function*() {
      const text = streamBy(protocol, "paid")
      const last = text.split("\n\n").at(-2)!
      const upstream = yield* makeUpstream((response) => {
        startStream(response)
        response.end(`${text}${last}\n\n`)
      })
      const server = yield* makeServer(upstreams(upstream.url))
      const streamed = yield* server.send(protocol.path, { body: { ...protocol.body("p"), stream: true } })
      assert.include(streamed.text, "paid")
      const whole = yield* askBy(protocol, server)
      assert.strictEqual(protocol.textOf(whole.json), "paid")
      assert.strictEqual(upstream.received.length, 1)
    }))

  it.live("that ends before it begins is asked for again", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response, _, index) => {
        startStream(response)
        response.end(index === 0 ? "" : streamBy(protocol, "paid"))
      })
      const server = yield* makeServer({ ...upstreams(upstream.url), retry: Schedule.recurs(1) })
      const { text } = yield* server.send(protocol.path, { body: { ...protocol.body("p"), stream: true } })
      assert.include(text, "paid")
      assert.strictEqual(upstream.received.length, 2)
    }))

  it.live("that is a failure has its status and its body", () =>
    Effect.gen(function*() {
      const body = "data: {\"error\": {\"message\": \"slow down\"}}\n\n"
      const upstream = yield* makeUpstream((response) => {
        response.writeHead(429, { "content-type": "text/event-stream" })
        response.end(body)
      })
      const server = yield* makeServer(upstreams(upstream.url))
      for (const stream of [true, false]) {
        const answer = yield* server.send(protocol.path, { body: { ...protocol.body("p"), stream } })
        assert.deepStrictEqual([answer.status, answer.text], [429, body])
      }
    }))
})
