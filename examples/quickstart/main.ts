/**
 * Independent, repeatable and persistent sampling. Run it twice: the second run sends no request. With
 * `LLM_CACHE_REPLICATION=true` it asks the cache alone.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Independent, LlmModel, Persistent, Repeatable } from "@llm-cache/core"
import { Console, Effect, Stream } from "effect"
import * as Path from "node:path"
import * as Meter from "../shared/Meter.ts"
import * as Provider from "../shared/Provider.ts"

const directory = Path.resolve(".llm_cache", "quickstart")

const prompt = "Choose a number between 1 and 1000. Answer with the number alone."

const program = Effect.gen(function*() {
  yield* Console.log("\nPersistent: the same sequence in every run of this program")
  yield* show("sampleOne", LlmModel.sampleOne(prompt))
  yield* show("sampleOne", LlmModel.sampleOne(prompt))
  yield* show("sample, three of them", Stream.runCollect(Stream.take(LlmModel.sample(prompt), 3)))

  yield* Console.log("\nIndependent: no sample twice")
  yield* Effect.gen(function*() {
    yield* show("sampleOne", LlmModel.sampleOne(prompt))
    yield* show("sampleOne", LlmModel.sampleOne(prompt))
    yield* show("sampleMany, five of them", LlmModel.sampleMany(prompt, 5))
    yield* Console.log("\nRepeatable, inside Independent: an attempt that repeats itself")
    const attempt = Effect.gen(function*() {
      yield* show("sampleOne", LlmModel.sampleOne(prompt))
      yield* show("sampleOne", LlmModel.sampleOne(prompt))
    })
    yield* Effect.provide(attempt, Repeatable.layer)
    yield* Console.log("  the next attempt:")
    yield* Effect.provide(attempt, Repeatable.layer)
  }).pipe(Effect.provide(Independent.layer))
})

const show = <A, E, R>(what: string, sampling: Effect.Effect<A, E, R>) =>
  Effect.flatMap(sampling, (samples) => Console.log(`  ${what}: ${samples}`))

const main = Effect.gen(function*() {
  const provider = yield* Provider.make
  const [used, requested] = [Meter.make(), Meter.make()]
  yield* program.pipe(
    Effect.provide(used.layer),
    Effect.provide(Persistent.layerConfig({ directory, trace: true })),
    Effect.provide(requested.layer),
    Effect.provide(provider.layer),
    Effect.tapErrorTag(
      "ReplicationCacheMiss",
      () =>
        Console.error(`\nThe cache has no such sample. To see why: pnpm llm-cache why-miss last --cache ${directory}`)
    )
  )
  yield* Console.log(`
Requests sent: ${yield* provider.requestsSent}
Samples used: ${used.samples()}, of them served from the cache: ${used.samples() - requested.samples()}
The cache lies in ${directory}${requested.samples() > 0 ? "\nRun it again: it will send no request." : ""}`)
}).pipe(Effect.scoped)

NodeRuntime.runMain(main)
