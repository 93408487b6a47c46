import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import * as Http from "node:http"
import {
  answering,
  ask,
  block,
  end,
  events,
  eventsIn,
  numberedMessages,
  start,
  streamedMessage,
  text,
  textBlock
} from "./support/anthropic.ts"
import { type Client, makeServer, user } from "./support/server.ts"
import { json, makeUpstream, startStream, upstreams } from "./support/upstream.ts"

const tools = [{ name: "f", input_schema: { type: "object" } }]

/** The message that a client makes of a stream. */
const joined = (text: string) => {
  let message: any
  const inputs: Array<string> = []
  for (const { content_block, delta = {}, index, message: begun, type, usage } of eventsIn(text)) {
    if (type === "message_start") {
      assert.isUndefined(message, "a second start")
      message = begun
    } else if (type === "content_block_start") {
      assert.strictEqual(index, message.content.length)
      message.content.push({ ...content_block })
    } else if (type === "content_block_delta") {
      const block = message.content[index]
      if (delta.partial_json !== undefined) inputs[index] = (inputs[index] ?? "") + delta.partial_json
      if (delta.text !== undefined) block.text += delta.text
      if (delta.thinking !== undefined) block.thinking += delta.thinking
      if (delta.signature !== undefined) block.signature = delta.signature
      if (delta.citation !== undefined) block.citations = [...block.citations ?? [], delta.citation]
    } else if (type === "content_block_stop") {
      if (inputs[index]) message.content[index].input = JSON.parse(inputs[index])
    } else if (type === "message_delta") {
      Object.assign(message, delta)
      Object.assign(message.usage, usage)
    }
  }
  return message
}

const stream = (server: Client, prompt: string, fields: object = {}, place = "") =>
  ask(server, place, { messages: user(prompt), stream: true, ...fields })

/** Posts a streamed request, and calls a function for each piece of its answer. */
const post = (server: Client, place: string, onData: (text: string, response: Http.IncomingMessage) => void) =>
  Effect.callback<string>((resume) => {
    const { hostname, port } = new URL(server.url)
    const request = Http.request({
      hostname,
      port,
      agent: false,
      method: "POST",
      path: `${place}/v1/messages`,
      headers: { "content-type": "application/json" }
    }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (part: string) => onData(text += part, response))
      response.on("close", () => resume(Effect.succeed(text)))
      response.on("error", () => {})
    })
    request.on("error", () => {})
    request.end(JSON.stringify({ model: "claude", max_tokens: 100, messages: user("p"), stream: true }))
  })

