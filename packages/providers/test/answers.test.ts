// What an answer is: a sample, or a failure. The same for every protocol.
import { assert, describe, it } from "@effect/vitest"
import { Estimate, Events, Independent, Key, LlmModel, type Sample, type SampleError, Usage } from "@llm-cache/core"
import { Effect, Schedule } from "effect"
import { fakeClient } from "./support/clients.ts"
import { reasonOf } from "./support/model.ts"
import { anthropicError, last, lines, piece, type Protocol, protocols } from "./support/protocols.ts"

const protocolOf = (name: string): Protocol => protocols.find(([other]) => other === name)![1]

/** A model whose server gives these bodies in turn, and the last of them to all later requests. */
const answering = (name: string, bodies: ReadonlyArray<string>, options?: Parameters<Protocol["layer"]>[1]) => {
  let given = 0
  const client = fakeClient(() => Effect.sync(() => new Response(bodies[Math.min(given++, bodies.length - 1)])))
  return <A, E>(effect: Effect.Effect<A, E, LlmModel.LlmModel>) =>
    effect.pipe(Effect.provide(protocolOf(name).layer("http://127.0.0.1:1", options)), Effect.provide(client))
}

const drawn = (n: number) =>
  Effect.flatMap(LlmModel.LlmModel, (model) => model.draw(new Key.Key(model.identity, "p", []), 0, n))

const textAndMetadata = ({ metadata: { finishReason, reasoning, refusal }, text }: Sample.Sample) => ({
  text,
  finishReason,
  ...reasoning === undefined ? {} : { reasoning },
  ...refusal === undefined ? {} : { refusal }
})

const completion = (...choices: ReadonlyArray<object>) => JSON.stringify({ id: "c1", model: "m", choices })
const withMessage = (message: object | null, finish_reason?: string) => completion({ message, finish_reason })
const message = (content: unknown, stop_reason?: string, more: object = {}) =>
  JSON.stringify({ id: "m1", type: "message", content, stop_reason, ...more })
const thought = (thinking: string) => ({ ...piece(""), message: { role: "assistant", content: "", thinking } })
const done = (done_reason: string, message: object = {}) => ({ model: "m", message, done: true, done_reason })

describe("an answer without a text is the empty sample with its finish reason", () => {
  const answers: ReadonlyArray<[name: string, what: string, body: string, sample: object]> = [
    ["chat completions", "`content: null`", withMessage({ content: null }, "length"), { finishReason: "length" }],
    ["chat completions", "no content", withMessage({ role: "assistant" }, "length"), { finishReason: "length" }],
    ["chat completions", "no message", withMessage(null, "content_filter"), { finishReason: "content_filter" }],
    [
      "chat completions",
      "reasoning alone, of vLLM",
      withMessage({ content: null, reasoning_content: "hm" }, "length"),
      { finishReason: "length", reasoning: "hm" }
    ],
    [
      "chat completions",
      "reasoning alone, of OpenRouter",
      withMessage({ content: "", reasoning: "hm", reasoning_details: [{ text: "hm" }] }, "length"),
      { finishReason: "length", reasoning: "hm" }
    ],
    [
      "chat completions",
      "reasoning in details",
      withMessage({ content: null, reasoning_details: [{ summary: "h" }, { text: "m" }] }, "stop"),
      { finishReason: "stop", reasoning: "hm" }
    ],
    [
      "chat completions",
      "thinking in parts, of Mistral",
      withMessage({ content: [{ type: "thinking", thinking: [{ type: "text", text: "hm" }] }] }, "length"),
      { finishReason: "length", reasoning: "hm" }
    ],
    ["chat completions", "Gemini's reasons", withMessage({ content: null }, "SAFETY"), { finishReason: "SAFETY" }],
    [
      "chat completions",
      "a refusal",
      withMessage({ content: null, refusal: "I will not." }, "stop"),
      { finishReason: "stop", refusal: "I will not." }
    ],
    [
      "chat completions",
      "a refusal in parts",
      withMessage({ content: [{ type: "refusal", refusal: "No." }] }),
      { finishReason: undefined, refusal: "No." }
    ],
    ["chat completions", "a call of a tool", withMessage({ tool_calls: [] }, "tool_calls"), {
      finishReason: "tool_calls"
    }],
    ["Anthropic", "no content", message([], "max_tokens"), { finishReason: "max_tokens" }],
    ["Anthropic", "`content: null`", message(null, "end_turn"), { finishReason: "end_turn" }],
    [
      "Anthropic",
      "thinking alone",
      message([{ type: "thinking", thinking: "hm" }, { type: "redacted_thinking", data: "x" }], "max_tokens"),
      { finishReason: "max_tokens", reasoning: "hm" }
    ],
    [
      "Anthropic",
      "a refusal",
      message([], "refusal", { stop_details: { type: "refusal", explanation: "No." } }),
      { finishReason: "refusal", refusal: "No." }
    ],
    ["Anthropic", "a call of a tool", message([{ type: "tool_use" }], "tool_use"), { finishReason: "tool_use" }],
    ["Ollama", "no content", lines(done("stop")), { finishReason: "stop" }],
    ["Ollama", "`content: null`", lines(done("length", { content: null })), { finishReason: "length" }],
    ["Ollama", "an empty content", lines(done("length", { content: "" })), { finishReason: "length" }],
    ["Ollama", "thinking alone", lines(thought("h"), thought("m"), done("length")), {
      finishReason: "length",
      reasoning: "hm"
    }]
  ]
  it.effect.each(answers)("of %s: %s", ([name, , body, sample]) =>
    Effect.gen(function*() {
      const [only, ...others] = yield* answering(name, [body])(drawn(1))
      assert.deepStrictEqual<object>(textAndMetadata(only), { text: "", ...sample })
      assert.lengthOf(others, 0)
    }))

  it.effect("so that an estimate counts it", () =>
    Effect.gen(function*() {
      const half = Array.from({ length: 20 }, (_, i) =>
        i % 2 === 0
          ? { message: { content: "42" }, finish_reason: "stop" }
          : { message: { content: null, reasoning_content: "hm" }, finish_reason: "length" })
      const [estimate, { spent }] = yield* Estimate.passAtK({
        prompt: "p",
        n: 40,
        batch: 20,
        k: 1,
        check: (text) => text === "42"
      }).pipe(
        Usage.measure,
        Effect.provide(Independent.layer),
        answering("chat completions", ["c1", "c2"].map((id) => completion(...half).replace("c1", id)))
      )
      assert.closeTo(estimate, 0.5, 1e-9)
      assert.deepInclude(spent, { requests: 2, samples: 40 })
    }))
})

