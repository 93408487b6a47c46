/**
 * Runs a program from the cache alone, also with a prompt that the cache does not hold.
 */
import { NodeFileSystem, NodeRuntime } from "@effect/platform-node"
import { LlmModel, Persistent } from "@llm-cache/core"
import { Console, Effect, FileSystem } from "effect"
import * as Provider from "../shared/Provider.ts"

const program = (prompt: string) => Effect.map(LlmModel.sampleMany(prompt, 3), (numbers) => numbers.join(" "))

const main = Effect.gen(function*() {
  const provider = yield* Provider.make
  const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()

  const recorded = yield* program("Choose a number between 1 and 1000.").pipe(
    Effect.provide(Persistent.layer({ directory })),
    Effect.provide(provider.layer)
  )
  yield* Console.log(`Recorded: ${recorded}`)

  const missed = yield* program("Choose a number between 1 and 100.").pipe(
    Effect.catchTag("ReplicationCacheMiss", (miss) => Effect.succeed(`a miss. ${miss.message}`)),
    Effect.provide(Persistent.layer({ directory, replication: true })),
    Effect.provide(provider.layer)
  )
  yield* Console.log(`Another prompt: ${missed}`)
  const { identity } = yield* Effect.provide(LlmModel.LlmModel, provider.layer)
  return { directory, model: identity.name, temperature: identity.temperature }
})

/** Needs only the cache: no provider, no HTTP client and no key. */
const replicate = (options: Persistent.ReplicationOptions) =>
  program("Choose a number between 1 and 1000.").pipe(Effect.provide(Persistent.layerReplication(options)))

NodeRuntime.runMain(
  Effect.gen(function*() {
    const recorded = yield* main
    yield* Console.log(`Replicated, with no provider and no key: ${yield* replicate(recorded)}`)
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
)
