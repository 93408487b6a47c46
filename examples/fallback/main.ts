/**
 * Two vendors of one model under one alias: when the first is busy or down, the second answers. The cache above sees one
 * identity for both vendors.
 */
import { NodeFileSystem, NodeHttpClient, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { LlmModel, Persistent, type SampleError } from "@llm-cache/core"
import { OpenAiCompatible } from "@llm-cache/providers"
import { Console, Context, Effect, ExecutionPlan, FileSystem, Layer, Redacted, Schedule } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import * as ChatServer from "../shared/ChatServer.ts"

/** Whether another vendor may succeed: not after a bad request, a refusal, a bad key or a miss in replication. */
const mayFallBack = (error: SampleError.SampleError): boolean =>
  error._tag === "ProviderError" &&
  ["RateLimited", "ServerFault", "Transport", "Timeout"].includes(error.reason._tag)

/** Asks the first model, and the second if the failure may be due to the first vendor. */
const makeFallback = (first: LlmModel.Model, second: LlmModel.Model): LlmModel.Model => {
  const plan = ExecutionPlan.make(
    { provide: Context.make(LlmModel.LlmModel, first) },
    { provide: Context.make(LlmModel.LlmModel, second), while: mayFallBack }
  )
  return LlmModel.fromDraw({
    ...first,
    draw: (key, position, batch, options) =>
      LlmModel.LlmModel.use((model) => model.draw(key, position, batch, options)).pipe(Effect.withExecutionPlan(plan))
  })
}

/** The model as one of the vendors has it. */
const makeVendor = (baseUrl: string, model: string, retry?: Schedule.Schedule<unknown>) =>
  OpenAiCompatible.make({
    baseUrl,
    apiKey: Redacted.make(`the key to ${model}`),
    model,
    alias: "llama-3.1-8b",
    temperature: 1,
    retry
  })

/** A server that answers every request with one status, until the scope closes, and counts them. */
const makeRefusing = Effect.fnUntraced(function*(status: number) {
  let requests = 0
  const refuse = Effect.sync(() => {
    requests++
    return HttpServerResponse.jsonUnsafe({ error: { message: "not now" } }, {
      status,
      headers: { "retry-after": "3600" }
    })
  })
  const context = yield* Layer.build(
    Layer.fresh(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
  )
  const server = Context.get(context, HttpServer.HttpServer)
  yield* server.serve(yield* HttpRouter.toHttpEffect(HttpRouter.add("POST", "/v1/chat/completions", refuse)))
  return { baseUrl: `${HttpServer.formatAddress(server.address)}/v1`, requests: () => requests }
})

const prompt = "Choose a number between 1 and 1000."
const program = LlmModel.sampleMany(prompt, 3)

const main = Effect.gen(function*() {
  const makeDirectory = (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  const other = yield* ChatServer.ChatServer
  const second = yield* makeVendor(other.baseUrl, "two/llama3.1-8b")
  // the second vendor is there, so that the first is not asked again and again
  const first = (baseUrl: string) => makeVendor(baseUrl, "one/llama-v3p1-8b-instruct", Schedule.recurs(0))
  const say = (what: string) => Console.log(`${what}; the second vendor was asked ${other.requests.length} times`)

  const busy = yield* makeRefusing(429)
  const model = makeFallback(yield* first(busy.baseUrl), second)
  const directory = yield* makeDirectory
  const cached = program.pipe(
    Effect.provide(Persistent.layer({ directory })),
    Effect.provideService(LlmModel.LlmModel, model)
  )
  yield* say(`The first vendor is busy: ${(yield* cached).join(" ")}`)
  yield* say(`Again, from the cache: ${(yield* cached).join(" ")}`)
  // it asked for an hour of silence
  yield* Effect.provideService(program, LlmModel.LlmModel, model)
  yield* say(`The first vendor is busy still, and was asked ${busy.requests()} times`)

  const down = yield* Effect.scoped(makeRefusing(503))
  const numbers = yield* Effect.provideService(
    program,
    LlmModel.LlmModel,
    makeFallback(yield* first(down.baseUrl), second)
  )
  yield* say(`The first vendor is down: ${numbers.length} samples`)

  const refusing = yield* makeRefusing(400)
  const refused = yield* program.pipe(
    Effect.provideService(LlmModel.LlmModel, makeFallback(yield* first(refusing.baseUrl), second)),
    Effect.as("none"),
    Effect.catchTag("ProviderError", ({ reason }) => Effect.succeed(reason._tag))
  )
  yield* say(`A request that no vendor would take: ${refused}`)

  const missed = yield* LlmModel.sampleOne("Another prompt").pipe(
    Effect.provide(Persistent.layer({ directory, replication: true })),
    Effect.provideService(LlmModel.LlmModel, model),
    Effect.catchTag("ReplicationCacheMiss", ({ _tag }) => Effect.succeed(_tag))
  )
  yield* say(`Not in the cache that is replicated: ${missed}`)
}).pipe(
  Effect.scoped,
  Effect.provide([ChatServer.layer(), NodeFileSystem.layer, NodeHttpClient.layerUndici])
)

NodeRuntime.runMain(main)
