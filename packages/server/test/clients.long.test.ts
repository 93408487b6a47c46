import { assert, describe, it } from "@effect/vitest"
import { ChatOpenAI } from "@langchain/openai"
import { DirectoryStore, Independent, LlmModel, Persistent, Repeatable } from "@llm-cache/core"
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import OpenAI from "openai"
import { makeDirectory, makeServer } from "./support/server.ts"
import { chunks, makeUpstream, startStream, upstreams } from "./support/upstream.ts"

const question = "Choose a number between 1 and 1000."
const mostAttempts = 3

/** Each attempt draws a number twice, which repeats, and a verdict about it. The last one is accepted. */
const python = `
import json, sys, urllib.request

def ask(attempt, prompt):
    url = f"{sys.argv[1]}/independent/repeatable/{attempt}/v1/chat/completions"
    body = {"model": "m", "messages": [{"role": "user", "content": prompt}]}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)["choices"][0]["message"]["content"]

values = []
for attempt in range(${mostAttempts}):
    number = ask(attempt, "${question}")
    values += [number, ask(attempt, "${question}"), ask(attempt, f"Is {number} even?")]
print(json.dumps(values))
`

const runPython = (url: string) =>
  Effect.callback<ReadonlyArray<string>>((resume) => {
    const child = ChildProcess.execFile("python3", ["-c", python, url], (error, stdout) =>
      resume(error === null ? Effect.succeed(JSON.parse(stdout)) : Effect.die(error)))
    return Effect.sync(() =>
      child.kill()
    )
  })

const runJavaScript = (url: string) =>
  Effect.promise(async () => {
    const values: Array<string> = []
    for (let attempt = 0; attempt < mostAttempts; attempt++) {
      const client = new OpenAI({ apiKey: "none", baseURL: `${url}/independent/repeatable/${attempt}/v1` })
      const ask = async (content: string) =>
        (await client.chat.completions.create({ model: "m", messages: [{ role: "user", content }] })).choices[0]!
          .message
          .content!
      const number = await ask(question)
      values.push(number, await ask(question), await ask(`Is ${number} even?`))
    }
    return values
  })

const runLibrary = (directory: string) =>
  Effect.gen(function*() {
    const values: Array<string> = []
    for (let attempt = 0; attempt < mostAttempts; attempt++) {
      const steps = Effect.gen(function*() {
        const number = yield* LlmModel.sampleOne(question)
        values.push(number, yield* LlmModel.sampleOne(question), yield* LlmModel.sampleOne(`Is ${number} even?`))
      })
      yield* Effect.provide(steps, Repeatable.layer)
    }
    return values
  }).pipe(
    Effect.provide(LlmModel.stack(Independent.layer, Persistent.layerReplication({ directory, model: "m" })))
  )

describe("clients", () => {
  it.live("of Python, JavaScript and this library share the agentic retry: six requests, then none", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const directory = yield* makeDirectory
      const server = yield* makeServer(upstreams(upstream.url), DirectoryStore.layer(directory))
      const values = yield* runPython(`${server.url}/run/python`)
      assert.strictEqual(upstream.received.length, 6)
      assert.strictEqual(new Set(values).size, 6)
      for (let i = 0; i < values.length; i += 3) assert.strictEqual(values[i], values[i + 1])
      assert.deepStrictEqual(yield* runJavaScript(`${server.url}/run/javascript`), values)
      assert.deepStrictEqual(yield* runLibrary(directory), values)
      assert.deepStrictEqual(yield* runPython(`${server.url}/replication/run/again`), values)
      assert.strictEqual(upstream.received.length, 6)
    }))

  it.live("of LangChain.js that want three samples after one request two", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const ask = (n: number) =>
        Effect.promise(async () => {
          const model = new ChatOpenAI({
            apiKey: "none",
            model: "m",
            n,
            configuration: { baseURL: `${server.url}/v1` }
          })
          const { generations } = await model.generate([[["human", question]]])
          return generations[0]!.map(({ text }) => text)
        })
      assert.deepStrictEqual(yield* ask(1), ["sample 0"])
      assert.deepStrictEqual(yield* ask(3), ["sample 0", "sample 1", "sample 2"])
      assert.deepStrictEqual(upstream.received.map(({ body }) => body.n), [undefined, 2])
    }))

  it.live("that time out and try again cost one request and one draw", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const baseURL = `${server.url}/run/a/independent/v1`
      const ask = (client: OpenAI) =>
        Effect.promise(async () =>
          (await client.chat.completions.create({ model: "m", messages: [{ role: "user", content: question }] }))
            .choices[0]!.message.content
        )
      const release = upstream.hold()
      let tries = 0
      const impatient = new OpenAI({
        apiKey: "none",
        baseURL,
        timeout: 200,
        maxRetries: 50,
        fetch: (url, init) => {
          if (++tries === 3) release()
          return fetch(url, init)
        }
      })
      assert.strictEqual(yield* ask(impatient), "sample 0")
      assert.isAtLeast(tries, 3)
      assert.strictEqual(yield* ask(new OpenAI({ apiKey: "none", baseURL })), "sample 1")
      assert.strictEqual(upstream.received.length, 2)
    }))

  it.live("that leave in the middle of a stream get the same draw again", () =>
    Effect.gen(function*() {
      const upstream = yield* makeUpstream()
      const server = yield* makeServer(upstreams(upstream.url))
      const client = new OpenAI({ apiKey: "none", baseURL: `${server.url}/run/a/independent/v1` })
      const pieces = chunks([{ content: "Hel" }, { content: "lo" }])
      let finish = () => {}
      upstream.reply = (response) => {
        startStream(response)
        for (const piece of pieces.slice(0, 2)) response.write(piece)
        finish = () => response.end(pieces.slice(2).join(""))
      }
      const body = { model: "m", messages: [{ role: "user" as const, content: question }], stream: true as const }
      yield* Effect.promise(async () => {
        for await (const { choices } of await client.chat.completions.create(body)) {
          if (choices[0]?.delta.content === "Hel") break
        }
      })
      yield* server.settle
      const retried = client.chat.completions.create(body)
      yield* server.settle
      finish()
      const text = yield* Effect.promise(async () => {
        let text = ""
        for await (const { choices } of await retried) text += choices[0]?.delta.content ?? ""
        return text
      })
      assert.strictEqual(text, "Hello")
      assert.strictEqual(upstream.received.length, 1)
    }))
})
