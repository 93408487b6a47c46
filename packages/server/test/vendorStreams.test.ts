import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeServer, user } from "./support/server.ts"
import { makeUpstream, message, startStream, upstreams } from "./support/upstream.ts"

interface Chunk {
  readonly choices: ReadonlyArray<object>
  readonly [name: string]: unknown
}

const choice = (delta: object, fields: object = {}): Chunk => ({ choices: [{ index: 0, delta, ...fields }] })

const finished = (delta: object = {}, fields: object = {}): Chunk => choice(delta, { finish_reason: "stop", ...fields })

const chunksOf = (text: string): ReadonlyArray<any> =>
  text.split("\n\n").filter((event) => event.startsWith("data: {")).map((event) => JSON.parse(event.slice(6)))

/** Adds up texts, calls by their index, and other lists, as OpenAI's client for Python does. */
const grown = (before: any, piece: any): any => {
  if (before === undefined || before === null) return piece
  if (piece === undefined || piece === null) return before
  if (typeof before === "string") return before + piece
  if (Array.isArray(before)) {
    const items = [...before]
    for (const item of piece) {
      const at = item.index === undefined ? -1 : items.findIndex(({ index }) => index === item.index)
      if (at < 0) items.push(item)
      else items[at] = grown(items[at], item)
    }
    return items
  }
  if (typeof before !== "object") return piece
  const fields = { ...before }
  for (const [name, value] of Object.entries(piece)) {
    fields[name] = name === "index" || name === "type" ? value : grown(fields[name], value)
  }
  return fields
}

const grownMessage = (text: string) =>
  chunksOf(text).flatMap(({ choices }) => choices).reduce((message, { delta }) => grown(message, delta), {})

/** The last fields win, as in OpenAI's client for JavaScript for all that it does not know. */
const assignedMessage = (text: string) => {
  const { content: _, tool_calls: __, ...fields } = Object.assign(
    {},
    ...chunksOf(text).flatMap(({ choices }) => choices.map(({ delta }: any) => delta))
  )
  return fields
}

/** A server in front of an upstream with one stream, and the stream as it came and as it is replayed. */
const twice = Effect.fnUntraced(function*(chunks: ReadonlyArray<Chunk>, path = "/v1/chat/completions") {
  const upstream = yield* makeUpstream((response) => {
    startStream(response)
    const head = { id: "c1", object: "chat.completion.chunk", created: 1_700_000_000, model: "m" }
    for (const chunk of chunks) response.write(`data: ${JSON.stringify({ ...head, ...chunk })}\n\n`)
    response.end("data: [DONE]\n\n")
  })
  const server = yield* makeServer(upstreams(upstream.url))
  const body = { model: "m", messages: user("p"), prompt: "p" }
  const ask = (fields: object) => server.send(path, { body: { ...body, ...fields } })
  const live = yield* ask({ stream: true })
  const replay = yield* ask({ stream: true })
  const whole = yield* ask({})
  return { live, replay, whole, upstream }
})

