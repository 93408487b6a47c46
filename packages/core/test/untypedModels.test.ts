import { assert, describe, it } from "@effect/vitest"
import {
  Independent,
  LlmModel,
  MemoryStore,
  Persistent,
  Repeatable,
  SampleError,
  SampleStore,
  Usage
} from "@llm-cache/core"
import { Cause, Effect, Exit, Layer } from "effect"
import { makeDirectory } from "./support/directory.ts"
import { makeProvider } from "./support/provider.ts"

describe("A model made from a function in JavaScript", () => {
  const noEffects: ReadonlyArray<[string, () => unknown]> = [
    ["a value", () => ({ samples: ["x"] })],
    ["a promise", () => Promise.resolve({ samples: ["x"] })],
    ["nothing", () => undefined]
  ]

  it.effect.each(noEffects)(
    "says how to mend a function that returns %s, under every model",
    ([, generate]) =>
      Effect.gen(function*() {
        const provider = LlmModel.layer({ model: "m", generate: generate as never })
        const cached = Persistent.layer({ store: MemoryStore.layer })
        for (
          const over of [[], [LlmModel.retry()], [Independent.layer], [Repeatable.layer], [Independent.layer, cached]]
        ) {
          const model = over.reduceRight<typeof provider>((beneath, layer) => Layer.provide(layer, beneath), provider)
          const exit = yield* Effect.exit(Effect.provide(LlmModel.sampleMany("p", 2), model))
          assert.isTrue(Exit.hasDies(exit))
          assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), "Effect.promise")
        }
      })
  )

  it.effect("keeps paid samples although other fields of the answer are not what they should be", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const wrong = {
        samples: [{ text: "a", finishReason: 1, refusal: {}, reasoning: null }, { text: "b", finishReason: "stop" }],
        failures: [new Error("half a sample")],
        model: 3,
        responseId: {},
        inputTokens: "12",
        outputTokens: NaN
      }
      const layer = Persistent.layer({ directory: root }).pipe(
        Layer.provide(LlmModel.layer({ model: "m", generate: () => Effect.succeed(wrong as never) }))
      )
      const draw = Effect.provide(LlmModel.sampleManyWithMetadata("p", 2), layer)
      const [samples, usage] = yield* Usage.measure(draw)
      assert.deepStrictEqual(samples.map(({ text }) => text), ["a", "b"])
      assert.deepStrictEqual(samples.map(({ metadata }) => Object.keys(metadata)), [
        ["request", "index", "createdAt", "elapsed", "requestSamples"],
        ["request", "index", "finishReason", "createdAt", "elapsed", "requestSamples"]
      ])
      assert.deepStrictEqual([usage.failedSamples, usage.spent.unmetered], [1, 1])
      assert.deepStrictEqual(yield* draw, samples)
      const answers = (answer: unknown) =>
        Effect.provide(
          LlmModel.sampleOne("q"),
          LlmModel.layer({ model: "m", generate: () => Effect.succeed(answer as never) })
        )
      assert.strictEqual(yield* answers({ samples: ["a"], failures: 5 }), "a")
      const error = yield* Effect.flip(answers({ samples: [], failures: [new Error("half a sample")] }))
      assert.instanceOf(error, SampleError.ProviderError)
      assert.instanceOf(error.reason, SampleError.UnusableResponse)
      assert.include(error.message, "half a sample")
    }))
})

it.effect("A store that returns a promise ends the draw, and the next one too", () =>
  Effect.gen(function*() {
    const provider = yield* makeProvider()
    const memory = yield* MemoryStore.make
    const store = SampleStore.make({ ...memory, prepare: () => Promise.resolve() as never })
    const draw = Effect.exit(LlmModel.sampleOne("p"))
    const exits = yield* Effect.all([draw, draw]).pipe(
      Effect.provide(LlmModel.stack(Persistent.layer({ store }), provider.layer))
    )
    for (const exit of exits) assert.isTrue(Exit.hasDies(exit))
    assert.deepStrictEqual(provider.requests, [])
  }))
