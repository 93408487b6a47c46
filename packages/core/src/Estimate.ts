/**
 * Estimates from independent samples. Each needs an `IndependentModel` and does not compile without one: samples of a
 * repeatable model would make the result meaningless.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Types from "effect/Types"
import * as IndependentModel from "./IndependentModel.ts"
import { asEffect } from "./internal/asEffect.ts"
import { InvalidInput, type SampleError } from "./SampleError.ts"

/**
 * The prompt, and the number of its samples.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  readonly prompt: string
  /** The number of samples. */
  readonly n: number
  /**
   * How many missing samples to request at a time.
   *
   * @default all missing samples
   */
  readonly batch?: number | undefined
}

/**
 * An unbiased estimate of pass@k from `n` samples, of which `correct` are correct: `1 - C(n - correct, k) / C(n, k)`. It
 * is the probability that `k` of the `n` samples, drawn without replacement, include a correct one. If `k` is more than
 * `n`, it is `NaN`.
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
 * The samples and the checker of a pass@k estimate.
 *
 * @category options
 * @since 0.1.0
 */
export interface PassAtKOptions<
  K extends number | ReadonlyArray<number>,
  Verdict extends boolean | Effect.Effect<boolean, unknown, unknown>
> extends Options {
  /** The `k` of pass@k. Several numbers give several estimates from the same samples. */
  readonly k: K
  /** Whether a sample is correct. */
  readonly check: (sample: string, index: number) => Verdict
  /** How many samples to check at a time. @default 1 */
  readonly concurrency?: Types.Concurrency | undefined
}

/**
 * An estimate for one `k`, or for each of several.
 *
 * @category models
 * @since 0.1.0
 */
export type PassAtK<K extends number | ReadonlyArray<number>> = K extends number ? number
  : { -readonly [I in keyof K]: number }

/**
 * Estimates pass@k, the probability that at least one of `k` samples is correct, from `n` samples and a checker. Several
 * `k` give one estimate each.
 *
 * **Details**
 *
 * `passAtKOf` has the formula. Every `k` is at most `n`, and more samples make the estimates less variable. The first check
 * runs after the last draw. A `k` that is not a whole number from 1 to `n` fails with `InvalidInput` before any draw.
 *
 * **Gotchas**
 *
 * If a check fails, its samples are used up: a retry draws new samples. Checks that sample concurrently need a fork each:
 * name it by the index of the sample.
 *
 * **Example** (pass@1 and pass@5 from the same 20 samples)
 *
 * ```ts
 * import { Estimate, Independent } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const program = Estimate.passAtK({
 *   prompt: "6 * 7?",
 *   n: 20,
 *   k: [1, 5],
 *   check: (answer) => answer === "42"
 * }).pipe(
 *   Effect.map(([passAt1, passAt5]) => `${passAt1}, and ${passAt5} of five`),
 *   Effect.provide(Independent.layer)
 * )
 * ```
 *
 * @category estimators
 * @since 0.1.0
 */
export const passAtK = Effect.fnUntraced(function*<
  const K extends number | ReadonlyArray<number>,
  Verdict extends boolean | Effect.Effect<boolean, unknown, unknown>
>(options: PassAtKOptions<K, Verdict>): Effect.fn.Return<
  PassAtK<K>,
  SampleError | Effect.Error<Verdict>,
  IndependentModel.IndependentModel | Effect.Services<Verdict>
> {
  const { batch, check, concurrency, k, n, prompt } = options
  for (const one of [k].flat()) {
    if (Number.isSafeInteger(one) && one >= 1 && one <= n) continue
    return yield* new InvalidInput({
      module: "Estimate.passAtK",
      description: `k is ${one}: give a whole number from 1 to n, which is ${n}`
    })
  }
  const samples = yield* IndependentModel.sampleMany(prompt, n, { batch })
  const verdicts = yield* Effect.forEach(
    samples,
    (sample, index) => asEffect(check(sample, index)),
    { concurrency }
  )
  const correct = verdicts.filter(Boolean).length
  const estimate = (k: number) => passAtKOf({ n, correct, k })
  return (typeof k === "number" ? estimate(k) : k.map(estimate)) as PassAtK<K>
})

/**
 * The result of a vote.
 *
 * @category models
 * @since 0.1.0
 */
export interface Majority {
  /** The answer with most votes; in a tie, the earliest. `undefined` if no sample has an answer. */
  readonly answer: string | undefined
  /** The number of its votes. */
  readonly votes: number
  /** The votes of every answer, in the order of first appearance. */
  readonly counts: ReadonlyMap<string, number>
}

/**
 * Finds the most frequent answer.
 *
 * @category estimators
 * @since 0.1.0
 */
export const majorityOf = (
  samples: Iterable<string>,
  answerOf: (sample: string) => string | undefined = (sample) => sample
): Majority => {
  const counts = new Map<string, number>()
  for (const sample of samples) {
    const answer = answerOf(sample)
    if (answer !== undefined) counts.set(answer, (counts.get(answer) ?? 0) + 1)
  }
  let [answer, votes]: [string | undefined, number] = [undefined, 0]
  for (const [one, count] of counts) if (count > votes) [answer, votes] = [one, count]
  return { answer, votes, counts }
}

/**
 * The samples of a vote, and the answer of each.
 *
 * @category options
 * @since 0.1.0
 */
export interface MajorityOptions extends Options {
  /**
   * The answer of a sample. A sample without an answer (`undefined`) does not vote.
   *
   * @default the whole sample
   */
  readonly answerOf?: ((sample: string) => string | undefined) | undefined
}

/**
 * Draws `n` samples and takes the most frequent answer.
 *
 * **Details**
 *
 * Self-consistency, from Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models", 2022
 * (arXiv 2203.11171): the samples reason in different ways and vote with their answers.
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
export const majority = ({ answerOf, batch, n, prompt }: MajorityOptions): Effect.Effect<
  Majority,
  SampleError,
  IndependentModel.IndependentModel
> =>
  Effect.map(
    IndependentModel.sampleMany(prompt, n, { batch }),
    (samples) => majorityOf(samples, answerOf)
  )
