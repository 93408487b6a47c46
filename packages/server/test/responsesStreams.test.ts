import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import * as Http from "node:http"
import {
  answering,
  callItem,
  events,
  eventsFor,
  eventsIn,
  messageItem,
  numberedResponses,
  outputText,
  reasoningItem,
  respond,
  responseOf,
  streaming,
  textPart
} from "./support/responses.ts"
import { type Client, makeServer } from "./support/server.ts"
import { json, makeUpstream, startStream, upstreams } from "./support/upstream.ts"

const stream = (server: Client, input: string, place = "") => respond(server, place, { input, stream: true })

/** The response at the end of a stream, whose pieces are those of its output. */
const endOf = (text: string): any => {
  const all = eventsIn(text)
  const { response, type } = all.at(-1)
  assert.strictEqual(type, `response.${response.status}`)
  const pieces: Record<string, string> = {}
  for (const { content_index, delta, output_index, summary_index } of all) {
    if (delta !== undefined) {
      const place = [output_index, content_index ?? summary_index].join()
      pieces[place] = (pieces[place] ?? "") + delta
    }
  }
  const texts = response.output.flatMap(({ arguments: args, content, summary }: any, output: number) =>
    args === undefined
      ? (content ?? summary).map(({ refusal, text = refusal }: any, i: number) => [`${output},${i}`, text])
      : [[`${output},`, args]]
  )
  assert.deepStrictEqual(pieces, Object.fromEntries(texts.filter(([, text]: [string, string]) => text !== "")))
  return response
}

/** Sends a request, and tells what comes as it comes. */
const listen = (server: Client, path: string, onText: (text: string, response: Http.IncomingMessage) => void) =>
  Effect.callback<string>((resume) => {
    const { hostname, port } = new URL(server.url)
    const request = Http.request({
      hostname,
      port,
      agent: false,
      method: "POST",
      path,
      headers: { "content-type": "application/json" }
    }, (response) => {
      let text = ""
      response.on("data", (part) => onText(text += part, response))
      response.on("close", () => resume(Effect.succeed(text)))
    })
    request.on("error", () => {})
    request.end(JSON.stringify({ model: "m", input: "p", stream: true }))
  })

