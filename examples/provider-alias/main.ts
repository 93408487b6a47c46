/**
 * Two vendors that call one model by different names share one cache.
 */
import { NodeFileSystem, NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { LlmModel, Persistent } from "@llm-cache/core"
import { OpenAiCompatible } from "@llm-cache/providers"
import { Console, Effect, FileSystem, Layer, Redacted } from "effect"
import * as ChatServer from "../shared/ChatServer.ts"

/** A vendor with a server of its own, and a name of its own for the model. */
const makeVendor = (model: string) =>
  Effect.map(Layer.build(Layer.fresh(ChatServer.layer())), (context) => {
    const server = ChatServer.ChatServer.pipe(Effect.provideContext(context), Effect.runSync)
    return {
      requests: server.requests,
      layer: OpenAiCompatible.layer({
        baseUrl: server.baseUrl,
        apiKey: Redacted.make(`the key to ${model}`),
        model,
        alias: "llama-3.1-8b",
        temperature: 1
      })
    }
  })

const program = LlmModel.sampleMany("Choose a number between 1 and 1000.", 3)

const main = Effect.gen(function*() {
  const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  const one = yield* makeVendor("accounts/one/models/llama-v3p1-8b-instruct")
  const two = yield* makeVendor("two/llama3.1-8b")
  for (const [name, vendor] of [["one", one], ["two", two]] as const) {
    const numbers = yield* program.pipe(Effect.provide(Persistent.layer({ directory })), Effect.provide(vendor.layer))
    yield* Console.log(`Vendor ${name}: ${numbers.join(" ")}, with ${vendor.requests.length} requests`)
  }
}).pipe(Effect.scoped, Effect.provide([NodeFileSystem.layer, NodeHttpClient.layerUndici]))

NodeRuntime.runMain(main)
