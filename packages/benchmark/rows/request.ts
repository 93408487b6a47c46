import { NodeHttpClient } from "@effect/platform-node"
import { LlmModel } from "@llm-cache/core"
import { OpenAiCompatible } from "@llm-cache/providers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import OpenAI from "openai"
import { atMost, type Check, fasterThan, fasterThanOriginal } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { askAll, type Completion, contentOf, poolOf, requestOf, startServer, viaPool } from "../support/http.ts"
import { lengthOf, run, sampleEach } from "../support/models.ts"
import { promptsOf } from "../support/payload.ts"

const count = 256

const note =
  "What bounds it is Effect's HttpClient: by hand and without its span it takes 1.7 x `Pool.request` one at a time, and 2.0 x " +
  "at 64 at once. Processor time of a request at 64 at once, the least of 24 rounds in one run (two cores, busy): the pool " +
  "30 µs; HttpClient by hand 59 µs without its span (an abort signal, which alone is about 10 µs, a URL, a finalization " +
  "registry, promises into fibers), and 100 µs with it; ours 124 µs; `openai` 306 µs. Ours alone, over a client in memory " +
  "that answers at once: core 7 µs, providers 15 µs, more where caches are cold."

const row = (name: string, title: string, concurrency: number, checks: ReadonlyArray<Check>): Row => ({
  name,
  title,
  operation: "a request",
  checks,
  rounds: 16,
  note,
  setup: async (setting) => {
    const { scope } = setting
    const prompts = promptsOf(count)
    const { url } = await startServer(setting, "completions.ts")

    const clientOf = async (layer: Layer.Layer<HttpClient.HttpClient>) =>
      Context.get(await Effect.runPromise(Layer.buildWithScope(layer, scope)), HttpClient.HttpClient)
    const modelOver = (client: HttpClient.HttpClient): Promise<LlmModel.Model> =>
      Effect.runPromise(Effect.provideService(
        OpenAiCompatible.make({
          baseUrl: `${url}/v1`,
          apiKey: Redacted.make("none"),
          model: "bench",
          temperature: 1,
          // The server repeats one answer.
          uniqueResponseIds: false
        }),
        HttpClient.HttpClient,
        client
      ))
    const viaUndici = await clientOf(NodeHttpClient.layerUndici)
    const undici = await modelOver(viaUndici)
    const nodeHttp = await modelOver(await clientOf(NodeHttpClient.layerNodeHttp))

    const viaHttpClient = (prompt: string) =>
      HttpClientRequest.post(`${url}/v1/chat/completions`).pipe(
        HttpClientRequest.bearerToken("none"),
        HttpClientRequest.acceptJson,
        HttpClientRequest.bodyJsonUnsafe(requestOf(prompt)),
        viaUndici.execute,
        Effect.flatMap((response) => response.json),
        Effect.map((completion) => contentOf(completion as unknown as Completion))
      )

    const eachViaHttpClient = Effect.map(Effect.forEach(prompts, viaHttpClient, { concurrency }), lengthOf)

    const pool = poolOf(setting, url, concurrency)
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" })
    const viaClient = async (prompt: string): Promise<string> =>
      contentOf(await client.chat.completions.create(requestOf(prompt)))

    return [
      {
        name: "sampleOne, undici",
        role: "ours",
        operations: count,
        run: () => run(undici, sampleEach(prompts, concurrency))
      },
      {
        name: "undici: Pool.request",
        role: "floor",
        operations: count,
        run: () => askAll(prompts, concurrency, viaPool(pool))
      },
      {
        name: "Effect's HttpClient over undici",
        role: "floor",
        operations: count,
        run: () => Effect.runPromise(eachViaHttpClient)
      },
      {
        name: "Effect's HttpClient over undici, without spans",
        role: "floor",
        operations: count,
        run: () => Effect.runPromise(Effect.provideService(eachViaHttpClient, Tracer.DisablePropagation, true))
      },
      {
        name: "sampleOne, node:http",
        role: "ours",
        operations: count,
        run: () => run(nodeHttp, sampleEach(prompts, concurrency))
      },
      { name: "openai", role: "peer", operations: count, run: () => askAll(prompts, concurrency, viaClient) }
    ]
  }
})

export const requestAlone = row("request", "request over loopback, one at a time", 1, [
  atMost(1.5, "undici: Pool.request"),
  fasterThan("openai", 1.7),
  fasterThanOriginal(360)
])

export const requestTogether = row("request-64", "requests over loopback, 64 at once", 64, [
  atMost(2.5, "undici: Pool.request"),
  fasterThan("openai", 2.5)
])
