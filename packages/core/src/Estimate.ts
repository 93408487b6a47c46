/**
 * Estimates from independent samples. Each needs an `IndependentModel` and does not compile without one: samples of a
 * repeatable model would make the result meaningless.
 *
 * **Details**
 *
 * An estimate samples a `prompt`, or runs trials of a `sample`: any effect that draws, such as an agent. Each trial has a fork
 * of its own, named by its index, so that it replays. Its `LlmModel` is the `IndependentModel`.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Result from "effect/Result"
import type * as Types from "effect/Types"
import type { IndependentModel } from "./IndependentModel.ts"
import { asEffect } from "./internal/asEffect.ts"
import { countVotes } from "./internal/estimate/countVotes.ts"
import { judge, type Source } from "./internal/estimate/judge.ts"
import { checkCount } from "./internal/model/checkCount.ts"
import type { LlmModel } from "./LlmModel.ts"
import * as Output from "./Output.ts"
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
  /** How many samples to judge at a time. @default 1 */
  readonly concurrency?: Types.Concurrency | undefined
  readonly sample?: undefined
}

/**
 * The effect whose trials are judged, and the number of trials.
 *
 * **Gotchas**
 *
 * A trial that fails ends the estimate: an outage must not count as a wrong answer. Turn the agent's own failures into values
 * that `check` or `by` judges: `Effect.catchTag("NoAnswer", () => Effect.succeed(undefined))`.
 *
 * Two estimates in the same fork use forks of the same names, and so the same sequences. Under `Independent` the second
 * continues after the draws of the first. Give each a `name` to keep them apart.
 *
 * @category options
 * @since 0.1.0
 */
export interface TrialOptions<A, E, R> {
  /** The effect that draws. Its value is judged. */
  readonly sample: Effect.Effect<A, E, R>
  /** The number of trials. */
  readonly n: number
  /** How many trials to run at a time. @default 1 */
  readonly concurrency?: Types.Concurrency | undefined
  /** The name of a fork around the forks of all trials. @default none */
  readonly name?: string | undefined
  readonly prompt?: undefined
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
}

/**
 * The trials and the checker of a pass@k estimate.
 *
 * @category options
 * @since 0.1.0
 */
export interface PassAtKTrialOptions<
  A,
  E,
  R,
  K extends number | ReadonlyArray<number>,
  Verdict extends boolean | Effect.Effect<boolean, unknown, unknown>
