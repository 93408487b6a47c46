import { assert, describe, it } from "@effect/vitest"
import { Estimate, Independent, LlmModel, Repeatable, SampleError } from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Data, Effect } from "effect"
import { makeProvider } from "./support/provider.ts"
import { count, handedOut, watchedIndependent } from "./support/stack.ts"

const choose = (n: bigint, k: bigint): bigint => k === 0n ? 1n : k > n ? 0n : choose(n - 1n, k - 1n) * n / k

const isRight = (answer: string) => answer === "right"

class Broken extends Data.TaggedError("Broken")<{ readonly sample: string }> {}

describe("Estimate.passAtK", () => {
  it.effect.prop(
    "is 1 - C(n - c, k) / C(n, k)",
    { n: count(1, 200), correct: count(0, 200), k: count(1, 200) },
    ({ correct, k, n }) =>
      Effect.sync(() => {
        const [c, draws] = [Math.min(correct, n), Math.min(k, n)]
        const all = choose(BigInt(n), BigInt(draws))
        const wrong = choose(BigInt(n - c), BigInt(draws))
        const exact = Number((all - wrong) * 10n ** 15n / all) / 1e15
        assert.closeTo(Estimate.passAtKOf({ n, correct: c, k: draws }), exact, 1e-9)
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect("equals the share of all choices of k samples with a correct one", () =>
    Effect.sync(() => {
      for (const [n, correct, k] of [[5, 2, 2], [6, 1, 3], [7, 3, 1], [4, 4, 2], [4, 0, 2]] as const) {
        let [choices, passed] = [0, 0]
        for (let set = 0; set < 2 ** n; set++) {
          const chosen = Array.from({ length: n }, (_, i) => i).filter((i) => set & (1 << i))
          if (chosen.length !== k) continue
          choices++
          if (chosen.some((i) => i < correct)) passed++
        }
        assert.closeTo(Estimate.passAtKOf({ n, correct, k }), passed / choices, 1e-12)
      }
      assert.isNaN(Estimate.passAtKOf({ n: 2, correct: 1, k: 3 }))
    }))

  it.effect("estimates from n different samples", () =>
    Effect.gen(function*() {
      const model = TestModel.layer({ script: ["right", "wrong", "wrong", "right", "wrong"] })
      const program = (k: number) =>
        Effect.all([Estimate.passAtK({ prompt: "p", n: 5, k, check: isRight }), handedOut]).pipe(
          Effect.provide(Repeatable.layer),
          Effect.provide(watchedIndependent),
          Effect.provide(model)
        )
      const [estimate, draws] = yield* program(1)
      assert.closeTo(estimate, 2 / 5, 1e-12)
      assert.deepStrictEqual(draws, { p: [5, 5] })
    }))

  it.effect("estimates several k from the same samples", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const estimates = yield* Estimate.passAtK({
        prompt: "p",
        n: 5,
        k: [1, 2, 5],
        check: (sample) => Effect.succeed(sample < "p #2")
      }).pipe(Effect.provide(watchedIndependent), Effect.provide(provider.layer))
      assert.deepStrictEqual(estimates, [1, 2, 5].map((k) => Estimate.passAtKOf({ n: 5, correct: 2, k })))
      assert.deepStrictEqual(provider.requests, [5])
    }))

  it.effect("checks `concurrency` samples at a time, each once, with its index", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      for (const [concurrency, most] of [[undefined, 1], [2, 2], ["unbounded", 5]] as const) {
        let [now, highest] = [0, 0]
        const checked: Array<string> = []
        yield* Estimate.passAtK({
          prompt: "p",
          n: 5,
          k: 1,
          concurrency,
          check: (sample, index) =>
            Effect.gen(function*() {
              highest = Math.max(highest, ++now)
              yield* Effect.replicateEffect(Effect.yieldNow, 3, { discard: true })
              checked[index] = sample
              return now-- > 0
            })
        }).pipe(Effect.provide(watchedIndependent), Effect.provide(provider.layer))
        assert.strictEqual(highest, most)
        assert.deepStrictEqual(checked, provider.given.slice(-5))
      }
    }))

  it.effect("requests batches, and draws new samples after a failed check", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const estimate = (batch?: number) =>
        Estimate.passAtK({ prompt: "p", n: 4, k: 1, batch, check: (sample) => new Broken({ sample }) })
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* Effect.flip(estimate(2)), new Broken({ sample: "p #0" }))
        assert.deepStrictEqual(provider.requests, [2, 2])
        assert.deepStrictEqual(yield* Effect.flip(estimate()), new Broken({ sample: "p #4" }))
        yield* Estimate.majority({ prompt: "p", n: 4, batch: 1 })
      }).pipe(Effect.provide(watchedIndependent), Effect.provide(provider.layer))
      assert.deepStrictEqual(provider.requests, [2, 2, 4, 1, 1, 1, 1])
    }))

  it.effect("says that n is invalid, and not k, if n is no whole number of at least 1", () =>
    Effect.gen(function*() {
      const { layer, requests } = yield* makeProvider()
      for (const n of [0, -1, 1.5, NaN]) {
        const estimate = Estimate.passAtK({ prompt: "p", n, k: 1, check: isRight })
        const error = yield* Effect.flip(estimate.pipe(Effect.provide(LlmModel.stack(Independent.layer, layer))))
        assert.strictEqual(error.message, `Estimate.passAtK: n is ${n}: give a whole number of at least 1`)
      }
      assert.deepStrictEqual(requests, [])
    }))

  it.effect("fails with InvalidInput before any draw if k is not a whole number from 1 to n", () =>
    Effect.gen(function*() {
      for (const k of [0, 6, 1.5, NaN, [5, 6]]) {
        const error = yield* Estimate.passAtK({ prompt: "p", n: 5, k, check: isRight }).pipe(
          Effect.provide(watchedIndependent),
          Effect.provide(TestModel.layer({ script: [] })),
          Effect.flip
        )
        assert.instanceOf(error, SampleError.InvalidInput)
        assert.include(error.message, `k is ${[k].flat().at(-1)}`)
      }
    }))
})

describe("Estimate.majority", () => {
  const vote = (answers: ReadonlyArray<string>, answerOf?: (sample: string) => string | undefined) =>
    Estimate.majority({ prompt: "p", n: answers.length, answerOf }).pipe(
      Effect.provide(watchedIndependent),
      Effect.provide(TestModel.layer({ script: answers }))
    )

  it.effect("takes the most frequent answer and, in a tie, the earliest", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* vote(["a", "b", "b", "c"]), {
        answer: "b",
        votes: 2,
        counts: new Map([["a", 1], ["b", 2], ["c", 1]])
      })
      assert.strictEqual((yield* vote(["b", "a", "a", "b"])).answer, "b")
      // The same estimate from given samples.
      assert.deepStrictEqual(Estimate.majorityOf(["b", "a", "a", "b"]), yield* vote(["b", "a", "a", "b"]))
      assert.strictEqual(Estimate.majorityOf(["x1", "y2", "x2"], (sample) => sample[0]).answer, "x")
    }))

  it.effect("counts the answers in the samples, and ignores samples without an answer", () =>
    Effect.gen(function*() {
      const last = (sample: string) => /is (\d+)$/.exec(sample)?.[1]
      const result = yield* vote(["so it is 42", "I do not know", "hence it is 42", "it is 41", "?", "?"], last)
      assert.deepStrictEqual(result, { answer: "42", votes: 2, counts: new Map([["42", 2], ["41", 1]]) })
      assert.deepStrictEqual(yield* vote(["?"], last), { answer: undefined, votes: 0, counts: new Map() })
    }))
})
