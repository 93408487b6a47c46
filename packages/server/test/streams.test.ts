import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import * as Http from "node:http"
import { type Client, makeServer, user } from "./support/server.ts"
import { chunks, json, makeUpstream, startStream, streamed, upstreams } from "./support/upstream.ts"

/** The events of a stream. */
const eventsOf = (text: string): ReadonlyArray<any> =>
  text.split("\n\n").filter((event) => event.startsWith("data: ")).map((event) =>
    event === "data: [DONE]" ? "[DONE]" : JSON.parse(event.slice("data: ".length))
  )

/** The message that a client makes of a stream. */
const joined = (text: string) => {
  const message: Record<string, any> = {}
  let finish: unknown
  for (const event of eventsOf(text)) {
    for (const { delta, finish_reason } of event.choices ?? []) {
      finish ??= finish_reason
      for (const [name, value] of Object.entries<any>(delta)) {
        if (name === "tool_calls") {
          for (const { index, ...call } of value) {
            const calls = message[name] ??= []
            calls[index] = calls[index] === undefined
              ? call
              : {
                ...calls[index],
                function: {
                  ...calls[index].function,
                  arguments: calls[index].function.arguments + call.function.arguments
                }
              }
          }
        } else if (typeof value === "string" && name !== "role") message[name] = (message[name] ?? "") + value
        else message[name] = value ?? message[name]
      }
    }
  }
  return { finish, message }
}

const stream = (server: Client, prompt: string, fields: object = {}) =>
  server.chat("", { messages: user(prompt), stream: true, ...fields })

