import { assert, describe, it } from "@effect/vitest"
import { IndependentModel, LlmModel, Persistent, Repeatable, RepeatableModel } from "@llm-cache/core"
import { Effect, Stream } from "effect"
import { makeDirectory } from "./support/directory.ts"
import { makeProvider } from "./support/provider.ts"
import { watchedIndependent } from "./support/stack.ts"

const draws = <Service>(model: LlmModel.Accessors<Service>) =>
  Effect.all([
    Effect.map(model.sampleOne("a"), (text) => [text]),
    model.sampleMany("a", 2),
    Stream.runCollect(Stream.take(model.sample("a", { batch: 2 }), 2)),
    Effect.map(model.sampleOneWithMetadata("a"), ({ text }) => [text]),
    Effect.map(model.sampleManyWithMetadata("a", 2), (samples) => samples.map(({ text }) => text)),
    Stream.runCollect(Stream.map(Stream.take(model.sampleWithMetadata("a", { batch: 2 }), 2), ({ text }) => text))
  ])

const different = [["a #0"], ["a #1", "a #2"], ["a #3", "a #4"], ["a #5"], ["a #6", "a #7"], ["a #8", "a #9"]]
const same = Array.from({ length: 2 }, () => [["a #0"], ["a #0", "a #1"], ["a #0", "a #1"]]).flat()

describe("IndependentModel", () => {
  it.effect("is the model of the nearest Independent.layer, with any layers in between", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const directory = yield* makeDirectory
      const program = draws(IndependentModel).pipe(
        Effect.provide(Repeatable.layer),
        Effect.provide(Persistent.layer({ directory })),
        Effect.provide(watchedIndependent)
      )
      assert.deepStrictEqual(yield* Effect.provide(program, provider.layer), different)
    }))

  it.effect("is the same model as the LlmModel of Independent.layer", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const program = Effect.all([draws(LlmModel), draws(IndependentModel)]).pipe(
        Effect.provide(watchedIndependent),
        Effect.provide(provider.layer)
      )
      const texts = (yield* program).flat(2)
      assert.strictEqual(new Set(texts).size, 20)
    }))

  it.effect("fails on the same input as LlmModel", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const errors = yield* Effect.all([
        Effect.flip(IndependentModel.sampleMany("a", -1)),
        Effect.flip(IndependentModel.sampleOne("\uD800")),
        Effect.flip(Stream.runHead(IndependentModel.sample("a", { batch: NaN })))
      ]).pipe(Effect.provide(watchedIndependent), Effect.provide(provider.layer))
      for (const error of errors) assert.strictEqual(error._tag, "InvalidInput")
      assert.deepStrictEqual(provider.requests, [])
    }))
})

describe("RepeatableModel", () => {
  it.effect("is the model of the nearest repeatable layer, with any layers in between", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      for (const repeats of [Repeatable.layer, Persistent.layer({ directory })]) {
        const provider = yield* makeProvider()
        const program = draws(RepeatableModel).pipe(Effect.provide(watchedIndependent), Effect.provide(repeats))
        assert.deepStrictEqual(yield* Effect.provide(program, provider.layer), same)
      }
      const replicated = draws(RepeatableModel).pipe(
        Effect.provide(watchedIndependent),
        Effect.provide(Persistent.layerReplication({ directory, model: "mock", temperature: 1 }))
      )
      assert.deepStrictEqual(yield* replicated, same)
    }))
})
