/**
 * Estimates how often an agent of two steps is right at least once in k trials, with five trials at a time. The second run
 * replays them, however its fibers are scheduled.
 */
import { NodeFileSystem, NodeRuntime } from "@effect/platform-node"
import { Estimate, Independent, LlmModel, Persistent } from "@llm-cache/core"
import { Console, Effect, FileSystem } from "effect"
import * as Provider from "../shared/Provider.ts"

const agent = Effect.gen(function*() {
  const number = yield* LlmModel.sampleOne("Choose a number between 1 and 1000. Answer with the number alone.")
  return yield* LlmModel.sampleOne(
    `Choose a number between 1 and 1000, but not ${number}. Answer with the number alone.`
  )
})

/** A trial passes when its answer is even: about every other one of random numbers is. */
const isEven = (answer: string) => Number(answer) % 2 === 0

const ks = [1, 3, 5]

const program = Effect.gen(function*() {
  // each trial in a fork of its own
  const estimates = yield* Estimate.passAtK({ sample: agent, n: 10, k: ks, check: isEven, concurrency: 5 })
  yield* Effect.forEach(ks, (k, i) => Console.log(`  pass@${k}: ${estimates[i]!.toFixed(3)}`))
  const { answer, votes } = yield* Estimate.majority({
    sample: agent,
    n: 9,
    by: (answer) => Effect.succeed(isEven(answer) ? "even" : "odd"), // or a run of the program in the answer
    concurrency: 5,
    name: "vote"
  })
  yield* Console.log(`  the majority of 9 says ${answer}, with ${votes} votes`)
}).pipe(Effect.provide(Independent.layer))

const main = Effect.gen(function*() {
  const provider = yield* Provider.make
  const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  for (const run of ["First", "Second"]) {
    const before = yield* provider.requestsSent
    yield* Console.log(`${run} run`)
    yield* program.pipe(Effect.provide(Persistent.layer({ directory })), Effect.provide(provider.layer))
    yield* Console.log(`  requests: ${(yield* provider.requestsSent) - before}`)
  }
}).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

NodeRuntime.runMain(main)
