// Streams of an upstream in odd forms, cut and broken, in each protocol. Each seed is one stream.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import { allProtocols, streamBy, type TestedProtocol } from "./support/protocols.ts"
import { messageItem } from "./support/responses.ts"
import { type Client, makeServer } from "./support/server.ts"
import { makeUpstream, startStream, upstreams } from "./support/upstream.ts"

const runs = Number(process.env["LLM_CACHE_STREAM_RUNS"] ?? 10)

const paid = "Grüße 😀\u2028 data: [DONE] "

const ask = ({ body, path }: TestedProtocol, server: Client, prompt: string, fields: object = {}) =>
  server.send(path, { body: { ...body(prompt), ...fields } })

/** An upstream that sends what it is given, and what a client gets from it: live as a stream, then whole. */
const makeBoth = Effect.fnUntraced(function*(protocol: TestedProtocol) {
  let sent: ReadonlyArray<Uint8Array> = []
  let isTorn = false
  const upstream = yield* makeUpstream((response) => {
    startStream(response)
    const next = (i: number): void => {
      if (i < sent.length) response.write(sent[i], () => setImmediate(next, i + 1))
      else if (isTorn) response.destroy()
      else response.end()
    }
    next(0)
  })
  const server = yield* makeServer(upstreams(upstream.url))
  return Effect.fnUntraced(function*(prompt: string, bytes: Buffer, pieces = 1, torn = false) {
    const size = Math.max(1, Math.ceil(bytes.length / pieces))
    sent = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
    isTorn = torn
    const before = upstream.received.length
    const live = yield* ask(protocol, server, prompt, { stream: true })
    const asked = upstream.received.length
    // What was stored is answered without the upstream.
    sent = [Buffer.from(streamBy(protocol, "another"))]
    isTorn = false
    const whole = yield* ask(protocol, server, prompt)
    const replay = yield* ask(protocol, server, prompt, { stream: true })
    assert.strictEqual(asked, before + 1)
    assert.strictEqual(replay.status, 200)
    return { live, text: protocol.textOf(whole.json), isStored: upstream.received.length === asked }
  })
})

const hasFailed = ({ status, text }: { readonly status: number; readonly text: string }): boolean =>
  status !== 200 || /"error":\s*\{|"type":\s*"error"/.test(text)

describe.each(allProtocols)("a stream of an upstream of $name", (protocol) => {
  it.live("that is cut at any byte is an error, or stored whole", () =>
    Effect.gen(function*() {
      const both = yield* makeBoth(protocol)
      const bytes = Buffer.from(streamBy(protocol, paid))
      for (let i = 0; i < runs; i++) {
        const at = yield* Random.nextIntBetween(0, bytes.length)
        const told = yield* both(`cut ${i}`, bytes.subarray(0, at), 1 + (i % 7), i % 2 === 0)
        assert.strictEqual(told.isStored, !hasFailed(told.live), `${at}: ${told.live.text}`)
        assert.strictEqual(told.text, told.isStored ? paid : "another", `${at}`)
      }
    }).pipe(Random.withSeed("cuts")))

  it.live("means the same with other ends of lines, comments and pieces", () =>
    Effect.gen(function*() {
      const both = yield* makeBoth(protocol)
      const text = streamBy(protocol, paid)
      const forms = ["\n", "\r\n", "\r"].flatMap((end) => [
        text.replaceAll("\n", end),
        `\ufeff: comment\n\n${text.replaceAll("\n\n", "\n\n: comment\nid: 1\n\ndata:\n\n")}`.replaceAll("\n", end)
      ])
      for (const [i, form] of forms.entries()) {
        const told = yield* both(`form ${i}`, Buffer.from(form), 1 + 60 * (i % 3))
        assert.deepStrictEqual([told.isStored, told.text], [true, paid], told.live.text)
        assert.isFalse(hasFailed(told.live))
      }
    }))

  it.live("with an event that cannot be read, or an error, fails, and nothing of it is stored", () =>
    Effect.gen(function*() {
      const both = yield* makeBoth(protocol)
      const events = streamBy(protocol, paid).split(/(?<=\n\n)/)
      const bad = ["data: {\"id\":\n\n", "data: nonsense\n\n", "data: [1]\n\n", "event: error\ndata: overloaded\n\n"]
      const ofChoices = [
        "data: {\"choices\":\"odd\"}\n\n",
        "data: {\"choices\":[null]}\n\n",
        "event: error\ndata: {\"message\":\"overloaded\"}\n\n"
      ]
      const ofMessages = [
        "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":null}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":1}}\n\n"
      ]
      const pieces = protocol.name === "completions"
        ? [{ text: 1 }, { text: [paid] }]
        : [
          { delta: paid },
          { delta: { content: 1 } },
          { delta: { tool_calls: "odd" } },
          { delta: { tool_calls: [null] } },
          { delta: { tool_calls: [{ index: 0, id: "a", function: "f" }] } }
        ]
      const ofPieces = pieces.map((piece) => `data: ${JSON.stringify({ choices: [{ index: 0, ...piece }] })}\n\n`)
      const all = [...bad, ...events.at(-1) === "data: [DONE]\n\n" ? [...ofChoices, ...ofPieces] : []]
      if (protocol.name === "messages") all.push(...ofMessages)
      for (const [i, event] of all.entries()) {
        const at = Math.min(i % 2, events.length - 2)
        const told = yield* both(`bad ${i}`, Buffer.from(events.toSpliced(at, 0, event).join("")))
        assert.isTrue(hasFailed(told.live), `${event} ${told.live.text}`)
        assert.deepStrictEqual([told.isStored, told.text], [false, "another"], event)
      }
    }))
})

it.live("a stream of responses with an output or an item that cannot be read fails, and is not stored", () =>
  Effect.gen(function*() {
    const protocol = allProtocols.find(({ name }) => name === "responses")!
    const both = yield* makeBoth(protocol)
    const event = (type: string, fields: object) =>
      `data: ${JSON.stringify({ type: `response.${type}`, ...fields })}\n\n`
    const end = (output: unknown) => event("completed", { response: { status: "completed", output } })
    const item = event("output_item.done", { output_index: 0, item: messageItem(paid) })
    const streams = [end("odd"), end([null]), event("output_item.done", { item: "odd" }) + end([])]
    for (const stream of streams) {
      const told = yield* both(stream, Buffer.from(stream))
      assert.isTrue(hasFailed(told.live), `${stream} ${told.live.text}`)
      assert.deepStrictEqual([told.isStored, told.text], [false, "another"], stream)
    }
    for (const stream of [item + end([]), item + end([null])]) {
      const told = yield* both(stream, Buffer.from(stream))
      assert.deepStrictEqual([told.isStored, told.text], [true, paid], stream)
    }
  }))
