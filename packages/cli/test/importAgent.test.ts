import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as MemoryStore from "@llm-cache/core/MemoryStore"
import { SampleStore, type Store } from "@llm-cache/core/SampleStore"
import * as Server from "@llm-cache/server/Server"
import { Context, Effect, Layer, Schedule } from "effect"
import { HttpServer } from "effect/http"
import * as Http from "node:http"
import { file, imported } from "./support/exchange.ts"

const tool = { type: "function", function: { name: "roll", parameters: { type: "object" } } }

const user = { role: "user", content: "Roll." }

/** Two turns of an agent in each protocol, and plain requests: whole and as streams. */
const requests: ReadonlyArray<readonly [path: string, body: object]> = [
  ["/chat/completions", { model: "m", messages: [user], tools: [tool], n: 2 }],
  ["/chat/completions", { model: "m", messages: [user], tools: [tool], seed: 1, stream: true }],
  ["/chat/completions", {
    model: "m",
    tools: [tool],
    messages: [
      user,
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "call_9", type: "function", function: { name: "roll" } }]
      },
      { role: "tool", tool_call_id: "call_9", content: "4" }
    ]
  }],
  ["/responses", { model: "m", input: "Roll.", tools: [{ type: "function", name: "roll" }] }],
  ["/responses", { model: "m", input: "Roll.", tools: [{ type: "function", name: "roll" }], seed: 1, stream: true }],
  ["/responses", { model: "m", input: "A plain one." }],
  ["/messages", { model: "m", max_tokens: 9, messages: [user], tools: [{ name: "roll", input_schema: {} }] }],
  ["/messages", { model: "m", max_tokens: 9, messages: [user], thinking: { type: "adaptive" }, stream: true }],
  ["/messages", { model: "m", max_tokens: 9, messages: [user] }],
  ["/completions", { model: "m", prompt: "Once" }],
  ["/completions", { model: "m", prompt: "Twice", stream: true }]
]

const answerTo = (path: string, number: number): object => {
  const name = `answer ${number}`
  const args = JSON.stringify({ number })
  switch (path) {
    case "/v1/chat/completions":
      return {
        id: name,
        choices: [0, 1].map((index) => ({
          index,
          message: {
            role: "assistant",
            content: `${name}, ${index}`,
            tool_calls: [{
              id: `call_${number}${index}`,
              type: "function",
              function: { name: "roll", arguments: args }
            }]
          },
          finish_reason: "tool_calls"
        })),
        usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7, prompt_tokens_details: { cached_tokens: 1 } }
      }
    case "/v1/responses":
      return {
        id: name,
        object: "response",
        status: "completed",
        output: [
          { id: `rs_${number}`, type: "reasoning", summary: [{ type: "summary_text", text: "Hm." }] },
          { id: `fc_${number}`, type: "function_call", call_id: `call_${number}`, name: "roll", arguments: args },
          { id: `msg_${number}`, type: "message", role: "assistant", content: [{ type: "output_text", text: name }] }
        ],
        usage: { input_tokens: 3, output_tokens: 4, total_tokens: 7 }
      }
    case "/v1/messages":
      return {
        id: name,
        type: "message",
        role: "assistant",
        content: [
          { type: "thinking", thinking: "Hm.", signature: "s" },
          { type: "tool_use", id: `toolu_${number}`, name: "roll", input: { number } },
          { type: "text", text: name }
        ],
        stop_reason: "tool_use",
        usage: { input_tokens: 3, cache_read_input_tokens: 1, output_tokens: 4 }
      }
    default:
      return { id: name, choices: [{ index: 0, text: name, finish_reason: "length" }] }
  }
}

const upstream = Effect.gen(function*() {
  const paths: Array<string> = []
  const http = yield* Effect.acquireRelease(
    Effect.callback<Http.Server>((resume) => {
      const http = Http.createServer((request, response) => {
        request.resume().on("end", () => {
          response.writeHead(200, { "content-type": "application/json" })
          response.end(JSON.stringify(answerTo(request.url!, paths.push(request.url!))))
        })
      })
      http.listen(0, "127.0.0.1", () => resume(Effect.succeed(http)))
    }),
    (http) => Effect.sync(() => http.close())
  )
  return { paths, url: `http://127.0.0.1:${(http.address() as { readonly port: number }).port}/v1` }
})

const serve = (store: Store, options: Server.ListenOptions) =>
  Effect.map(
    Layer.build(
      Server.layer({ port: 0, trace: false, retry: Schedule.recurs(0), ...options }).pipe(
        Layer.provide(Layer.succeed(SampleStore, store)),
        Layer.provide(NodeHttpClient.layerUndici)
      )
    ),
    (context) => HttpServer.formatAddress(Context.get(context, HttpServer.HttpServer).address)
  )

const send = (url: string, [path, body]: readonly [string, object], headers: { readonly [name: string]: string }) =>
  Effect.promise(async () => {
    const request = {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers }
    }
    const response = await fetch(`${url}/v1${path}`, request)
    return { status: response.status, text: await response.text() }
  })

describe("the exchanges of an agent", () => {
  it.effect("replay through the server as they were recorded, in all protocols", () =>
    Effect.gen(function*() {
      const { paths, url } = yield* upstream
      const recording = yield* serve(yield* MemoryStore.make, { upstreams: [{ name: "test", url }] })
      const entries: Array<object> = []
      const texts: Array<string> = []
      const headers = { "anthropic-beta": "context-1m-2025-08-07,interleaved-thinking-2025-05-14" }
      for (const [path, body] of requests) {
        const { status, text } = yield* send(recording, [path, body], headers)
        assert.strictEqual(status, 200, text)
        texts.push(text)
        entries.push({
          startedDateTime: "1970-01-01T00:00:00.000Z",
          request: {
            url: `https://api.example/v1${path}`,
            headers: Object.entries(headers).map(([name, value]) => ({ name: name.toUpperCase(), value })),
            postData: { text: JSON.stringify(body) }
          },
          // Some recorders trim.
          response: { status, content: { text: text.trimEnd() } }
        })
      }
      assert.strictEqual(paths.length, requests.length)
      const har = yield* file("agent.har", JSON.stringify({ log: { entries } }))
      const { counts, problems, to } = yield* imported(har)
      assert.deepStrictEqual(problems, [])
      assert.deepStrictEqual(counts, { copied: requests.length + 1, present: 0, skipped: 0, damaged: 0 })
      assert.strictEqual((yield* imported(har, { to })).counts.present, requests.length + 1)
      const replaying = yield* serve(to, { replication: true })
      for (const [i, request] of requests.entries()) {
        assert.deepStrictEqual(yield* send(replaying, request, headers), { status: 200, text: texts[i]! })
      }
      const unlike = yield* send(replaying, requests[6]!, { "anthropic-beta": "another" })
      assert.strictEqual(unlike.status, 404)
      assert.strictEqual(paths.length, requests.length)
    }))
})