describe("streams of responses", () => {
  it.live("pass pieces on as they come, and end when the sample is stored", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const all = eventsFor([messageItem("Hello there")])
      const end = all.length - 4
      let finish = () => {}
      upstream.reply = (response) => {
        startStream(response)
        response.write(events(all.slice(0, end)))
        finish = () => response.end(events(all.slice(end), 100 + end))
      }
      let early = ""
      const whole = yield* listen(server, "/v1/responses", (text) => {
        if (early !== "" || !text.includes("here\"")) return
        early = text
        finish()
      })
      assert.deepStrictEqual(eventsIn(early).map(({ type }) => type), all.slice(0, end).map(([type]) => type))
      assert.deepStrictEqual(eventsIn(whole).map(({ type }) => type), all.map(([type]) => type))
      assert.strictEqual(outputText(endOf(whole)), "Hello there")
      assert.strictEqual(outputText((yield* respond(server, "", { input: "p" })).json), "Hello there")
      assert.deepStrictEqual(upstream.received.map(({ body }) => body), [{ model: "m", input: "p", stream: true }])
    }))

  it.live("replay what was stored whole, and the other way round", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const text = "A text of\r\nsome words, \u{1F600}\u{1F469}\u200D\u{1F680}, and a  gap \n"
      const output = [messageItem(text), callItem("f", ""), callItem("g", "{\"x\": \"\u{1F680}\"}")]
      upstream.reply = (response, received, index) =>
        (received.body.stream ? streaming : answering)(output)(response, received, index)
      for (const isFirstStreamed of [true, false]) {
        const input = `p${isFirstStreamed}`
        const ask = (isStreamed: boolean) => isStreamed ? stream(server, input) : respond(server, "", { input })
        const answers = [yield* ask(isFirstStreamed), yield* ask(!isFirstStreamed), yield* ask(true), yield* ask(true)]
        const responses = answers.map(({ json, text }) => json ?? endOf(text))
        for (const response of responses) {
          assert.deepStrictEqual(response, responses[0])
          assert.deepStrictEqual(response.output, output)
          assert.strictEqual(response.usage.output_tokens_details.reasoning_tokens, 1)
        }
        assert.strictEqual(answers[2]!.text, answers[3]!.text)
      }
      assert.strictEqual(upstream.received.length, 2)
    }))

  it.live("have each event of the API when they are replayed", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const annotation = { type: "url_citation", start_index: 0, end_index: 1, url: "http://a", title: "a" }
      const logprobs = [{ token: "t", logprob: -0.1, bytes: [116], top_logprobs: [] }]
      const output = [
        { ...reasoningItem("Hmm."), content: [{ type: "reasoning_text", text: "So." }] },
        { id: "ws_1", type: "web_search_call", status: "completed", action: { type: "search", query: "q" } },
        { id: "ci_1", type: "code_interpreter_call", status: "completed", code: "1", container_id: "c", outputs: null },
        { id: "mcp_1", type: "mcp_call", status: "failed", name: "f", server_label: "s", arguments: "{}", error: "e" },
        callItem("f", "{}"),
        { id: "ctc_1", type: "custom_tool_call", call_id: "c", name: "f", input: "x" },
        messageItem(textPart("t", { annotations: [annotation], logprobs }), { type: "refusal", refusal: "No." }),
        { id: "new_1", type: "something_new", field: 1 }
      ]
      const item = (...inner: ReadonlyArray<string>) => ["output_item.added", ...inner, "output_item.done"]
      const part = (...inner: ReadonlyArray<string>) => ["content_part.added", ...inner, "content_part.done"]
      const texts = (name: string) => [`${name}.delta`, `${name}.done`]
      upstream.reply = answering(output)
      yield* respond(server, "", { input: "p" })
      const all = eventsIn((yield* stream(server, "p")).text)
      assert.deepStrictEqual(all.map(({ type }) => type.replace("response.", "")), [
        "created",
        "in_progress",
        ...item(
          "reasoning_summary_part.added",
          ...texts("reasoning_summary_text"),
          "reasoning_summary_part.done",
          ...part(...texts("reasoning_text"))
        ),
        ...item("web_search_call.in_progress", "web_search_call.searching", "web_search_call.completed"),
        ...item(
          "code_interpreter_call.in_progress",
          ...texts("code_interpreter_call_code"),
          "code_interpreter_call.interpreting",
          "code_interpreter_call.completed"
        ),
        ...item("mcp_call.in_progress", ...texts("mcp_call_arguments"), "mcp_call.failed"),
        ...item(...texts("function_call_arguments")),
        ...item(...texts("custom_tool_call_input")),
        ...item(
          ...part("output_text.delta", "output_text.annotation.added", "output_text.done"),
          ...part(...texts("refusal"))
        ),
        ...item(),
        "completed"
      ])
      const of = (type: string) => all.filter((event) => event.type === `response.${type}`)
      assert.deepStrictEqual(of("output_item.done").map(({ item }) => item), output)
      for (const name of ["created", "in_progress"]) {
        assert.deepInclude(of(name)[0].response, {
          id: all.at(-1).response.id,
          status: "in_progress",
          output: [],
          usage: null
        })
      }
      assert.deepInclude(of("output_item.added")[6].item, { status: "in_progress", content: [] })
      assert.deepInclude(of("output_item.added")[4].item, { status: "in_progress", arguments: "", name: "f" })
      assert.deepInclude(of("content_part.added")[1].part, {
        type: "output_text",
        text: "",
        annotations: [],
        logprobs: []
      })
      assert.deepInclude(of("output_text.delta")[0], { delta: "t", logprobs, output_index: 6, content_index: 0 })
      assert.deepInclude(of("output_text.done")[0], { text: "t", logprobs, item_id: (output[6] as any).id })
      assert.deepInclude(of("function_call_arguments.done")[0], { arguments: "{}", name: "f" })
      assert.deepStrictEqual(of("output_text.annotation.added")[0].annotation, annotation)
    }))

  it.live("may come in any bytes, with other ends of lines and comments", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const output = [messageItem("\u{1F600} and\r\n\u{1F469}\u200D\u{1F680}"), callItem("f", "{\"a\":\"\u{1F680}\"}")]
      upstream.reply = (response) => {
        startStream(response)
        const bytes = Buffer.from(`: a comment\r\n\r\n${events(eventsFor(output)).replaceAll("\n", "\r\n")}`)
        const write = (from: number): void => {
          if (from >= bytes.length) return void response.end()
          response.write(bytes.subarray(from, from + 7), () => write(from + 7))
        }
        write(0)
      }
      const cold = yield* stream(server, "p")
      assert.deepStrictEqual(endOf(cold.text).output, output)
      assert.deepStrictEqual(endOf((yield* stream(server, "p")).text), endOf(cold.text))
    }))

  it.live("end as incomplete where the model had to stop", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const fields = { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } }
      upstream.reply = streaming([messageItem("half")], fields)
      for (const _ of ["live", "replayed"]) {
        const { text } = yield* stream(server, "p")
        assert.deepInclude(endOf(text), fields)
        assert.strictEqual(eventsIn(text).at(-1).type, "response.incomplete")
      }
      assert.strictEqual(upstream.received.length, 1)
    }))

  it.live("have an upstream that does not stream, or whose last event has no output", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(numberedResponses())
      const server = yield* makeServer(upstreams(upstream.url))
      assert.strictEqual(outputText(endOf((yield* stream(server, "p")).text)), "sample 0")
      for (const output of [[], undefined]) {
        const all = eventsFor([messageItem("a"), messageItem("b")]).slice(0, -1)
        upstream.reply = (response) => {
          startStream(response)
          response.end(events([...all, ["response.completed", { response: { id: "resp_x", output } }]]))
        }
        assert.strictEqual(outputText(endOf((yield* stream(server, `${output}`)).text)), "ab")
      }
    }))

  it.live("end with an error if the upstream breaks off, and nothing is stored", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      // A retry would follow another sample's pieces.
      const server = yield* makeServer({ ...upstreams(upstream.url), retry: Schedule.recurs(2) })
      const pieces = eventsFor([messageItem("half")]).slice(0, 5)
      const error = { code: "server_error", message: "busy" }
      const broken: ReadonlyArray<[end: (response: Http.ServerResponse) => void, code: string]> = [
        [(response) => response.end(), "upstream_error"],
        [(response) => response.destroy(), "upstream_error"],
        [
          (response) => response.end(events([["error", { error: { ...error, type: "server_error" } }]])),
          "server_error"
        ],
        [(response) => response.end(events([["error", { ...error, param: null }]])), "server_error"],
        [
          (response) =>
            response.end(events([["response.failed", { response: responseOf([], { status: "failed", error }) }]])),
          "server_error"
        ],
        [(response) => response.end(events([["response.failed", { response: { id: "resp_1" } }]])), "server_error"]
      ]
      for (const [end, code] of broken) {
        upstream.reply = (response) => {
          startStream(response)
          response.write(events(pieces), () => end(response))
        }
        const { status, text } = yield* stream(server, "p", "/run/a/independent")
        assert.strictEqual(status, 200)
        const all = eventsIn(text)
        assert.deepStrictEqual(all.slice(0, -1).map(({ type }) => type), pieces.map(([type]) => type))
        assert.deepInclude(all.at(-1), { type: "error", code, param: null })
        assert.isString(all.at(-1).message)
        assert.deepInclude(all.at(-1).error, { code, message: all.at(-1).message })
      }
      upstream.reply = streaming([messageItem("new")])
      assert.strictEqual(outputText(endOf((yield* stream(server, "p", "/run/a/independent")).text)), "new")
      assert.strictEqual(outputText(endOf((yield* stream(server, "p", "/run/b/independent")).text)), "new")
      assert.strictEqual(upstream.received.length, broken.length + 1)
    }))

  it.live("that fail before their first piece are asked again, and have a status", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer({ ...upstreams(upstream.url), retry: Schedule.recurs(1) })
      const failing = events([
        ...eventsFor([]).slice(0, 2),
        ["response.failed", {
          response: responseOf([], { status: "failed", error: { code: "rate_limit_exceeded", message: "slow down" } })
        }]
      ])
      upstream.reply = (response) => {
        startStream(response)
        response.end(failing)
      }
      const failed = yield* stream(server, "p")
      assert.strictEqual(failed.status, 429)
      assert.strictEqual(failed.json.error.code, "rate_limit_exceeded")
      assert.strictEqual(upstream.received.length, 2)
      upstream.reply = (response) => json(response, { error: { message: "no" } }, 422)
      const refused = yield* stream(server, "p")
      assert.strictEqual(refused.status, 422)
      assert.deepStrictEqual(refused.json, { error: { message: "no" } })
    }))

  it.live("that their client leaves are stored all the same, and its retry gets the sample", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const all = eventsFor([messageItem("Hello")])
      let finish = () => {}
      upstream.reply = (response) => {
        startStream(response)
        response.write(events(all.slice(0, 5)))
        finish = () => response.end(events(all.slice(5)))
      }
      yield* listen(server, "/run/a/independent/v1/responses", (_, response) => response.destroy())
      yield* server.settle
      const retry = yield* Effect.forkChild(respond(server, "/run/a/independent", { input: "p" }))
      yield* server.settle
      finish()
      assert.strictEqual(outputText((yield* Fiber.join(retry)).json), "Hello")
      assert.strictEqual(upstream.received.length, 1)
    }))
})
