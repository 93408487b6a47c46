/**
 * Agents that work at the same time, each in a fork of its own: in every run each draws the same samples, however the
 * agents are scheduled.
 */
import { NodeFileSystem, NodeRuntime } from "@effect/platform-node"
import { Fork, Independent, LlmModel, Persistent } from "@llm-cache/core"
import { Console, Effect, FileSystem, Random } from "effect"
import * as Provider from "../shared/Provider.ts"

const agents = ["Ada", "Grace", "Hedy", "Katherine"]

/** Three guesses, with pauses of random length between them. */
const guess = Effect.gen(function*() {
  const guesses: Array<string> = []
  while (guesses.length < 3) {
    yield* Effect.sleep(yield* Random.nextIntBetween(0, 20))
    guesses.push(yield* LlmModel.sampleOne("Choose a number between 1 and 1000. Answer with the number alone."))
  }
  return guesses.join(" ")
})

const program = Fork.forEach(agents, (agent) => Effect.map(guess, (guesses) => `${agent}: ${guesses}`), {
  concurrency: "unbounded"
}).pipe(Effect.provide(Independent.layer))

const main = Effect.gen(function*() {
  const provider = yield* Provider.make
  const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  for (const run of ["First", "Second"]) {
    const before = yield* provider.requestsSent
    const results = yield* program.pipe(Effect.provide(Persistent.layer({ directory })), Effect.provide(provider.layer))
    yield* Console.log(`${run} run, with ${(yield* provider.requestsSent) - before} requests`)
    yield* Effect.forEach(results, (result) => Console.log(`  ${result}`))
  }
}).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

NodeRuntime.runMain(main)