> extends TrialOptions<A, E, R> {
  /** The `k` of pass@k. Several numbers give several estimates from the same trials. */
  readonly k: K
  /** Whether the value of a trial is correct. It runs in the fork of the trial, after it. */
  readonly check: (value: Types.NoInfer<A>, index: number) => Verdict
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
 * `k` give one estimate each. It samples a `prompt`, or runs the trials of a `sample`, such as an agent.
 *
 * **Details**
 *
 * `passAtKOf` has the formula. Every `k` is at most `n`, and more samples make the estimates less variable. The first check
 * of a prompt's samples runs after the last draw. A `k` that is not a whole number from 1 to `n` fails with `InvalidInput`
 * before any draw.
 *
 * **Gotchas**
 *
 * If a check fails, its samples are used up: a retry draws new samples. Checks of a prompt's samples that sample
 * concurrently need a fork each: name it by the index of the sample. The checks of trials have one.
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
 * **Example** (pass@3 of an agent)
 *
 * ```ts
 * import { Estimate, LlmModel } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const plan = LlmModel.sampleOne("How would you multiply 6 and 7?")
 * const agent = Effect.flatMap(plan, (plan) => LlmModel.sampleOne(`Do it: ${plan}`))
 *
 * const passAt3 = Estimate.passAtK({ sample: agent, n: 20, k: 3, check: (answer) => answer === "42", concurrency: 5 })
 * ```
 *
 * @category estimators
 * @since 0.1.0
 */
export const passAtK: {
  <
    A,
    E,
    R,
    const K extends number | ReadonlyArray<number>,
    Verdict extends boolean | Effect.Effect<boolean, unknown, unknown>
  >(
    options: PassAtKTrialOptions<A, E, R, K, Verdict>
  ): Effect.Effect<
    PassAtK<K>,
    E | Effect.Error<Verdict> | InvalidInput,
    IndependentModel | Exclude<R | Effect.Services<Verdict>, LlmModel>
  >
  <
    const K extends number | ReadonlyArray<number>,
    Verdict extends boolean | Effect.Effect<boolean, unknown, unknown>
  >(
    options: PassAtKOptions<K, Verdict>
  ): Effect.Effect<
    PassAtK<K>,
    SampleError | Effect.Error<Verdict>,
    IndependentModel | Effect.Services<Verdict>
  >
} = Effect.fnUntraced(function*<E, R>(
  options: Source<E, R> & {
    readonly k: number | ReadonlyArray<number>
    readonly check: (value: never, index: number) => boolean | Effect.Effect<boolean, E, R>
  }
) {
  const { check, k, n } = options
  yield* checkCount("Estimate.passAtK", "n", n)
  for (const one of [k].flat()) {
    if (Number.isSafeInteger(one) && one >= 1 && one <= n) continue
    return yield* new InvalidInput({
      module: "Estimate.passAtK",
      description: `k is ${one}: give a whole number from 1 to n, which is ${n}`
    })
  }
  const verdicts = yield* judge(
    "Estimate.passAtK",
    options,
    (value, index) => asEffect("check", check(value as never, index))
  )
  const correct = verdicts.filter(Boolean).length
  const estimate = (k: number) => passAtKOf({ n, correct, k })
  return typeof k === "number" ? estimate(k) : k.map(estimate)
}) as never

/**
 * The result of a vote.
 *
 * @category models
 * @since 0.1.0
 */
export interface Majority<A = string> {
  /** The answer with most votes; in a tie, the earliest. `undefined` if no sample has an answer. */
  readonly answer: A | undefined
  /** The number of its votes. */
  readonly votes: number
  /** The votes of every answer, in the order of first appearance. */
  readonly counts: ReadonlyMap<A, number>
}

/**
 * Finds the most frequent answer. Answers are equal as by `Equal.equals`, which compares objects and arrays by content.
 *
 * @category estimators
 * @since 0.1.0
 */
export const majorityOf = <S = string, A = S>(
  samples: Iterable<S>,
  answerOf?: (sample: S) => A | undefined
): Majority<A> =>
  countVotes(answerOf === undefined ? samples as Iterable<never> : Array.from(samples, (sample) => answerOf(sample)))

/**
 * The answer that a function gives, or an effect of one. `undefined` is no answer.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer<V> = Exclude<V extends Effect.Effect<infer A, infer _E, infer _R> ? A : V, undefined>

/**
 * How an answer is found.
 *
 * @category options
 * @since 0.1.0
 */
export interface VoteOptions<A, V> {
  /**
   * The answer of a sample, or an effect of it: the output of its program, say. A sample without one (`undefined`) does not vote.
   *
   * @default the whole value
   */
  readonly by?: ((value: A, index: number) => V & NoPromise<V>) | undefined
}

/** Two promises are equal by content, so a vote of promises would be of one mind. */
type NoPromise<V> = [V] extends [PromiseLike<unknown>] ? "Return an effect, as by Effect.promise" : unknown

/**
 * The samples of a vote, and the answer of each.
 *
 * @category options
 * @since 0.1.0
 */
export interface MajorityOptions<V = string> extends Options, VoteOptions<string, V> {
  /** The same as `by`. */
  readonly answerOf?: ((sample: string) => string | undefined) | undefined
  readonly spec?: undefined
}

/**
 * The samples of a vote, the spec that reads them, and the answer of each value.
 *
 * @category options
 * @since 0.1.0
 */
export interface MajoritySpecOptions<A, V> extends Options, VoteOptions<Types.NoInfer<A>, V> {
  /** How to read a sample, see `Output`. A sample that it cannot read does not vote. */
  readonly spec: Output.Spec<A>
}

/**
 * The trials of a vote, and the answer of each.
 *
 * @category options
 * @since 0.1.0
 */
export interface MajorityTrialOptions<A, E, R, V> extends TrialOptions<A, E, R>, VoteOptions<Types.NoInfer<A>, V> {}

/**
 * The result of a vote over structured output.
 *
 * @category models
 * @since 0.1.0
 */
export interface SpecMajority<A> extends Majority<A> {
  /** The samples that the spec could not read, each with its error. */
  readonly rejected: ReadonlyArray<Output.OutputRejected>
}

/**
 * Draws `n` samples and takes the most frequent answer. It samples a `prompt`, or runs the trials of a `sample`, such as an
 * agent. With a `spec`, the samples vote by the values that it reads.
 *
 * **Details**
 *
 * Self-consistency, from Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models", 2022
 * (arXiv 2203.11171): the samples reason in different ways and vote with their answers. Answers of any type are compared by
 * `Equal.equals`, objects and arrays by content.
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
 *   by: (sample) => sample.trim().split(" ").at(-1)
 * }).pipe(Effect.provide(Independent.layer))
 * ```
 *
 * **Example** (The answer is a part of the structured output)
 *
 * ```ts
 * import { Estimate, Output } from "@llm-cache/core"
 *
 * const vote = Estimate.majority({
 *   prompt: "How much is 6 * 7? Give your reasons in <why> tags and the answer in <answer> tags.",
 *   n: 10,
 *   spec: Output.sequence([Output.tag("why"), Output.tag("answer")]),
 *   by: ([_, answer]) => Number(answer)
 * })
 * ```
 *
 * @category estimators
 * @since 0.1.0
 */
export const majority: {
  <A, V = A>(options: MajoritySpecOptions<A, V>): Effect.Effect<
    SpecMajority<Answer<V>>,
    SampleError | Effect.Error<V>,
    IndependentModel | Effect.Services<V>
  >
  <A, E, R, V = A>(options: MajorityTrialOptions<A, E, R, V>): Effect.Effect<
    Majority<Answer<V>>,
    E | Effect.Error<V> | InvalidInput,
    IndependentModel | Exclude<R | Effect.Services<V>, LlmModel>
  >
  <V = string>(options: MajorityOptions<V>): Effect.Effect<
    Majority<Answer<V>>,
    SampleError | Effect.Error<V>,
    IndependentModel | Effect.Services<V>
  >
} = Effect.fnUntraced(function*<E, R>(
  options: Source<E, R> & {
    readonly by?: ((value: never, index: number) => unknown) | undefined
    readonly spec?: Output.Spec<unknown> | undefined
    readonly answerOf?: MajorityOptions["answerOf"]
  }
) {
  const { answerOf = identity<string>, by = (sample: string) => answerOf(sample), spec } = options
  const vote = (value: unknown, index: number) =>
    asEffect("by", by(value as never, index)) as Effect.Effect<unknown, E, R>
  if (spec === undefined) return countVotes(yield* judge("Estimate.majority", options, vote))
  const parse = Output.parse(spec)
  const results = yield* judge("Estimate.majority", options, (value, index) => {
    const sample = value as string
    return Effect.matchEffect(parse(sample), {
      onSuccess: (read) => Effect.map(vote(read, index), Result.succeed),
      onFailure: (error) => Effect.succeed(Result.fail(new Output.OutputRejected({ sample, error })))
    })
  })
  const [answers, rejected] = Arr.separate(results)
  return { ...countVotes(answers), rejected }
}) as never
