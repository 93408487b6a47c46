/**
 * A provider of one's own, for a server with a protocol of its own: two functions say what is sent and what comes back.
 */
import { NodeHttpClient, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { LlmModel, Persistent, Usage } from "@llm-cache/core"
import { HttpProvider } from "@llm-cache/providers"
import { Console, Context, Effect, Layer, Random, Redacted, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"

const Answer = Schema.Struct({
  texts: Schema.Array(Schema.String),
  tokens: Schema.Struct({ prompt: Schema.Finite, texts: Schema.Finite })
})

/** The provider. Retries, limits, the time limit and the errors are those of the package. */
const makeProvider = (url: string) =>
  HttpProvider.layer({
    url,
    apiKey: Redacted.make("the key to the server"),
    model: "in-house-7b",
    temperature: 1,
    maxBatch: 16,
    request: ({ n, prompt, temperature }) => ({ text: prompt, temperature, count: n }),
    decode: (answer) =>
      Effect.map(Schema.decodeUnknownEffect(Answer)(answer), ({ texts, tokens }) => ({
        samples: texts,
        inputTokens: tokens.prompt,
        outputTokens: tokens.texts
      }))
  })

/** The server, on loopback. It is not ready for the first request. */
const makeInHouseServer = Effect.gen(function*() {
  let requests = 0
  const generate = Effect.gen(function*() {
    if (requests++ === 0) return HttpServerResponse.jsonUnsafe({ problem: "loading the model" }, { status: 503 })
    const { count } = yield* HttpServerRequest.schemaBodyJson(Schema.Struct({ count: Schema.Int }))
    const texts = yield* Effect.replicateEffect(Effect.map(Random.nextIntBetween(1, 1001), String), count)
    return HttpServerResponse.jsonUnsafe({ texts, tokens: { prompt: 9, texts: count } })
  })
  const server = yield* HttpServer.HttpServer
  yield* server.serve(yield* HttpRouter.toHttpEffect(HttpRouter.add("POST", "/generate", generate)))
  return `${HttpServer.formatAddress(server.address)}/generate`
})

const program = Effect.gen(function*() {
  const server = yield* Layer.build(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
  const url = yield* Effect.provideContext(makeInHouseServer, Context.pick(HttpServer.HttpServer)(server))
  const sample = LlmModel.sampleMany("Choose a number between 1 and 1000.", 5).pipe(
    Usage.measure,
    Effect.provide(Persistent.layer({ directory: ".llm_cache/own-provider" })),
    Effect.provide(makeProvider(url))
  )
  for (const run of ["First", "Second"]) {
    const [numbers, { spent }] = yield* sample
    yield* Console.log(`${run} run: ${numbers.join(" ")}, with ${spent.requests} requests`)
  }
})

program.pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici), NodeRuntime.runMain)
