import { assert, describe, it } from "@effect/vitest"
import { Key, LlmModel, SampleError } from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Effect, Stream } from "effect"
import { makeDirectory, samplesIn } from "./support/directory.ts"
import { using } from "./support/provider.ts"
import { build, type Combinator } from "./support/stack.ts"

/** A provider that brings one sample to a request, whatever it is asked for. */
const makeSingle = Effect.fnUntraced(function*(options: {
  readonly maxBatch?: number
  readonly concurrency?: number
  readonly isFailing?: (request: number) => boolean
}) {
  const requests: Array<number> = []
  const testModel = yield* TestModel.make({
    model: "single",
    maxBatch: options.maxBatch,
    concurrency: options.concurrency,
    script: ({ n }) =>
      Effect.gen(function*() {
        const number = requests.push(n) - 1
        yield* Effect.yieldNow
        if (options.isFailing?.(number)) {
          return yield* new SampleError.ProviderError({
            provider: "single",
            reason: new SampleError.ServerFault({ description: `request ${number} failed` })
          })
        }
        return { samples: [`sample ${number}`], outputTokens: number + 1, ignoresN: n > 1 }
      })
  })
  return { model: testModel.model, requests, most: () => testModel.mostInFlight }
})

const stacks: ReadonlyArray<ReadonlyArray<Combinator>> = [
  [],
  ["Repeatable"],
  ["Persistent"],
  ["Independent"],
  ["Independent", "Persistent"],
  ["Persistent", "Independent"]
]

describe("A provider with one sample per request", () => {
  it.effect("gets concurrent requests in evenly filled groups of at most `concurrency`", () =>
    Effect.gen(function*() {
      for (const stack of stacks.filter(([top, next]) => top !== "Persistent" || next === undefined)) {
        const provider = yield* makeSingle({ maxBatch: 1, concurrency: 8 })
        const [model] = yield* build(stack, provider.model, yield* makeDirectory)
        const texts = yield* LlmModel.sampleMany("p", 20).pipe(using(model!))
        assert.strictEqual(new Set(texts).size, 20)
        assert.deepStrictEqual(provider.requests, Array(20).fill(1), stack.join())
        assert.strictEqual(provider.most(), 7, "20 are 7, 7 and 6")
      }
    }))

  it.effect("gets requests for one batch, and the next ones when the consumer needs them", () =>
    Effect.gen(function*() {
      for (const stack of stacks) {
        const provider = yield* makeSingle({ maxBatch: 1, concurrency: 3 })
        const [model] = yield* build(stack, provider.model, yield* makeDirectory)
        yield* LlmModel.sample("p").pipe(Stream.take(2), Stream.runDrain, using(model!))
        assert.deepStrictEqual(provider.requests, [1, 1], stack.join())
        // A shared source is drawn from one by one.
        if (stack.join() === "Persistent,Independent") continue
        yield* LlmModel.sample("q", { batch: 6 }).pipe(Stream.take(1), Stream.runDrain, using(model!))
        assert.strictEqual(provider.requests.length, 5, stack.join())
      }
    }))

  it.effect("gets requests for one sample after its first answer ignored `n`", () =>
    Effect.gen(function*() {
      for (const stack of stacks.filter(([top, next]) => top !== "Persistent" || next === undefined)) {
        const provider = yield* makeSingle({ concurrency: 4 })
        const [model] = yield* build(stack, provider.model, yield* makeDirectory)
        const texts = yield* LlmModel.sampleMany("p", 5).pipe(using(model!))
        assert.strictEqual(new Set(texts).size, 5)
        assert.deepStrictEqual(provider.requests, [5, 1, 1, 1, 1], stack.join())
        assert.strictEqual(provider.most(), 4, stack.join())
        assert.deepStrictEqual(yield* LlmModel.sampleMany("q", 2).pipe(using(model!)), ["sample 5", "sample 6"])
        assert.deepStrictEqual(provider.requests.slice(5), [1, 1])
      }
    }))

  it.effect("gets one request after the other by default", () =>
    Effect.gen(function*() {
      const provider = yield* makeSingle({})
      assert.lengthOf(yield* LlmModel.sampleMany("p", 5).pipe(using(provider.model)), 5)
      assert.deepStrictEqual(provider.requests, [5, 1, 1, 1, 1])
      assert.strictEqual(provider.most(), 1)
    }))

  it.effect("loses no sample if other requests fail, and gets new requests for the rest", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeSingle({ maxBatch: 1, concurrency: 4, isFailing: (i) => i === 1 || i === 2 })
      const [model] = yield* build(["Persistent"], provider.model, directory)
      const texts = yield* LlmModel.sampleMany("p", 4).pipe(using(model!))
      assert.deepStrictEqual(texts, ["sample 0", "sample 3", "sample 4", "sample 5"])
      assert.strictEqual(provider.requests.length, 6)
      assert.deepStrictEqual(Object.values(samplesIn(directory)), texts)
    }))

  it.effect("fails with the first error if all requests fail", () =>
    Effect.gen(function*() {
      const provider = yield* makeSingle({ maxBatch: 1, concurrency: 3, isFailing: () => true })
      const error = yield* Effect.flip(LlmModel.sampleMany("p", 3).pipe(using(provider.model)))
      assert.include(error.message, "request 0 failed")
      assert.strictEqual(provider.requests.length, 3)
    }))

  it.effect("reports the tokens of each request", () =>
    Effect.gen(function*() {
      const { model } = yield* makeSingle({ maxBatch: 1, concurrency: 2 })
      const drawn = yield* model.draw(new Key.Key(model.identity, "p", []), 0, 2)
      assert.deepStrictEqual(drawn.map(({ metadata }) => [metadata.requestSamples, metadata.outputTokens]), [[1, 1], [
        1,
        2
      ]])
      assert.notStrictEqual(drawn[0].metadata.request, drawn[1]!.metadata.request)
    }))

  it.effect("fails with InvalidInput if `concurrency` is not a whole number of at least 1", () =>
    Effect.gen(function*() {
      for (const concurrency of [0, -1, 1.5, NaN]) {
        const error = yield* Effect.flip(LlmModel.make({
          model: "m",
          concurrency,
          generate: () => Effect.succeed({ samples: ["a"] })
        }))
        assert.include(error.message, "concurrency")
      }
    }))
})
