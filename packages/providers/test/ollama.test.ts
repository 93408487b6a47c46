import { LLMock } from "@copilotkit/aimock"
import { assert, describe, it } from "@effect/vitest"
import { Key, LlmModel, Persistent } from "@llm-cache/core"
import { Ollama } from "@llm-cache/providers"
import { Effect, Layer, Redacted, Schedule } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { clients } from "./support/clients.ts"
import { makeDirectory } from "./support/directory.ts"
import { invalidInputOf, reasonOf } from "./support/model.ts"
import { last, lines, ndjson, ollama, piece } from "./support/protocols.ts"
import { makeServer, type Reply } from "./support/server.ts"

const sampling = (baseUrl: string, options?: Partial<Ollama.Options>, client = FetchHttpClient.layer) =>
<A, E>(
  effect: Effect.Effect<A, E, LlmModel.LlmModel>
) =>
  Effect.provide(
    effect,
    Ollama.layer({ baseUrl, model: "qwen2.5:7b", retry: Schedule.recurs(0), ...options }).pipe(Layer.provide(client))
  )

const requestSamples = (n: number) =>
  Effect.flatMap(LlmModel.LlmModel, (model) => model.draw(new Key.Key(model.identity, "p", []), 0, n))

const failing = (reply: Reply) =>
  Effect.gen(function*() {
    const server = yield* makeServer(reply)
    return yield* Effect.flip(sampling(server.url)(LlmModel.sampleOne("p")))
  })

describe("Ollama sends a request that", () => {
  it.effect("has the sampling parameters in `options`, and `format`, `think` and `keep_alive` beside them", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(ollama())
      yield* LlmModel.sampleOne("p").pipe(sampling(`${server.url}/`, {
        temperature: 0.5,
        system: "Be brief.",
        parameters: { num_predict: 100, top_p: 0.9, seed: 7, stop: ["\n"], format: "json", think: false, keep_alive: 0 }
      }))
      const [{ body, headers }] = server.received as [typeof server.received[0]]
      assert.deepStrictEqual<object>(body, {
        model: "qwen2.5:7b",
        messages: [{ role: "system", content: "Be brief." }, { role: "user", content: "p" }],
        stream: true,
        options: { temperature: 0.5, num_predict: 100, top_p: 0.9, seed: 7, stop: ["\n"] },
        format: "json",
        think: false,
        keep_alive: 0
      })
      assert.isUndefined(headers.authorization)
    }))

  it.effect("has fields of `request` in `options`, too, except those of the protocol beside them", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(ollama())
      yield* LlmModel.sampleOne("p").pipe(
        sampling(server.url, { parameters: { seed: 7 }, request: { keep_alive: -1, num_ctx: 100 } })
      )
      assert.deepInclude(server.received[0]!.body, { keep_alive: -1, options: { seed: 7, num_ctx: 100 } })
    }))

  it.effect("has no temperature without that option, and a key if one is given", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(ollama())
      yield* LlmModel.sampleOne("p").pipe(sampling(server.url, { apiKey: Redacted.make("sk-cloud") }))
      const [{ body, headers }] = server.received as [typeof server.received[0]]
      assert.deepStrictEqual(body["options"], {})
      assert.strictEqual(headers.authorization, "Bearer sk-cloud")
    }))

  it.effect("goes to this machine by default", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const client = HttpClient.make((_, url) => Effect.die(asked.push(url.href)))
      yield* LlmModel.sampleOne("p").pipe(
        Effect.provide(Ollama.layer({ model: "m" })),
        Effect.provideService(HttpClient.HttpClient, client),
        Effect.exit
      )
      assert.deepStrictEqual(asked, ["http://localhost:11434/api/chat"])
    }))

  it.effect("is rejected as InvalidInput with a parameter that has an option of its own", () =>
    Effect.gen(function*() {
      for (const name of ["model", "messages", "n", "temperature", "stream", "system", "options"]) {
        const error = yield* Effect.flip(
          sampling("http://127.0.0.1:1", { parameters: { [name]: 1 } })(requestSamples(1))
        )
        assert.include(invalidInputOf(error), `\`${name}\`: `)
      }
    }))
})

describe("Ollama samples several at once and", () => {
  it.effect("sends a request for each, at most `concurrency` at once, with counts of their own", () =>
    Effect.gen(function*() {
      let open = 0
      let most = 0
      let given = 0
      const waiting: Array<() => void> = []
      const server = yield* makeServer((response, received) => {
        most = Math.max(most, ++open)
        waiting.push(() => {
          open--
          ndjson(lines(piece(`sample ${given}`), { ...last, prompt_eval_count: 10 + given, eval_count: ++given }))(
            response,
            received
          )
        })
        // answers in threes, as the client lets in no more
        if (waiting.length === 3) { for (const answer of waiting.splice(0)) answer() }
      })
      const samples = yield* sampling(server.url, { concurrency: 3 })(requestSamples(3))
      assert.strictEqual(most, 3)
      assert.deepStrictEqual(
        samples.toSorted((a, b) => a.text.localeCompare(b.text)).map(({ metadata, text }) => [
          text,
          metadata.inputTokens,
          metadata.outputTokens,
          metadata.requestSamples
        ]),
        [["sample 0", 10, 1, 1], ["sample 1", 11, 2, 1], ["sample 2", 12, 3, 1]]
      )
      assert.lengthOf(yield* sampling(server.url, { concurrency: 3 })(LlmModel.sampleMany("p", 9)), 9)
      assert.strictEqual(most, 3)
      assert.lengthOf(server.received, 12)
    }))
})

