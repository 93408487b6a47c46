import { CachedModel, RequestModel } from "@llm-cache/ai"
import { Persistent } from "@llm-cache/core"
import { Effect, Layer, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import { deltas, identity, scripted } from "./scripted.ts"

const [, , directory = "", mode] = process.argv

// A timer, so that the process lives while it waits.
const never = Effect.callback<never>(() => {
  const timer = setInterval(() => {}, 1000)
  return Effect.sync(() => clearInterval(timer))
})

const parts = Stream.fromIterable(deltas("first ", "second\n")).pipe(Stream.rechunk(1))

const provider = scripted(
  undefined,
  () => mode === "wait" ? Stream.concat(Stream.take(parts, 2), Stream.fromEffectDrain(never)) : parts
)

const model = CachedModel.layer().pipe(
  Layer.provide(Persistent.layer({ directory })),
  Layer.provide(RequestModel.layer(identity)),
  Layer.provide(provider.layer)
)

await LanguageModel.streamText({ prompt: "x" }).pipe(
  Stream.runForEach((part) =>
    Effect.sync(() => {
      if (part.type === "text-delta") process.stdout.write(part.delta)
    })
  ),
  Effect.provide(model),
  Effect.runPromise
)
