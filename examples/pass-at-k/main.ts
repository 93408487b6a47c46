/**
 * Estimates how often a model is right at least once in k samples, and takes the majority vote.
 */
import { NodeFileSystem, NodeRuntime } from "@effect/platform-node"
import { Estimate, Independent, Persistent } from "@llm-cache/core"
import { Console, Effect, FileSystem } from "effect"
import * as Provider from "../shared/Provider.ts"

const prompt = "Choose a number between 1 and 1000. Answer with the number alone."

/** An answer passes when it is even: about every other one of random numbers does. */
const check = (answer: string) => Number(answer) % 2 === 0

const ks = [1, 3, 10]

const program = Effect.gen(function*() {
  // from the same 20 samples
  const estimates = yield* Estimate.passAtK({ prompt, n: 20, k: ks, check })
  yield* Effect.forEach(ks, (k, i) => Console.log(`  pass@${k}: ${estimates[i]!.toFixed(3)}`))
  const { answer, votes } = yield* Estimate.majority({
    prompt,
    n: 9,
    answerOf: (sample) => Number(sample) % 2 === 0 ? "even" : "odd"
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
