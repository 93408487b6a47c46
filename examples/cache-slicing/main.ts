/**
 * Extracts from a large cache exactly the samples that a run uses.
 */
import { NodeFileSystem, NodeRuntime } from "@effect/platform-node"
import { LlmModel, Persistent } from "@llm-cache/core"
import { Console, Effect, FileSystem } from "effect"
import * as Provider from "../shared/Provider.ts"

const prompts = ["Choose a number.", "Choose another number.", "Choose a third number."] as const

const experiment = Effect.gen(function*() {
  const numbers = yield* LlmModel.sampleMany(prompts[0], 3)
  const last = yield* LlmModel.sampleOne(prompts[2])
  return [...numbers, last].join(" ")
})

const samplesIn = Effect.fnUntraced(function*(directory: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const files = yield* fileSystem.readDirectory(directory, { recursive: true })
  return files.filter((file) => file.endsWith(".md")).length
})

const main = Effect.gen(function*() {
  const provider = yield* Provider.make
  const root = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  const original = Persistent.layer({ directory: `${root}/original` })
  const sliced = Persistent.layer({ directory: `${root}/sliced` })

  yield* Effect.forEach(prompts, (prompt) => LlmModel.sampleMany(prompt, 10)).pipe(
    Effect.provide(original),
    Effect.provide(provider.layer)
  )
  const result = yield* Effect.provide(experiment, LlmModel.stack(sliced, original, provider.layer))
  yield* Console.log(`The experiment: ${result}`)
  yield* Console.log(`Samples in the original cache: ${yield* samplesIn(`${root}/original`)}`)
  yield* Console.log(`Samples in the slice: ${yield* samplesIn(`${root}/sliced`)}`)

  const again = yield* experiment.pipe(
    Effect.provide(Persistent.layer({ directory: `${root}/sliced`, replication: true })),
    Effect.provide(provider.layer)
  )
  yield* Console.log(`The experiment, from the slice alone: ${again}`)
}).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

NodeRuntime.runMain(main)