describe("streams of vendors", () => {
  it.live("name the role once, so that clients that add texts get one", () =>
    Effect.gen(function*() {
      const role = "assistant"
      const { live, replay, upstream } = yield* twice([
        choice({ role, content: "A " }),
        choice({ role, content: "text" }),
        choice({ role: null, content: "." }),
        finished({ role, content: "" })
      ])
      assert.deepStrictEqual(grownMessage(live.text), { role, content: "A text." })
      assert.deepStrictEqual(grownMessage(replay.text), { role, content: "A text." })
      assert.strictEqual(upstream.received.length, 1)
    }))

  it.live("have a role if the server names none", () =>
    Effect.gen(function*() {
      const { live } = yield* twice([choice({ content: "A" }), choice({ content: "B" }), finished()])
      assert.deepStrictEqual(grownMessage(live.text), { role: "assistant", content: "AB" })
    }))

  it.live("may have the arguments of a call as an object, and clients get their text", () =>
    Effect.gen(function*() {
      const called = (args: unknown) => ({ id: "a", type: "function", function: { name: "f", arguments: args } })
      const { live, replay, whole } = yield* twice([
        choice({ role: "assistant", tool_calls: [{ index: 0, ...called({ x: 1 }) }] }),
        finished({}, { finish_reason: "tool_calls" })
      ])
      const call = called("{\"x\":1}")
      assert.deepStrictEqual(whole.json.choices[0].message.tool_calls, [call])
      assert.deepStrictEqual(grownMessage(live.text).tool_calls, [{ index: 0, ...call }])
      assert.deepStrictEqual(grownMessage(replay.text).tool_calls, [{ index: 0, ...call }])
    }))

  it.live("go on with the last call in a piece that has no index, id and name", () =>
    Effect.gen(function*() {
      for (const none of [{}, { index: null, id: null }, { id: "", type: "function" }]) {
        for (const name of [{}, { name: null }, { name: "" }]) {
          const piece = (args: string) => choice({ tool_calls: [{ ...none, function: { ...name, arguments: args } }] })
          const begun = (id: string) => ({ id, type: "function", function: { name: "f", arguments: "" } })
          const { live, replay, whole } = yield* twice([
            choice({ role: "assistant", tool_calls: [begun("a")] }),
            piece("{\"x\":"),
            piece("1}"),
            choice({ tool_calls: [begun("b")] }),
            piece("{}"),
            finished({}, { finish_reason: "tool_calls" })
          ])
          const calls = [["a", "{\"x\":1}"], ["b", "{}"]].map(([id, args]) => ({
            id,
            type: "function",
            function: { name: "f", arguments: args }
          }))
          assert.deepStrictEqual(whole.json.choices[0].message.tool_calls, calls)
          const numbered = calls.map((call, index) => ({ index, ...call }))
          assert.deepStrictEqual(grownMessage(live.text).tool_calls, numbered)
          assert.deepStrictEqual(grownMessage(replay.text).tool_calls, numbered)
        }
      }
    }))

  it.live("tell calls apart that have no index, or all the same one", () =>
    Effect.gen(function*() {
      for (const index of [undefined, 0]) {
        const call = (id: string, name: string, args: string) =>
          choice({
            role: "assistant",
            tool_calls: [{
              ...index === undefined ? undefined : { index },
              id,
              type: "function",
              function: { name, arguments: args },
              extra_content: { google: { thought_signature: id } }
            }]
          })
        const { live, replay, whole } = yield* twice([
          call("a", "f", "{\"x\":"),
          ...index === undefined ? [] : [choice({ tool_calls: [{ index, function: { arguments: "1" } }] })],
          ...index === undefined ? [] : [choice({ tool_calls: [{ index, function: { arguments: "}" } }] })],
          call("b", "f", "{\"x\":"),
          ...index === undefined ? [] : [choice({ tool_calls: [{ index, function: { arguments: "2}" } }] })],
          call("c", "g", "{}"),
          finished({}, { finish_reason: "tool_calls" })
        ])
        const calls = whole.json.choices[0].message.tool_calls
        assert.deepStrictEqual(calls.map(({ id }: any) => id), ["a", "b", "c"])
        assert.deepStrictEqual(calls[2].extra_content, { google: { thought_signature: "c" } })
        if (index === 0) {
          assert.deepStrictEqual(calls.map((call: any) => call.function.arguments), ["{\"x\":1}", "{\"x\":2}", "{}"])
        }
        const numbered = calls.map((call: object, index: number) => ({ ...call, index }))
        assert.deepStrictEqual(grownMessage(live.text).tool_calls, numbered)
        assert.deepStrictEqual(grownMessage(replay.text).tool_calls, numbered)
      }
    }))

  it.live("keep a call's fields that later pieces repeat, empty or make anew", () =>
    Effect.gen(function*() {
      for (
        const again of [{ id: "", function: { name: "" } }, { id: "a", function: { name: "f" } }, {
          id: "other",
          function: { name: null }
        }]
      ) {
        const { live, replay, whole } = yield* twice([
          choice({ tool_calls: [{ index: 0, id: "a", type: "function", function: { name: "f", arguments: "" } }] }),
          choice({
            tool_calls: [{ index: 0, type: "function", ...again, function: { ...again.function, arguments: "{}" } }]
          }),
          finished({}, { finish_reason: "tool_calls" })
        ])
        const call = { id: "a", type: "function", function: { name: "f", arguments: "{}" } }
        assert.deepStrictEqual(whole.json.choices[0].message.tool_calls, [call])
        assert.deepStrictEqual(grownMessage(live.text).tool_calls, [{ index: 0, ...call }])
        assert.deepStrictEqual(grownMessage(replay.text).tool_calls, [{ index: 0, ...call }])
      }
    }))

  it.live("keep thoughts in a list that a text follows", () =>
    Effect.gen(function*() {
      const thought = (text: string) => ({ type: "thinking", thinking: [{ type: "text", text }] })
      const { replay, whole } = yield* twice([
        choice({ role: "assistant", content: "" }),
        choice({ content: [thought("Let me ")] }),
        choice({ content: [thought("think.")] }),
        choice({ content: "Some " }),
        choice({ content: "text" }),
        finished({ content: "" })
      ])
      const { content } = whole.json.choices[0].message
      assert.deepStrictEqual(content, [thought("Let me think."), { type: "text", text: "Some text" }])
      const contents = chunksOf(replay.text).map(({ choices: [{ delta }] }) => delta.content)
      assert.deepStrictEqual(contents, [null, [thought("Let me ")], [thought("think.")], "Some", " text", ""])
    }))

  it.live("keep the fields of a reasoning model in each piece, and null after it", () =>
    Effect.gen(function*() {
      const { live, replay, whole } = yield* twice([
        choice({ role: "assistant", content: null, reasoning_content: "" }),
        choice({ content: null, reasoning_content: "Hm, " }),
        choice({ content: null, reasoning_content: "so." }),
        choice({ content: "Yes", reasoning_content: null }),
        finished({ content: "", reasoning_content: null })
      ])
      for (const { text } of [live, replay]) {
        const deltas = chunksOf(text).map(({ choices: [{ delta }] }) => delta)
        assert.isTrue(deltas.every((delta) => "content" in delta && "reasoning_content" in delta))
        assert.deepStrictEqual(deltas.at(-1), { content: "", reasoning_content: null })
        assert.deepStrictEqual(assignedMessage(text), { role: "assistant", reasoning_content: null })
      }
      assert.strictEqual(whole.json.choices[0].message.reasoning_content, "Hm, so.")
    }))

  it.live("replay details of reasoning as they came, and tell them whole", () =>
    Effect.gen(function*() {
      const detail = (text: string) => ({ type: "reasoning.text", text, format: "unknown", index: 0 })
      const piece = (text: string) => choice({ content: "", reasoning: text, reasoning_details: [detail(text)] })
      const { live, replay, whole } = yield* twice([
        piece("Let me "),
        piece("think."),
        choice({ content: "A" }),
        finished()
      ])
      assert.deepStrictEqual(whole.json.choices[0].message.reasoning_details, [detail("Let me think.")])
      assert.strictEqual(whole.json.choices[0].message.reasoning, "Let me think.")
      for (const { text } of [live, replay]) {
        const { reasoning, reasoning_details } = grownMessage(text)
        assert.deepStrictEqual([reasoning, reasoning_details[0].text], ["Let me think.", "Let me think."])
        assert.deepStrictEqual(assignedMessage(text), {
          role: "assistant",
          reasoning: null,
          reasoning_details: [detail("think.")]
        })
      }
    }))

  it.live("end with the fields that came with the end, which no other piece repeats", () =>
    Effect.gen(function*() {
      const { live, replay, whole } = yield* twice([
        choice({ role: "assistant", content: "" }),
        { ...choice({ content: "A" }), x_groq: { id: "r" } },
        {
          ...finished({ content: "" }, { stop_reason: 7, native_finish_reason: "STOP" }),
          x_groq: { id: "r", usage: { completion_tokens: 1 } }
        }
      ])
      const own = { stop_reason: 7, native_finish_reason: "STOP" }
      for (const { text } of [live, replay]) {
        const last = chunksOf(text).at(-1)
        assert.deepInclude(last.choices[0], { ...own, delta: { content: "" }, finish_reason: "stop" })
        assert.deepStrictEqual(last.x_groq.usage, { completion_tokens: 1 })
        assert.strictEqual(chunksOf(text).filter(({ x_groq }) => x_groq?.usage !== undefined).length, 1)
      }
      assert.deepInclude(whole.json.choices[0], own)
      assert.notProperty(whole.json.choices[0], "last_delta")
    }))

  it.live("have one time of creation, also replayed, and no padding", () =>
    Effect.gen(function*() {
      const { live, replay, whole } = yield* twice([
        { choices: [], id: "", model: "", created: 0, object: "" },
        choice({ role: "assistant", content: "A" }),
        { ...choice({ content: "B" }), created: 1_700_000_001, obfuscation: "xyz" },
        { ...finished(), created: 1_700_000_002, obfuscation: "xy" }
      ])
      for (const { text } of [live, replay]) {
        assert.deepStrictEqual(new Set(chunksOf(text).map(({ created }) => created)), new Set([1_700_000_000]))
        assert.deepStrictEqual(new Set(chunksOf(text).map(({ id }) => id)), new Set(["c1"]))
      }
      assert.notInclude(replay.text, "obfuscation")
      assert.strictEqual(whole.json.created, 1_700_000_000)
      assert.notProperty(whole.json, "obfuscation")
    }))

  it.live("store nothing of an error without a name of its own", () =>
    Effect.gen(function*() {
      const { live, upstream } = yield* twice([
        choice({ role: "assistant", content: "Half a" }),
        { choices: [], object: "error", message: "the engine died", type: "InternalServerError", code: 500 }
      ])
      assert.include(live.text, "the engine died")
      assert.notInclude(live.text, "[DONE]")
      assert.strictEqual(upstream.received.length, 3)
    }))

  it.live("of legacy completions end with the fields that came with the end", () =>
    Effect.gen(function*() {
      const text = (text: string, fields: object = {}): Chunk => ({ choices: [{ index: 0, text, ...fields }] })
      const { live, replay } = yield* twice(
        [text("A"), text(" b", { stop_reason: null }), text("", { stop_reason: "x", finish_reason: "stop" })],
        "/v1/completions"
      )
      for (const { text } of [live, replay]) {
        assert.deepInclude(chunksOf(text).at(-1).choices[0], { stop_reason: "x", finish_reason: "stop", text: "" })
        assert.strictEqual(chunksOf(text).map(({ choices: [{ text }] }) => text).join(""), "A b")
      }
    }))
})