describe("an answer with a text", () => {
  const answers: ReadonlyArray<[name: string, body: string, sample: object]> = [
    [
      "chat completions",
      withMessage({ content: "a", reasoning_content: "hm \ud800", refusal: null }, "stop"),
      { text: "a", finishReason: "stop", reasoning: "hm \ufffd" }
    ],
    [
      "Anthropic",
      message([{ type: "thinking", thinking: "hm" }, { type: "text", text: "a" }], "end_turn"),
      { text: "a", finishReason: "end_turn", reasoning: "hm" }
    ],
    [
      "Ollama",
      lines(thought("h"), thought("m"), piece("a"), last),
      { text: "a", finishReason: "stop", reasoning: "hm" }
    ]
  ]
  it.effect.each(answers)("of %s keeps the reasoning beside it", ([name, body, sample]) =>
    Effect.gen(function*() {
      const [only] = yield* answering(name, [body])(drawn(1))
      assert.deepStrictEqual<object>(textAndMetadata(only), sample)
    }))

  it.effect("has the id that the server gives", () =>
    Effect.gen(function*() {
      const idOf = (name: string, body: string) =>
        Effect.map(answering(name, [body])(drawn(1)), ([{ metadata }]) => metadata.responseId)
      assert.strictEqual(yield* idOf("chat completions", withMessage({ content: "a" })), "c1")
      assert.strictEqual(yield* idOf("Anthropic", message([{ type: "text", text: "a" }])), "m1")
      assert.isUndefined(yield* idOf("Ollama", lines(piece("a"), last)))
    }))
})