describe("streams", () => {
  it.live("pass pieces on as they come, and end when the sample is stored", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const pieces = chunks([{ content: "Hel" }, { content: "lo" }])
      let finish = () => {}
      upstream.reply = (response) => {
        startStream(response)
        for (const piece of pieces.slice(0, 3)) response.write(piece)
        finish = () => {
          for (const piece of pieces.slice(3)) response.write(piece)
          response.end()
        }
      }
      const [early, whole] = yield* Effect.callback<[string, string]>((resume) => {
        const { hostname, port } = new URL(server.url)
        const request = Http.request({
          hostname,
          port,
          agent: false,
          method: "POST",
          path: "/v1/chat/completions",
          headers: { "content-type": "application/json" }
        }, (response) => {
          let text = ""
          let early = ""
          response.on("data", (part) => {
            text += part
            if (early !== "" || !text.includes("lo\"")) return
            early = text
            finish()
          })
          response.on("end", () => resume(Effect.succeed([early, text])))
        })
        request.end(JSON.stringify({ model: "m", messages: user("p"), stream: true }))
      })
      assert.notInclude(early, "stop")
      assert.notInclude(early, "DONE")
      assert.deepInclude(joined(whole), { finish: "stop" })
      assert.strictEqual(joined(whole).message["content"], "Hello")
      assert.strictEqual(eventsOf(whole).at(-1), "[DONE]")
      // No usage was asked for.
      assert.isFalse(eventsOf(whole).some(({ usage }) => usage))
      assert.deepStrictEqual(yield* server.texts(""), ["Hello"])
      assert.strictEqual(upstream.received.length, 1)
      assert.deepStrictEqual(upstream.received[0]!.body.stream_options, { include_usage: true })
    }))

  it.live("replay what was stored whole, and the other way round", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const text = "A text of\r\nsome words, \u{1F600}\u{1F469}\u200D\u{1F680}, and a  gap \n"
      const calls = [
        { id: "a", type: "function", function: { name: "f", arguments: "" } },
        { id: "b", type: "function", function: { name: "g", arguments: "{\"x\": 1}" } }
      ]
      const fields = { content: text, reasoning_content: "Hm, hm.", tool_calls: calls }
      upstream.reply = (response, { body }) =>
        body.stream
          ? streamed([
            { reasoning_content: "Hm, " },
            { reasoning_content: "hm." },
            { content: text.slice(0, 30) },
            { content: text.slice(30) },
            { tool_calls: [{ index: 0, ...calls[0] }] },
            { tool_calls: [{ index: 1, id: "b", type: "function", function: { name: "g", arguments: "" } }] },
            { tool_calls: [{ index: 1, function: { arguments: "{\"x\":" } }] },
            { tool_calls: [{ index: 1, function: { arguments: " 1}" } }] }
          ], { finish: "tool_calls" })(response, undefined as never, 0)
          : json(response, {
            id: "whole",
            choices: [{ index: 0, message: { role: "assistant", ...fields }, finish_reason: "tool_calls" }]
          })
      for (const isFirstStreamed of [true, false]) {
        const prompt = `p${isFirstStreamed}`
        const ask = (isStreamed: boolean) =>
          isStreamed ? stream(server, prompt) : server.chat("", { messages: user(prompt) })
        const answers = [yield* ask(isFirstStreamed), yield* ask(!isFirstStreamed), yield* ask(true), yield* ask(true)]
        const messages = answers.map(({ json, text }) =>
          json === undefined
            ? joined(text)
            : { message: json.choices[0].message, finish: json.choices[0].finish_reason }
        )
        for (const { finish, message: { refusal: _, ...message } } of messages) {
          assert.strictEqual(finish, "tool_calls")
          assert.deepStrictEqual(message, { role: "assistant", ...fields })
        }
        assert.strictEqual(answers[2]!.text, answers[3]!.text)
      }
      assert.strictEqual(upstream.received.length, 2)
    }))

  it.live("tell the usage only when it is asked for", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(streamed([{ content: "x" }]))
      const server = yield* makeServer(upstreams(upstream.url))
      for (const prompt of ["p", "p"]) {
        const { text } = yield* stream(server, prompt, { stream_options: { include_usage: true } })
        const usages = eventsOf(text).filter(({ usage }) => usage)
        assert.deepStrictEqual(usages.map(({ choices, usage }) => [choices, usage.total_tokens]), [[[], 10]])
      }
      assert.isFalse(eventsOf((yield* stream(server, "p")).text).some(({ usage }) => usage))
    }))

  it.live("hold the end back, also where it comes with a piece, and join log probabilities", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const logprobs = (token: string) => ({ content: [{ token, logprob: -1 }], refusal: null })
      const chunk = (content: string, finish_reason: string | null) =>
        `data: ${
          JSON.stringify({
            id: "x",
            choices: [{ index: 0, delta: { content }, logprobs: logprobs(content), finish_reason }]
          })
        }\r\n\r\n`
      upstream.reply = (response) => {
        startStream(response)
        response.end(`${chunk("a", null)}: a comment\r\n\r\n${chunk("b", "stop")}`)
      }
      const { text } = yield* stream(server, "p", { logprobs: true })
      const choices = eventsOf(text).flatMap((event) => event === "[DONE]" ? [] : event.choices)
      assert.deepStrictEqual(choices.map(({ delta, finish_reason }) => [delta.content, finish_reason]), [
        ["a", null],
        ["b", null],
        [undefined, "stop"]
      ])
      const warm = yield* server.chat("", { messages: user("p"), logprobs: true })
      assert.deepStrictEqual(warm.json.choices[0].logprobs.content, [
        ...logprobs("a").content,
        ...logprobs("b").content
      ])
      assert.strictEqual(warm.json.choices[0].finish_reason, "stop")
    }))

  it.live("take several samples whole", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const joinedAll = (text: string) => {
        const contents = ["", ""]
        for (const { choices = [] } of eventsOf(text)) {
          for (const { delta, index } of choices) contents[index] += delta.content ?? ""
        }
        return contents
      }
      const { text } = yield* stream(server, "p", { n: 2 })
      assert.deepStrictEqual(joinedAll(text), ["sample 0", "sample 1"])
      assert.isUndefined(upstream.received[0]!.body.stream)
      // The pieces of a sample that is missing would be those of the first one.
      upstream.reply = streamed([{ content: "first" }])
      yield* stream(server, "q")
      upstream.reply = streamed([{ content: "second" }])
      assert.deepStrictEqual(joinedAll((yield* stream(server, "q", { n: 2 })).text), ["first", "second"])
    }))

  it.live("have an upstream that does not stream", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      assert.strictEqual(joined((yield* stream(server, "p")).text).message["content"], "sample 0")
    }))

  it.live("that end with [DONE] and no finish reason are whole", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) => {
        startStream(response)
        response.end("data: {\"id\":\"c1\",\"choices\":[{\"delta\":{\"content\":\"paid\"}}]}\n\ndata: [DONE]\n\n")
      })
      const server = yield* makeServer(upstreams(upstream.url))
      const { text } = yield* stream(server, "p")
      assert.strictEqual(joined(text).message["content"], "paid")
      assert.include(text, "DONE")
      assert.deepStrictEqual(yield* server.texts(""), ["paid"])
      assert.strictEqual(upstream.received.length, 1)
    }))

  it.live("end with an error if the upstream breaks off, and nothing is stored", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      // A retry would follow another sample's pieces.
      const server = yield* makeServer({ ...upstreams(upstream.url), retry: Schedule.recurs(2) })
      const pieces = chunks([{ content: "half" }])
      const broken: ReadonlyArray<(response: Http.ServerResponse) => void> = [
        (response) => response.end(),
        (response) => response.destroy(),
        (response) => response.end("data: {\"error\": {\"message\": \"overloaded\"}}\n\n")
      ]
      for (const end of broken) {
        upstream.reply = (response) => {
          startStream(response)
          response.write(pieces[0]!)
          response.write(pieces[1]!, () => end(response))
        }
        const { status, text } = yield* server.chat("/run/a/independent", { messages: user("p"), stream: true })
        assert.strictEqual(status, 200)
        assert.strictEqual(joined(text).message["content"], "half")
        const last = eventsOf(text).at(-1)
        assert.isString(last.error.message)
        assert.notInclude(text, "DONE")
      }
      upstream.reply = streamed([{ content: "new" }])
      const after = yield* server.chat("/run/a/independent", { messages: user("p"), stream: true })
      assert.strictEqual(joined(after.text).message["content"], "new")
      assert.strictEqual((yield* server.texts("/run/b/independent"))[0], "new")
      assert.strictEqual(upstream.received.length, 4)
    }))

  it.live("have the status of a failure before their first piece", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) => json(response, { error: { message: "no" } }, 422))
      const server = yield* makeServer(upstreams(upstream.url))
      const answer = yield* stream(server, "p")
      assert.strictEqual(answer.status, 422)
      assert.deepStrictEqual(answer.json, { error: { message: "no" } })
    }))

  it.live("that their client leaves are stored all the same, and its retry gets the sample", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const pieces = chunks([{ content: "Hel" }, { content: "lo" }])
      let finish = () => {}
      upstream.reply = (response) => {
        startStream(response)
        response.write(pieces[0]!)
        response.write(pieces[1]!)
        finish = () => response.end(pieces.slice(2).join(""))
      }
      yield* Effect.callback<void>((resume) => {
        const { hostname, port } = new URL(server.url)
        const request = Http.request({
          hostname,
          port,
          agent: false,
          method: "POST",
          path: "/run/a/independent/v1/chat/completions",
          headers: { "content-type": "application/json" }
        }, (response) =>
          response.once("data", () => {
            response.destroy()
            resume(Effect.void)
          }))
        request.on("error", () => {})
        request.end(JSON.stringify({ model: "m", messages: user("p"), stream: true }))
      })
      yield* server.settle
      const retry = yield* Effect.forkChild(server.texts("/run/a/independent"))
      yield* server.settle
      finish()
      assert.deepStrictEqual(yield* Fiber.join(retry), ["Hello"])
      assert.strictEqual(upstream.received.length, 1)
    }))
})