describe("Ollama reads an answer and", () => {
  it.effect("joins the texts of its lines, with the model, the finish reason and the tokens", () =>
    Effect.gen(function*() {
      const whole = "\r\n ﻿\u0000𝒳 é \n"
      const server = yield* makeServer((response) => {
        // in pieces that are not lines, and that cut a character
        const body = Buffer.from(lines(piece("half "), piece(whole), { ...last, done_reason: "length" }))
        const at = body.indexOf("𝒳") + 2
        response.writeHead(200, { "content-type": "application/x-ndjson" })
        response.write(body.subarray(0, at), () => setImmediate(() => response.end(body.subarray(at))))
      })
      const [{ metadata, text }] = yield* sampling(server.url)(requestSamples(1))
      assert.strictEqual(text, `half ${whole}`)
      assert.deepInclude(metadata, { model: "gpt-mock", finishReason: "length", inputTokens: 7, outputTokens: 3 })
    }))

  it.effect("accepts an empty text, a single line, absent or odd counts, and no line break at the end", () =>
    Effect.gen(function*() {
      for (
        const [body, text] of [
          [lines({ ...last, prompt_eval_count: 1e300, eval_count: -1 }), ""],
          ["{\"message\":{\"content\":\"a\"},\"done\":true}", "a"]
        ] as const
      ) {
        const server = yield* makeServer(ndjson(body))
        const [sample] = yield* sampling(server.url)(requestSamples(1))
        assert.strictEqual(sample.text, text)
        assert.doesNotHaveAnyKeys(sample.metadata, ["inputTokens", "outputTokens"])
      }
    }))

  it.effect("fails with Transport if it ends before its last line", () =>
    Effect.gen(function*() {
      const whole = lines(piece("a"), piece("b"), last)
      for (const length of [1, 40, lines(piece("a")).length - 2, whole.indexOf("\n") + 1, whole.length - 3]) {
        reasonOf(yield* failing(ndjson(whole.slice(0, length))), "Transport")
      }
    }))

  it.effect("fails with the error in it, also after pieces of a text", () =>
    Effect.gen(function*() {
      const said = (error: string) => failing(ndjson(lines(piece("a"), { error }, last)))
      const fault = reasonOf(yield* said("an error was encountered while running the model"), "ServerFault")
      assert.include(fault.description, "an error was encountered")
      reasonOf(yield* said("the prompt is too long"), "ContextTooLong")
      reasonOf(yield* failing(ndjson(lines({ error: "out of memory" }))), "ServerFault")
    }))

  it.effect("fails with UnusableResponse without a text and a `done_reason`, or with a malformed line", () =>
    Effect.gen(function*() {
      const { created_at, model } = last
      const tools = { model, created_at, message: { role: "assistant", tool_calls: [] }, done: false }
      reasonOf(
        yield* failing(ndjson(lines(tools, { model, done: true }))),
        "UnusableResponse"
      )
      reasonOf(yield* failing(ndjson(lines({ ...last, message: { content: 7 } }))), "UnusableResponse")
      reasonOf(yield* failing(ndjson(lines(piece("a")) + "<html>\n" + lines(last))), "UnusableResponse")
    }))

  it.effect("leaves nothing in a cache after a failure", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const server = yield* makeServer(
        ndjson(lines(piece("half"))),
        ndjson(lines(piece("half"), { error: "no" })),
        ollama()
      )
      yield* Effect.gen(function*() {
        yield* Effect.flip(LlmModel.sampleOne("p"))
        yield* Effect.flip(LlmModel.sampleOne("p"))
        assert.strictEqual(yield* LlmModel.sampleOne("p"), "sample 0")
      }).pipe(Effect.provide(Persistent.layer({ directory })), sampling(server.url))
    }))
})

describe.each(clients)("aimock over %s", (_, client) => {
  it.effect("samples, and fails with RateLimited and BadRequest", () =>
    Effect.gen(function*() {
      const mock = yield* Effect.acquireRelease(
        Effect.promise(() => LLMock.create({ host: "127.0.0.1", port: 0 })),
        (mock) => Effect.promise(() => mock.stop())
      )
      let given = 0
      mock.onMessage("count", () => ({ content: `the answer is ${++given}` }))
      mock.onMessage("busy", { error: { message: "slow down" }, status: 429, retryAfter: 400 })
      const samples = yield* sampling(mock.url, { concurrency: 2 }, client)(LlmModel.sampleMany("count", 4))
      assert.deepStrictEqual(samples.toSorted(), [1, 2, 3, 4].map((i) => `the answer is ${i}`))
      const busy = yield* Effect.flip(sampling(mock.url, {}, client)(LlmModel.sampleOne("busy")))
      assert.include(reasonOf(busy, "RateLimited").description, "slow down")
      const unknown = yield* Effect.flip(sampling(mock.url, {}, client)(LlmModel.sampleOne("who are you?")))
      reasonOf(unknown, "BadRequest")
    }))
})
