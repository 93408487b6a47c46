import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { makeServer, user } from "./support/server.ts"
import { chunks, completion, json, makeUpstream, startStream } from "./support/upstream.ts"

const model = Path.join(import.meta.dirname, "../../../../shared/models/stories260K.gguf")

/** Why the test cannot run, in its name. */
const missing = Fs.existsSync(model) ? undefined : `no model at ${model}`

/** A small server of a real engine: it goes on with the user's text. */
const makeEngine = Effect.gen(function*() {
  const { getLlama, LlamaCompletion, LlamaLogLevel } = yield* Effect.promise(() => import("node-llama-cpp"))
  const llama = yield* Effect.acquireRelease(
    Effect.promise(() => getLlama({ gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: 1 })),
    (llama) => Effect.promise(() => llama.dispose())
  )
  const loaded = yield* Effect.promise(() => llama.loadModel({ modelPath: model }))
  const context = yield* Effect.promise(() => loaded.createContext({ contextSize: 256 }))
  const engine = new LlamaCompletion({ contextSequence: context.getSequence() })
  // One sequence generates one text at a time.
  let turn: Promise<unknown> = Promise.resolve()
  let seed = 0
  const generate = (prompt: string, temperature: number, onText: (text: string) => void = () => {}) => {
    const text = turn.then(() =>
      engine.generateCompletion(prompt, { maxTokens: 20, temperature, seed: ++seed, onTextChunk: onText })
    )
    turn = text
    return text
  }
  return yield* makeUpstream((response, { body }) => {
    const { messages, n = 1, stream, temperature = 1 } = body
    const prompt = messages.at(-1).content
    if (stream) {
      startStream(response)
      const [head = "", ...tail] = chunks([])
      response.write(head)
      void generate(prompt, temperature, (content) => response.write(chunks([{ content }])[1]!)).then(() =>
        response.end(tail.join(""))
      )
      return
    }
    void Promise.all(Array.from({ length: n }, () => generate(prompt, temperature))).then((texts) =>
      json(
        response,
        completion(texts.map((content, index) => ({
          index,
          message: { role: "assistant", content },
          finish_reason: "stop"
        })))
      )
    )
  })
})

describe("a real engine", () => {
  it.live.skipIf(missing !== undefined)(
    `behind the server gives samples that differ, and replays that do not${missing ? ` (skipped: ${missing})` : ""}`,
    () =>
      Effect.gen(function*() {
        const engine = yield* makeEngine
        const server = yield* makeServer({ upstreams: [{ name: "engine", url: engine.url }] })
        const prompt = "Once upon a time, there was a little"
        const first = yield* server.texts("/run/a/independent", prompt, 3)
        assert.strictEqual(new Set(first).size, 3)
        for (const text of first) assert.isAbove(text.length, 10)
        const body = { messages: user(prompt), stream: true }
        const cold = yield* server.chat("/fork/streamed", body)
        const warm = yield* server.chat("/fork/streamed", body)
        const textOf = (text: string) =>
          text.split("\n\n").filter((event) => event.startsWith("data: {"))
            .map((event) => JSON.parse(event.slice(6)).choices[0]?.delta.content ?? "").join("")
        assert.isAbove(textOf(cold.text).length, 10)
        assert.strictEqual(textOf(warm.text), textOf(cold.text))
        const asked = engine.received.length
        assert.deepStrictEqual(yield* server.texts("/run/b/independent", prompt, 3), first)
        assert.deepStrictEqual(yield* server.texts("/fork/streamed", prompt), [textOf(cold.text)])
        assert.strictEqual(engine.received.length, asked)
      })
  )
})