describe("a failure", () => {
  const failures: ReadonlyArray<[name: string, tag: SampleError.ProviderErrorReason["_tag"], body: string]> = [
    ["chat completions", "UnusableResponse", withMessage({ content: 7 }, "stop")],
    ["chat completions", "UnusableResponse", withMessage({ content: {} }, "stop")],
    ["chat completions", "UnusableResponse", withMessage({ content: [{ type: "text", text: 7 }] }, "stop")],
    ["chat completions", "UnusableResponse", withMessage({ content: null })],
    ["chat completions", "UnusableResponse", completion({ message: "a", finish_reason: "stop" })],
    ["chat completions", "ServerFault", withMessage({ content: "half" }, "error")],
    ["chat completions", "ServerFault", withMessage({ content: "half" }, "abort")],
    ["chat completions", "ServerFault", withMessage({ content: "half" }, "insufficient_system_resource")],
    ["chat completions", "ServerFault", completion({ error: { code: 502, message: "gone" }, finish_reason: "stop" })],
    ["chat completions", "RateLimited", completion({ error: { code: 429, message: "slow" }, finish_reason: "error" })],
    ["Anthropic", "UnusableResponse", message([], undefined)],
    ["Anthropic", "ServerFault", JSON.stringify(anthropicError("overloaded_error", "Overloaded"))],
    ["Ollama", "UnusableResponse", lines({ model: "m", done: true })],
    ["Ollama", "ServerFault", lines(piece("half"), { error: "broke off" })],
    ["Ollama", "ServerFault", lines(done("load"))],
    ["Ollama", "ServerFault", lines(done("unload", { content: "" }))]
  ]
  it.effect.each(failures)("of %s is no sample: %s", ([name, tag, body]) =>
    Effect.gen(function*() {
      reasonOf(yield* Effect.flip(answering(name, [body])(drawn(1))), tag)
    }))

  it.effect("beside samples is told by an event, and counted", () =>
    Effect.gen(function*() {
      const events: Array<Events.RequestDone> = []
      const body = completion(
        { message: { content: "a" }, finish_reason: "stop" },
        { message: { content: 7 }, finish_reason: "stop" },
        { message: { content: "half" }, error: { code: 502, message: "gone" }, finish_reason: "error" },
        { message: { content: null }, finish_reason: "length" }
      )
      const [samples, usage] = yield* Effect.gen(function*() {
        yield* Events.listen((event) => {
          if (event._tag === "RequestDone") events.push(event)
        })
        return yield* Usage.measure(drawn(4))
      }).pipe(Effect.scoped, Effect.provide(Events.layer), answering("chat completions", [body]))
      assert.deepStrictEqual(samples.map(({ text }) => text), ["a", ""])
      assert.deepStrictEqual(events[0]?.failures.map(({ _tag }) => _tag), ["UnusableResponse", "ServerFault"])
      assert.include(events[0]?.failures[1]?.message, "gone")
      assert.deepInclude(usage, { failedRequests: 0, failedSamples: 2 })
      assert.deepInclude(usage.spent, { requests: 1, samples: 2 })
    }))

  it.effect("of all samples of a request is that of one that can be retried, if there is one", () =>
    Effect.gen(function*() {
      const body = completion(
        { message: { content: 7 }, finish_reason: "stop" },
        { error: { code: 502, message: "gone" } }
      )
      const samples = yield* answering("chat completions", [body, withMessage({ content: "a" }, "stop")], {
        retry: Schedule.recurs(1)
      })(drawn(2))
      assert.deepStrictEqual(samples.map(({ text }) => text), ["a"])
    }))
})

