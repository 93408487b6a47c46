/**
 * Prints a story while the model writes it. Run it twice: the second run sends no request, and shows the same parts at once.
 */
import { NodeRuntime } from "@effect/platform-node"
import { CachedModel } from "@llm-cache/ai"
import { Persistent } from "@llm-cache/core"
import { Clock, Console, Effect, Layer, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import * as LanguageProvider from "../shared/LanguageProvider.ts"

const prompt = "Tell a story of two sentences about a lighthouse."

const program = Effect.gen(function*() {
  const start = yield* Clock.currentTimeMillis
  const deltas = yield* LanguageModel.streamText({ prompt }).pipe(
    Stream.filter((part) => part.type === "text-delta"),
    Stream.tap(({ delta }) => Effect.sync(() => process.stdout.write(delta))),
    Stream.runCount
  )
  yield* Console.log(`\n\n${deltas} parts in ${(yield* Clock.currentTimeMillis) - start} ms`)

  // The whole text is the same sample.
  const { text, usage } = yield* LanguageModel.generateText({ prompt })
  yield* Console.log(`${text.length} characters, for ${usage.outputTokens.total} tokens`)
})

const main = Effect.gen(function*() {
  const provider = yield* LanguageProvider.make
  const model = CachedModel.layer().pipe(
    Layer.provideMerge(Persistent.layer({ directory: ".llm_cache/streaming" })),
    Layer.provide(provider.layer)
  )
  yield* Console.log("")
  yield* Effect.provide(program, model)
  yield* Console.log(`Requests sent: ${yield* provider.requestsSent}`)
})

NodeRuntime.runMain(Effect.scoped(main))
