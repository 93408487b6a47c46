/**
 * Makes several attempts at once and takes the best: the same one in every run.
 */
import { NodeFileSystem, NodeRuntime } from "@effect/platform-node"
import { Attempt, Independent, LlmModel, Persistent } from "@llm-cache/core"
import { Console, Effect, FileSystem } from "effect"
import * as Provider from "../shared/Provider.ts"

const attempt = Effect.map(
  LlmModel.sampleOne("Choose a number between 1 and 1000. Answer with the number alone."),
  Number
)

const program = Attempt.best(attempt, { n: 5, score: (value) => value, concurrency: "unbounded" }).pipe(
  Effect.provide(Independent.layer)
)

const main = Effect.gen(function*() {
  const provider = yield* Provider.make
  const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  for (const run of ["First", "Second"]) {
    const before = yield* provider.requestsSent
    const { index, value } = yield* program.pipe(
      Effect.provide(Persistent.layer({ directory })),
      Effect.provide(provider.layer)
    )
    const requests = (yield* provider.requestsSent) - before
    yield* Console.log(`${run} run: ${value}, of attempt ${index + 1} of 5, with ${requests} requests`)
  }
}).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

NodeRuntime.runMain(main)
