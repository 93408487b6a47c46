/**
 * 40 samples, in batches of 20, of a provider that gives at most 10 at a time: four requests.
 */
import { NodeFileSystem, NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { LlmModel, Persistent } from "@llm-cache/core"
import { OpenAiCompatible } from "@llm-cache/providers"
import { Console, Effect, FileSystem, Redacted, Stream } from "effect"
import * as ChatServer from "../shared/ChatServer.ts"

const prompt = "Choose a number between 1 and 1000."

const main = Effect.gen(function*() {
  const server = yield* ChatServer.ChatServer
  const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  const provider = OpenAiCompatible.layer({
    baseUrl: server.baseUrl,
    apiKey: Redacted.make("none"),
    model: "random-numbers",
    temperature: 1,
    maxBatch: 10
  })

  let processed = 0
  yield* LlmModel.sample(prompt, { batch: 20 }).pipe(
    Stream.take(40),
    Stream.runForEach(() => Effect.sync(() => processed++)),
    Effect.provide(Persistent.layer({ directory })),
    Effect.provide(provider)
  )
  yield* Console.log(`Samples processed: ${processed}`)
  yield* Console.log(`Samples asked for in each request: ${server.requests.join(", ")}`)
}).pipe(
  Effect.scoped,
  Effect.provide([ChatServer.layer(), NodeFileSystem.layer, NodeHttpClient.layerUndici])
)

NodeRuntime.runMain(main)