describe("streams of messages", () => {
  it.live("pass pieces on as they come, and end when the sample is stored", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      let finish = () => {}
      upstream.reply = (response) => {
        startStream(response)
        response.write(events(start(), ["ping"], ...textBlock(0, "Hel", "lo").slice(0, 3), ["ping"]))
        finish = () => response.end(events(["content_block_stop", { index: 0 }], ...end("max_tokens")))
      }
      let early = ""
      const whole = yield* post(server, "", (text) => {
        if (early !== "" || !text.includes("lo\"")) return
        early = text
        finish()
      })
      assert.deepStrictEqual(eventsIn(early).map(({ type }) => type).slice(0, 4), [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta"
      ])
      assert.notInclude(early, "message_delta")
      assert.deepStrictEqual(eventsIn(whole).map(({ type }) => type), [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "ping",
        "content_block_stop",
        "message_delta",
        "message_stop"
      ])
      const replayed = yield* ask(server, "", { messages: user("p") })
      assert.deepStrictEqual(joined(whole), replayed.json)
      assert.deepInclude(replayed.json, { content: [text("Hello")], stop_reason: "max_tokens" })
      assert.deepStrictEqual(replayed.json.usage, { input_tokens: 7, cache_read_input_tokens: 2, output_tokens: 30 })
      assert.strictEqual(upstream.received.length, 1)
      assert.isTrue(upstream.received[0]!.body.stream)
    }))

  it.live("replay what was stored whole, and the other way round", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const words = "A text of\r\nsome words, \u{1F600}\u{1F469}\u200D\u{1F680}, and a  gap \n"
      const citations = [{ type: "char_location", cited_text: "c" }, { type: "page_location", cited_text: "d" }]
      const results = { type: "web_search_tool_result", tool_use_id: "s", content: [{ type: "web_search_result" }] }
      const content = [
        { type: "thinking", thinking: "Hm, hm.", signature: "c2lnbmF0dXJl" },
        { type: "redacted_thinking", data: "cmVk" },
        text(words),
        { type: "text", text: "cited", citations },
        { type: "tool_use", id: "a", name: "f", input: {} },
        { type: "tool_use", id: "b", name: "g", input: { x: 1, text: "\u{1F600} \"q\"" } },
        { type: "server_tool_use", id: "s", name: "web_search", input: { query: "q" } },
        results
      ]
      const [, , , , , , search] = content
      const json = (...pieces: ReadonlyArray<string>) =>
        pieces.map((partial_json) => ({ type: "input_json_delta", partial_json }))
      // In the middle of a character.
      const middle = words.indexOf("\u{1F600}") + 1
      const [head, tail] = [words.slice(0, middle), words.slice(middle)]
      assert.isFalse(head.isWellFormed())
      const streamed = streamedMessage(
        ...block(0, { type: "thinking", thinking: "", signature: "" }, { type: "thinking_delta", thinking: "Hm, " }, {
          type: "thinking_delta",
          thinking: "hm."
        }, { type: "signature_delta", signature: "c2lnbmF0dXJl" }),
        ...block(1, content[1]!),
        ...textBlock(2, head, tail),
        ...block(
          3,
          { type: "text", text: "", citations: [] },
          { type: "citations_delta", citation: citations[0] },
          { type: "text_delta", text: "cited" },
          { type: "citations_delta", citation: citations[1] }
        ),
        ...block(4, content[4]!, ...json("")),
        ...block(5, { ...content[5], input: {} }, ...json("", "{\"x\": ", "1, \"text\": \"\u{1F600} \\\"", "q\\\"\"}")),
        ...block(6, { ...search, input: {} }, ...json("{\"query\":", "\"q\"}")),
        ...block(7, results),
        ...end("tool_use", { container: { id: "c" } })
      )
      upstream.reply = (response, received, index) =>
        received.body.stream
          ? streamed(response, received, index)
          : answering(content, {
            stop_reason: "tool_use",
            container: { id: "c" },
            usage: { input_tokens: 7, cache_read_input_tokens: 2, output_tokens: 30 }
          })(response, received, index)
      for (const isFirstStreamed of [true, false]) {
        const prompt = `p${isFirstStreamed}`
        const send = (isStreamed: boolean) => stream(server, prompt, { tools, stream: isStreamed })
        const answers = [
          yield* send(isFirstStreamed),
          yield* send(!isFirstStreamed),
          yield* send(true),
          yield* send(true)
        ]
        for (const { json, text } of answers) {
          const message = json ?? joined(text)
          assert.deepStrictEqual(message.content, content)
          assert.deepInclude(message, {
            id: (answers[0]!.json ?? joined(answers[0]!.text)).id,
            stop_reason: "tool_use",
            stop_sequence: null,
            container: { id: "c" },
            usage: { input_tokens: 7, cache_read_input_tokens: 2, output_tokens: 30 }
          })
        }
        assert.strictEqual(answers[2]!.text, answers[3]!.text)
      }
      assert.strictEqual(upstream.received.length, 2)
    }))

  it.live("read CRLF, comments and characters in pieces of bytes", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const bytes = Buffer.from(
        `: a comment\r\n\r\n${events(start(), ...textBlock(0, "a\u{1F600}b"), ...end()).replaceAll("\n", "\r\n")}`
      )
      const middle = bytes.indexOf(Buffer.from("\u{1F600}")) + 2
      upstream.reply = (response) => {
        startStream(response)
        response.write(bytes.subarray(0, middle), () => response.end(bytes.subarray(middle)))
      }
      const { text: streamed } = yield* stream(server, "p")
      assert.deepStrictEqual(joined(streamed).content, [text("a\u{1F600}b")])
      assert.deepStrictEqual((yield* ask(server, "", { messages: user("p") })).json.content, [text("a\u{1F600}b")])
    }))

  it.live("keep an input that was cut off", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(streamedMessage(
        ...block(0, { type: "tool_use", id: "a", name: "f", input: {} }, {
          type: "input_json_delta",
          partial_json: "{\"x\": [1,"
        }),
        ...end("max_tokens")
      ))
      const server = yield* makeServer(upstreams(upstream.url))
      for (let i = 0; i < 2; i++) {
        const pieces = eventsIn((yield* stream(server, "p", { tools })).text)
          .map(({ delta }) => delta?.partial_json ?? "")
        assert.strictEqual(pieces.join(""), "{\"x\": [1,")
      }
      const whole = yield* ask(server, "", { messages: user("p"), tools })
      assert.deepStrictEqual(whole.json.content[0].input, { INVALID_JSON: "{\"x\": [1," })
    }))

  it.live("have an upstream that does not stream, and an answer without a block", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedMessages())
      const server = yield* makeServer(upstreams(upstream.url))
      assert.deepStrictEqual(joined((yield* stream(server, "p")).text).content, [text("sample 0")])
      upstream.reply = streamedMessage(...end("refusal"))
      for (let i = 0; i < 2; i++) {
        assert.deepInclude(joined((yield* stream(server, "q")).text), { content: [], stop_reason: "refusal" })
      }
      assert.strictEqual(upstream.received.length, 2)
    }))

  it.live("end with an error if the upstream breaks off, and nothing is stored", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      // A retry would follow another sample's pieces.
      const server = yield* makeServer({ ...upstreams(upstream.url), retry: Schedule.recurs(2) })
      const overloaded = { type: "overloaded_error", message: "Overloaded" }
      const broken: ReadonlyArray<[(response: Http.ServerResponse) => void, string]> = [
        [(response) => response.end(), "api_error"],
        [(response) => response.destroy(), "api_error"],
        [(response) => response.end(events(["error", { error: overloaded }])), "overloaded_error"]
      ]
      for (const [end, type] of broken) {
        upstream.reply = (response) => {
          startStream(response)
          response.write(events(start(), ...textBlock(0, "half").slice(0, 2)), () => end(response))
        }
        const { status, text: streamed } = yield* stream(server, "p", {}, "/run/a/independent")
        assert.strictEqual(status, 200)
        const all = eventsIn(streamed)
        assert.strictEqual(joined(streamed).content[0].text, "half")
        assert.deepInclude(all.at(-1), { type: "error" })
        assert.strictEqual(all.at(-1).error.type, type)
        assert.isString(all.at(-1).error.message)
        assert.notInclude(streamed, "message_stop")
      }
      upstream.reply = streamedMessage(...textBlock(0, "new"), ...end())
      for (const run of ["a", "b"]) {
        const after = yield* stream(server, "p", {}, `/run/${run}/independent`)
        assert.deepStrictEqual(joined(after.text).content, [text("new")])
      }
      assert.strictEqual(upstream.received.length, 4)
    }))

  it.live("that fail before their first block are asked again, and have a status", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer({ ...upstreams(upstream.url), retry: Schedule.recurs(1) })
      const error = { type: "overloaded_error", message: "Overloaded" }
      const overloaded = streamedMessage(["ping"], ["error", { error }])
      upstream.reply = (...args) =>
        (args[2] === 0 ? overloaded : streamedMessage(...textBlock(0, "second"), ...end()))(...args)
      assert.deepStrictEqual(joined((yield* stream(server, "p")).text).content, [text("second")])
      assert.strictEqual(upstream.received.length, 2)
      upstream.reply = overloaded
      const failed = yield* stream(server, "q")
      assert.strictEqual(failed.status, 529)
      assert.deepStrictEqual(failed.json, { type: "error", error })
      assert.strictEqual(upstream.received.length, 4)
    }))

  it.live("that their client leaves are stored all the same, and its retry gets the sample", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      let finish = () => {}
      upstream.reply = (response) => {
        startStream(response)
        response.write(events(start(), ...textBlock(0, "Hel")))
        finish = () => response.end(events(...textBlock(1, "lo"), ...end()))
      }
      yield* post(server, "/run/a/independent", (_, response) => void response.destroy())
      yield* server.settle
      const retry = yield* Effect.forkChild(ask(server, "/run/a/independent", { messages: user("p") }))
      yield* server.settle
      finish()
      assert.deepStrictEqual((yield* Fiber.join(retry)).json.content, [text("Hel"), text("lo")])
      assert.strictEqual(upstream.received.length, 1)
      upstream.reply = (response) => json(response, {}, 500)
      const again = yield* ask(server, "/run/b/independent", { messages: user("p") })
      assert.deepStrictEqual(again.json.content, [text("Hel"), text("lo")])
    }))
})
