import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { type Client, makeServer, user } from "./support/server.ts"
import { json, makeUpstream, type Reply, startStream, upstreams } from "./support/upstream.ts"

/** One choice for each sample, `prompt 0`, `prompt 1`, … over all requests for this prompt. */
const counting = (choice: object = {}): Reply => {
  const counts = new Map<string, number>()
  return (response, { body, path }) => {
    const prompt = body.messages === undefined ? JSON.stringify(body.prompt) : "chat"
    const first = counts.get(prompt) ?? 0
    const n = body.n ?? 1
    counts.set(prompt, first + n)
    json(response, {
      id: `cmpl-${prompt}-${first}`,
      object: "text_completion",
      created: 1_700_000_000,
      model: body.model,
      choices: Array.from({ length: n }, (_, index) => {
        const text = `${prompt} ${first + index}`
        return path === "/v1/completions"
          ? { text, index, logprobs: null, finish_reason: "length", ...choice }
          : { index, message: { role: "assistant", content: text }, finish_reason: "stop" }
      }),
      usage: { prompt_tokens: 5, completion_tokens: 2 * n, total_tokens: 5 + 2 * n }
    })
  }
}

const ask = (server: Client, body: object, place = "") =>
  server.send(`${place}/v1/completions`, { body: { model: "m", ...body } })

const textsOf = ({ json, text }: { readonly json: any; readonly text: string }): ReadonlyArray<string> => {
  if (json?.choices === undefined) throw new Error(text)
  return json.choices.map(({ text }: { text: string }) => text)
}