describe("answers of vendors", () => {
  it.live("have their fields with null, which programs read", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(
        message({ content: "A", reasoning_content: null, tool_calls: [] }, { stop_reason: null, logprobs: null })
      )
      const server = yield* makeServer(upstreams(upstream.url))
      for (const _ of [1, 2]) {
        const { json: { choices: [choice] } } = yield* server.chat("", { messages: user("p") })
        assert.deepStrictEqual(choice.message, {
          role: "assistant",
          content: "A",
          refusal: null,
          reasoning_content: null,
          tool_calls: []
        })
        assert.strictEqual(choice.stop_reason, null)
      }
    }))

  it.live("of responses have what the vendor sets by itself", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response, { body }) => {
        response.writeHead(200, { "content-type": "application/json" })
        const output = [{ type: "message", id: "m", role: "assistant", content: [{ type: "output_text", text: "A" }] }]
        const text = { format: { type: "text" }, verbosity: "medium", ...body.text }
        response.end(JSON.stringify({ id: "r", status: "completed", output, text, store: body.store ?? true }))
      })
      const server = yield* makeServer(upstreams(upstream.url))
      const ask = (fields: object) =>
        server.send("/v1/responses", { body: { model: "m", input: "p", ...fields } }).pipe(
          Effect.map(({ json: { store, text } }) => ({ store, text }))
        )
      const format = { type: "text" }
      for (const _ of [1, 2]) {
        assert.deepStrictEqual(yield* ask({ store: false }), { store: false, text: { format, verbosity: "medium" } })
        assert.deepStrictEqual(yield* ask({}), { store: true, text: { format, verbosity: "medium" } })
        assert.deepStrictEqual(yield* ask({ text: { verbosity: "low" } }), {
          store: true,
          text: { format, verbosity: "low" }
        })
      }
      assert.strictEqual(upstream.received.length, 2)
    }))
})
