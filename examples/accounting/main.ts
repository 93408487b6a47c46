/**
 * Fills a cache ahead of a run, with progress. Then the run reports its cost, and its cost without the cache.
 */
import { NodeFileSystem, NodeHttpClient, NodeRuntime } from "@effect/platform-node"
import { Events, LlmModel, Persistent, Prefetch, Usage } from "@llm-cache/core"
import { Console, Duration, Effect, FileSystem } from "effect"
import * as ChatServer from "../shared/ChatServer.ts"
import * as Provider from "../shared/Provider.ts"

const prompts = ["Choose a number between 1 and 1000.", "Choose an even number.", "Choose a prime number."]

const run = Effect.gen(function*() {
  yield* LlmModel.sampleMany(prompts[0]!, 5)
  yield* LlmModel.sampleOne(prompts[1]!)
  yield* LlmModel.sampleOne("Choose a number that was not prefetched.")
})

const print = (name: string, { inputTokens, outputTokens, requests, requestTime, samples }: Usage.Amount) =>
  Console.log(
    `${name}: ${requests} requests, ${samples} samples, ${inputTokens + outputTokens} tokens, ` +
      `${Duration.toMillis(requestTime)} ms`
  )

const main = Effect.gen(function*() {
  const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  const cache = LlmModel.stack(Persistent.layer({ directory }), Provider.loopback)

  const { samples } = yield* Prefetch.prefetch(prompts.map((prompt) => ({ prompt, n: 5 })), {
    concurrency: 1,
    onProgress: ({ done, total }) => Console.log(`Prefetched: ${done} of ${total}`)
  }).pipe(Effect.provide(cache))
  yield* Console.log(`In the cache: ${samples}`)

  const [, usage] = yield* Effect.gen(function*() {
    yield* Events.listen((event) => {
      if (event._tag === "RequestSent") console.log(`Asked for ${event.n}: ${event.key.prompt}`)
    })
    return yield* Usage.measure(run)
  }).pipe(Effect.scoped, Effect.provide(Events.layer), Effect.provide(cache))
  yield* print("Spent", usage.spent)
  yield* print("Replayed", usage.replayed)
  yield* Console.log(`Hits and misses: ${usage.hits}, ${usage.misses}`)
}).pipe(
  Effect.scoped,
  Effect.provide([ChatServer.layer(), NodeFileSystem.layer, NodeHttpClient.layerUndici])
)

NodeRuntime.runMain(main)