describe("completions", () => {
  it.live("replay equal bodies, request only missing samples, and keep log probabilities", () =>
    Effect.gen(function*() {
      const logprobs = { tokens: ["a"], token_logprobs: [-0.5], top_logprobs: null, text_offset: [0] }
      const upstream = yield* makeUpstream(counting({ logprobs }))
      const server = yield* makeServer(upstreams(upstream.url))
      yield* ask(server, { prompt: "p", logprobs: 1 })
      const cold = yield* ask(server, { prompt: "p", logprobs: 1, n: 3 })
      const warm = yield* ask(server, { prompt: "p", logprobs: 1, n: 3 })
      assert.strictEqual(warm.text, cold.text)
      assert.deepStrictEqual(textsOf(warm), ["\"p\" 0", "\"p\" 1", "\"p\" 2"])
      assert.deepInclude(warm.json, { object: "text_completion", model: "m" })
      assert.deepInclude(warm.json.choices[2], { index: 2, finish_reason: "length", logprobs })
      assert.deepStrictEqual(warm.json.usage, { prompt_tokens: 10, completion_tokens: 6, total_tokens: 16 })
      assert.deepStrictEqual(upstream.received.map(({ body, path }) => [path, body.n]), [
        ["/v1/completions", undefined],
        ["/v1/completions", 2]
      ])
      assert.strictEqual(upstream.received[0]!.body.prompt, "p")
    }))

  it.live("are no answers to a user, whatever the texts are", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(counting())
      const server = yield* makeServer(upstreams(upstream.url))
      const answers = [
        ...textsOf(yield* ask(server, { prompt: "p" })),
        ...textsOf(yield* ask(server, { prompt: "[1,2]" })),
        ...textsOf(yield* ask(server, { prompt: [1, 2] }))
      ]
      for (const text of ["p", "\"p\"", "[1,2]", "\"[1,2]\""]) {
        const { json } = yield* server.chat("", { messages: user(text) })
        answers.push(json.choices[0].message.content)
      }
      assert.strictEqual(new Set(answers).size, answers.length)
    }))

  it.live("have all their fields in the key, but those that change no sample", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(counting())
      const server = yield* makeServer(upstreams(upstream.url))
      const same = [{}, { user: "u" }, { suffix: null }, { stream_options: null, best_of: null }]
      for (const fields of same) yield* ask(server, { prompt: "p", ...fields })
      assert.strictEqual(upstream.received.length, 1)
      const others = [{ suffix: "s" }, { echo: true }, { logprobs: 0 }, { best_of: 1 }, { max_tokens: 5 }, { new: 1 }]
      for (const fields of others) yield* ask(server, { prompt: "p", ...fields })
      assert.strictEqual(upstream.received.length, 1 + others.length)
      for (const [i, fields] of others.entries()) assert.deepInclude(upstream.received[i + 1]!.body, fields)
    }))

  it.live("that are the best of several are asked for together", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(counting())
      const server = yield* makeServer(upstreams(upstream.url))
      for (const n of [1, 2, 3, 3]) yield* ask(server, { prompt: "p", best_of: 3, n })
      assert.deepStrictEqual(upstream.received.map(({ body }) => body.n), [undefined, 2, 3])
    }))

  it.live("of a list of prompts share the samples of each prompt", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(counting())
      const server = yield* makeServer(upstreams(upstream.url))
      assert.deepStrictEqual(textsOf(yield* ask(server, { prompt: "b" })), ["\"b\" 0"])
      const answer = yield* ask(server, { prompt: ["a", "b", "a"], n: 2 })
      assert.deepStrictEqual(textsOf(answer), ["\"a\" 0", "\"a\" 1", "\"b\" 0", "\"b\" 1", "\"a\" 2", "\"a\" 3"])
      assert.deepStrictEqual(answer.json.choices.map(({ index }: any) => index), [0, 1, 2, 3, 4, 5])
      assert.strictEqual(answer.headers["cache-status"], "llm-cache; fwd=partial; stored")
      assert.deepStrictEqual(upstream.received.slice(1).map(({ body }) => [body.prompt, body.n]), [
        ["a", 4],
        ["b", undefined]
      ])
      const warm = yield* ask(server, { prompt: ["a", "b", "a"], n: 2 })
      assert.strictEqual(warm.text, answer.text)
      assert.strictEqual(warm.headers["cache-status"], "llm-cache; hit")
      assert.deepStrictEqual(textsOf(yield* ask(server, { prompt: ["b"], n: 2 })), ["\"b\" 0", "\"b\" 1"])
      assert.deepStrictEqual(textsOf(yield* ask(server, { prompt: [[1, 2], [3]] })), ["[1,2] 0", "[3] 0"])
      assert.strictEqual(upstream.received.length, 5)
    }))

  it.live("of a list that fails go back to their run", () =>
    Effect.gen(function*() {
      const reply = counting()
      const upstream = yield* makeUpstream(reply)
      const server = yield* makeServer(upstreams(upstream.url))
      upstream.reply = (response, received, index) =>
        received.body.prompt === "bad"
          ? json(response, { error: { message: "no" } }, 422)
          : reply(response, received, index)
      const place = "/run/a/independent"
      yield* ask(server, { prompt: "a" })
      assert.strictEqual((yield* ask(server, { prompt: ["a", "bad"] }, place)).status, 422)
      assert.deepStrictEqual(textsOf(yield* ask(server, { prompt: ["a", "a"] }, place)), ["\"a\" 0", "\"a\" 1"])
    }))

  it.live("stream their pieces as they come, and are the same whole", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const logprobs = (token: string) => ({ tokens: [token], token_logprobs: [-1], text_offset: [0] })
      const chunk = (text: string, finish_reason: string | null = null) =>
        `data: ${
          JSON.stringify({
            id: "cmpl-1",
            object: "text_completion",
            model: "m",
            choices: [{ index: 0, text, logprobs: logprobs(text), finish_reason }]
          })
        }\n\n`
      let finish = () => {}
      upstream.reply = (response) => {
        startStream(response)
        response.write(chunk("One "))
        response.write(chunk("two", "length"))
        finish = () =>
          response.end(
            `data: ${
              JSON.stringify({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } })
            }\n\ndata: [DONE]\n\n`
          )
      }
      const body = { prompt: "p", logprobs: 1, stream: true, stream_options: { include_usage: true } }
      const streamed = yield* Effect.forkChild(ask(server, body))
      yield* upstream.until(1)
      yield* server.settle
      finish()
      const events = (text: string) =>
        text.split("\n\n").filter((event) => event.startsWith("data: {")).map((event) => JSON.parse(event.slice(6)))
      const cold = events((yield* Fiber.join(streamed)).text)
      const choices = cold.flatMap(({ choices }) => choices)
      assert.deepStrictEqual(choices.map(({ finish_reason, text }) => [text, finish_reason]), [
        ["One ", null],
        ["two", null],
        ["", "length"]
      ])
      assert.deepStrictEqual(cold.at(-1).usage, { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 })
      const whole = yield* ask(server, { ...body, stream: false })
      assert.deepStrictEqual(textsOf(whole), ["One two"])
      assert.deepStrictEqual(whole.json.choices[0].logprobs, {
        tokens: ["One ", "two"],
        token_logprobs: [-1, -1],
        text_offset: [0, 0]
      })
      const warm = yield* ask(server, body)
      assert.strictEqual(
        events(warm.text).flatMap(({ choices }) => choices).map(({ text }) => text).join(""),
        "One two"
      )
      assert.match(warm.text, /"finish_reason":"length".*data: \[DONE\]\n\n$/s)
      assert.strictEqual(upstream.received.length, 1)
    }))

  it.live("say which requests are none", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      for (const prompt of [undefined, null, 5, {}, [], [[]], ["a", 1], [-1], ["\uD800"]]) {
        const answer = yield* ask(server, { prompt })
        assert.strictEqual(answer.status, 400)
        assert.include(answer.json.error.message, "prompt")
      }
    }))

  it.live("missing in replication are a 404", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream(counting())
      const server = yield* makeServer(upstreams(upstream.url))
      yield* ask(server, { prompt: "a" })
      assert.strictEqual((yield* ask(server, { prompt: "a" }, "/replication")).status, 200)
      const missed = yield* ask(server, { prompt: ["a", "b"] }, "/replication")
      assert.strictEqual(missed.status, 404)
      assert.strictEqual(missed.json.error.code, "replication_cache_miss")
      assert.strictEqual(upstream.received.length, 1)
    }))

  it.live("keep a finish reason that the end of a stream repeats", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream((response) => {
        startStream(response)
        for (const text of ["One", ""]) {
          response.write(
            `data: ${JSON.stringify({ model: "m", choices: [{ index: 0, text, finish_reason: "length" }] })}\n\n`
          )
        }
        response.end("data: [DONE]\n\n")
      })
      const server = yield* makeServer(upstreams(upstream.url))
      const { text } = yield* ask(server, { prompt: "p", stream: true })
      assert.deepStrictEqual(text.match(/"finish_reason":"\w+"/g), ["\"finish_reason\":\"length\""])
      const { json } = yield* ask(server, { prompt: "p" })
      assert.strictEqual(json.choices[0].finish_reason, "length")
      assert.strictEqual(upstream.received.length, 1)
    }))
})
