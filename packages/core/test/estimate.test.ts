import { assert, describe, it } from "@effect/vitest"
import { Estimate, Independent, LlmModel, Repeatable, SampleError } from "@llm-cache/core"
import { Effect } from "effect"
import { count } from "./support/stack.ts"

const choose = (n: bigint, k: bigint): bigint => k === 0n ? 1n : k > n ? 0n : choose(n - 1n, k - 1n) * n / k

/** A model that answers these in turn. */
const scripted = (...answers: ReadonlyArray<string>) => {
  const rest = answers.values()
  return LlmModel.layer({
    model: "scripted",
    generate: ({ n }) => Effect.sync(() => ({ samples: rest.take(n).toArray() }))
  })
}

const isRight = (answer: string) => Effect.succeed(answer === "right")

describe("pass@k", () => {
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

  it.effect("is what counting all choices of k samples gives", () =>
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

  it.effect("is estimated from n different samples", () =>
    Effect.gen(function*() {
      const model = scripted("right", "wrong", "wrong", "right", "wrong")
      const program = (k: number) =>
        Estimate.passAtK({ prompt: "p", n: 5, k, check: isRight }).pipe(
          Effect.provide(Repeatable.layer),
          Effect.provide(Independent.layer),
          Effect.provide(model)
        )
      assert.closeTo(yield* program(1), 2 / 5, 1e-12)
    }))

  it.effect("refuses a k that n samples cannot tell, before anything is drawn", () =>
    Effect.gen(function*() {
      for (const k of [0, 6, 1.5, NaN]) {
        const error = yield* Estimate.passAtK({ prompt: "p", n: 5, k, check: isRight }).pipe(
          Effect.provide(Independent.layer),
          Effect.provide(LlmModel.layer({ model: "m", generate: () => Effect.die("was asked") })),
          Effect.flip
        )
        assert.instanceOf(error, SampleError.ProviderError)
        assert.include(error.message, String(k))
      }
    }))
})

describe("majority", () => {
  const vote = (answers: ReadonlyArray<string>, answerOf?: (sample: string) => string | undefined) =>
    Estimate.majority({ prompt: "p", n: answers.length, answerOf }).pipe(
      Effect.provide(Independent.layer),
      Effect.provide(scripted(...answers))
    )

  it.effect("is the answer that most samples give, of several the first", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* vote(["a", "b", "b", "c"]), {
        answer: "b",
        votes: 2,
        counts: new Map([["a", 1], ["b", 2], ["c", 1]])
      })
      assert.strictEqual((yield* vote(["b", "a", "a", "b"])).answer, "b")
    }))

  it.effect("counts the answers in the samples, and not those that have none", () =>
    Effect.gen(function*() {
      const last = (sample: string) => /is (\d+)$/.exec(sample)?.[1]
      const result = yield* vote(["so it is 42", "I do not know", "hence it is 42", "it is 41", "?", "?"], last)
      assert.deepStrictEqual(result, { answer: "42", votes: 2, counts: new Map([["42", 2], ["41", 1]]) })
      assert.deepStrictEqual(yield* vote(["?"], last), { answer: undefined, votes: 0, counts: new Map() })
    }))
})