describe("an answer that is no JSON object", () => {
  const sse = (...events: ReadonlyArray<object>) =>
    events.map((event) => `event: e\ndata: ${JSON.stringify(event)}\n\n`).join("")
  const chunk = (index: number, delta: object, finish_reason: string | null = null) => ({
    id: "c1",
    model: "m",
    choices: [{ index, delta, finish_reason }],
    usage: null
  })
  const chunks = [
    chunk(0, { role: "assistant", content: "" }),
    chunk(0, { reasoning_content: "h" }),
    chunk(1, { content: "c" }),
    chunk(0, { reasoning_content: "m" }),
    chunk(0, { content: "a" }),
    chunk(0, { content: "b\n\n" }),
    chunk(1, {}, "length"),
    chunk(0, {}, "stop")
  ]
  const counts = { id: "c1", choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } }
  const events = [
    {
      type: "message_start",
      message: { id: "m1", model: "m", content: [], stop_reason: null, usage: { input_tokens: 7 } }
    },
    { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "hm" } },
    { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
    { type: "ping" },
    { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "a" } },
    { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "b" } },
    { type: "content_block_stop", index: 1 },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 3 } },
    { type: "message_stop" }
  ]

  it.effect("but a stream holds samples", () =>
    Effect.gen(function*() {
      const body = `: processing\n\n${sse(...chunks, counts)}data: [DONE]\n\n`
      for (const stream of [body, body.replaceAll("\n", "\r\n")]) {
        const samples = yield* answering("chat completions", [stream])(drawn(2))
        assert.deepStrictEqual<ReadonlyArray<object>>(samples.map(textAndMetadata), [
          { text: "ab\n\n", finishReason: "stop", reasoning: "hm" },
          { text: "c", finishReason: "length" }
        ])
        assert.deepInclude(samples[0].metadata, { responseId: "c1", model: "m", inputTokens: 7, outputTokens: 3 })
      }
      const [claude] = yield* answering("Anthropic", [sse(...events)])(drawn(1))
      assert.deepStrictEqual<object>(textAndMetadata(claude), { text: "ab", finishReason: "end_turn", reasoning: "hm" })
      assert.deepInclude(claude.metadata, { responseId: "m1", model: "m", inputTokens: 7, outputTokens: 3 })
      const [llama] = yield* answering("Ollama", [sse(piece("a"), piece("b"), last)])(drawn(1))
      assert.strictEqual(llama.text, "ab")
      const [pretty] = yield* answering("Ollama", [JSON.stringify(done("stop", { content: "a" }), null, 2)])(drawn(1))
      assert.strictEqual(pretty.text, "a")
    }))

  it.effect("but a stream with an error fails with it", () =>
    Effect.gen(function*() {
      const broken = sse(...chunks.slice(0, 5), { error: { code: 502, message: "gone" } })
      const chat = reasonOf(yield* Effect.flip(answering("chat completions", [broken])(drawn(1))), "ServerFault")
      assert.include(chat.description, "gone")
      const overloaded = sse(...events.slice(0, 4), anthropicError("overloaded_error", "Overloaded"))
      reasonOf(yield* Effect.flip(answering("Anthropic", [overloaded])(drawn(1))), "ServerFault")
      const malformed = sse(...chunks).replace("\"delta\":{\"content\":\"a\"}", "}")
      reasonOf(yield* Effect.flip(answering("chat completions", [malformed])(drawn(1))), "UnusableResponse")
    }))

  it.effect("but ends early fails with Transport, and is retried", () =>
    Effect.gen(function*() {
      const whole: ReadonlyArray<[name: string, body: string]> = [
        ["chat completions", completion({ message: { content: "[\\\"}" }, finish_reason: "stop" })],
        ["chat completions", sse(...chunks)],
        ["Anthropic", message([{ type: "text", text: "a" }], "end_turn")],
        ["Anthropic", sse(...events.slice(0, -1))],
        ["Ollama", lines(piece("a"), last)],
        ["Ollama", lines(thought("a"), last)]
      ]
      for (const [name, body] of whole) {
        for (const length of [1, 20, body.length >> 1, body.indexOf("\n") + 1 || 1, body.length - 4]) {
          if (length < 20 && body.startsWith("event")) continue
          const cut = body.slice(0, length)
          reasonOf(yield* Effect.flip(answering(name, [cut])(drawn(1))), "Transport")
          yield* answering(name, [cut, body], { retry: Schedule.recurs(1) })(drawn(1))
        }
      }
    }))

  it.effect("is judged in a moment, however long it is", () =>
    Effect.gen(function*() {
      const code = "say(\"NaN\", \"{\");\n".repeat(100_000)
      const bodies: ReadonlyArray<[name: string, body: string]> = [
        ["chat completions", withMessage({ content: code }, "stop")],
        ["Anthropic", message([{ type: "text", text: code }], "end_turn")],
        ["Ollama", lines(piece(code), last)]
      ]
      for (const [name, body] of bodies) {
        reasonOf(yield* Effect.flip(answering(name, [body.slice(0, -200)])(drawn(1))), "Transport")
        assert.strictEqual((yield* answering(name, [body])(drawn(1)))[0].text, code)
      }
    }))

  it.effect("but a web page says that `baseUrl` is one", () =>
    Effect.gen(function*() {
      for (const [name] of protocols) {
        for (const page of ["<!doctype html><p>Log in", "\n<html>", "<?xml version=\"1.0\"?>"]) {
          const { description } = reasonOf(yield* Effect.flip(answering(name, [page])(drawn(1))), "UnusableResponse")
          assert.include(description, "web page")
        }
        const other = yield* Effect.flip(answering(name, ["Hello"])(drawn(1)))
        assert.notInclude(reasonOf(other, "UnusableResponse").description, "web page")
      }
    }))

  it.effect("only because of numbers that JSON does not have is read", () =>
    Effect.gen(function*() {
      const odd = "\"logprobs\": [NaN, -Infinity, Infinity, \"NaN \\\" -Infinity\"], "
      const bodies: ReadonlyArray<[name: string, body: string]> = [
        ["chat completions", withMessage({ content: "\\\" NaN" }, "stop").replace("{", `{${odd}`)],
        ["Anthropic", message([{ type: "text", text: "\\\" NaN" }], "end_turn").replace("{", `{${odd}`)],
        ["Ollama", lines(piece("\\\" NaN"), last).replaceAll("{\"model", `{${odd}"model`)]
      ]
      for (const [name, body] of bodies) {
        assert.strictEqual((yield* answering(name, [body])(drawn(1)))[0].text, "\\\" NaN")
      }
    }))
})
