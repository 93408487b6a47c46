/**
 * Estimates from independent samples. Each asks for an `IndependentModel`: under a model that repeats itself its result
 * would mean nothing, and it does not compile.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as IndependentModel from "./IndependentModel.ts"
import { ProviderError, type SampleError } from "./SampleError.ts"

/**
 * How many samples are drawn of which prompt.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  readonly prompt: string
  /** How many samples are drawn. */
  readonly n: number
  /**
   * How many of them are asked for at a time where they have to be bought.
   *
   * @default as many as are missing
   */
  readonly batch?: number | undefined
}

/**
 * The probability that at least one of `k` samples, drawn without replacement from `n` of which `correct` are, is
 * correct: `1 - C(n - correct, k) / C(n, k)`, which is an unbiased estimate of pass@k. `NaN` where `k` is more than `n`.
 *
 * **Details**
 *
 * From Chen et al., "Evaluating Large Language Models Trained on Code", 2021 (arXiv 2107.03374), section 2.1, in the
 * product form that does not overflow.
 *
 * @category estimators
 * @since 0.1.0
 */
export const passAtKOf = (counts: {
  readonly n: number
  readonly correct: number
  readonly k: number
}): number => {
  const { correct, k, n } = counts
  if (k > n) return NaN
  if (n - correct < k) return 1
  let allWrong = 1
  for (let i = n - correct + 1; i <= n; i++) allWrong *= 1 - k / i
  return 1 - allWrong
}

/**
 * Estimates pass@k, the probability that at least one of `k` samples is correct, from `n` samples and a checker.
 *
 * **Details**
 *
 * See `passAtKOf` for the estimator. `n` has to be at least `k`; more samples make the estimate less variable. The checker
 * is run on one sample after the other.
 *
 * **Example** (pass@5 from 20 samples)
 *
 * ```ts
 * import { Estimate, Independent } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const program = Estimate.passAtK({
 *   prompt: "6 * 7?",
 *   n: 20,
 *   k: 5,
 *   check: (answer) => Effect.succeed(answer === "42")
 * }).pipe(Effect.provide(Independent.layer))
 * ```
 *
 * @category estimators
 * @since 0.1.0
 */
export const passAtK = Effect.fnUntraced(function*<E = never, R = never>(
  options: Options & {
    readonly k: number
    /** Whether a sample is correct. */
    readonly check: (sample: string) => Effect.Effect<boolean, E, R>
  }
): Effect.fn.Return<number, SampleError | E, IndependentModel.IndependentModel | R> {
  const { batch, check, k, n, prompt } = options
  if (!(Number.isSafeInteger(k) && k >= 1 && k <= n)) {
    return yield* ProviderError.badRequest(
      "Estimate.passAtK",
      `k is ${k}: give a whole number from 1 to n, which is ${n}`
    )
  }
  const samples = yield* IndependentModel.sampleMany(prompt, n, { batch })
  const verdicts = yield* Effect.forEach(samples, check)
  return passAtKOf({ n, k, correct: verdicts.filter(Boolean).length })
})

/**
 * The result of a vote.
 *
 * @category models
 * @since 0.1.0
 */
export interface Majority {
  /** The answer with most votes, of several the one that was given first; `undefined` when no sample had an answer. */
  readonly answer: string | undefined
  /** How many votes it has. */
  readonly votes: number
  /** The votes of every answer, in the order in which they were first given. */
  readonly counts: ReadonlyMap<string, number>
}

/**
 * Draws `n` samples and takes the answer that most of them give.
 *
 * **Details**
 *
 * Self-consistency, from Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models", 2022
 * (arXiv 2203.11171): the samples reason in different ways, and the vote is among the answers they come to.
 *
 * **Example** (The answer is the last word)
 *
 * ```ts
 * import { Estimate, Independent } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const program = Estimate.majority({
 *   prompt: "How much is 6 * 7? Think step by step, and end with the answer.",
 *   n: 10,
 *   answerOf: (sample) => sample.trim().split(" ").at(-1)
 * }).pipe(Effect.provide(Independent.layer))
 * ```
 *
 * @category estimators
 * @since 0.1.0
 */
export const majority = Effect.fnUntraced(function*(
  options: Options & {
    /**
     * The answer of a sample, `undefined` for one that has none and does not vote.
     *
     * @default the whole sample
     */
    readonly answerOf?: ((sample: string) => string | undefined) | undefined
  }
): Effect.fn.Return<Majority, SampleError, IndependentModel.IndependentModel> {
  const { answerOf = (sample) => sample, batch, n, prompt } = options
  const samples = yield* IndependentModel.sampleMany(prompt, n, { batch })
  const counts = new Map<string, number>()
  for (const sample of samples) {
    const answer = answerOf(sample)
    if (answer !== undefined) counts.set(answer, (counts.get(answer) ?? 0) + 1)
  }
  let [answer, votes]: [string | undefined, number] = [undefined, 0]
  for (const [one, count] of counts) if (count > votes) [answer, votes] = [one, count]
  return { answer, votes, counts }
})
