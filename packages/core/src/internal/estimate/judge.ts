import * as Effect from "effect/Effect"
import type { Options, TrialOptions } from "../../Estimate.ts"
import * as Fork from "../../Fork.ts"
import * as IndependentModel from "../../IndependentModel.ts"
import * as LlmModel from "../../LlmModel.ts"
import { InvalidInput, type SampleError } from "../../SampleError.ts"
import { checkCount } from "../model/checkCount.ts"

/** The samples of a prompt, or trials. */
export type Source<E, R> = Options | TrialOptions<unknown, E, R>

/** The result of a judge: all verdicts, in the order of the samples. */
type Verdicts<B, E, R> = Effect.Effect<Array<B>, E | SampleError, R | IndependentModel.IndependentModel>

/**
 * Judges the samples of a prompt after the last draw. Judges each trial in its own fork, so that a judge that samples replays
 * too.
 */
export const judge = <B, E, R, E2, R2>(
  module: string,
  source: Source<E, R>,
  verdictOf: (value: unknown, index: number) => Effect.Effect<B, E2, R2>
): Verdicts<B, E | E2, R | R2> => {
  if (Effect.isEffect(source.sample)) {
    return source.prompt === undefined ? judgeTrials(module, source, verdictOf) : Effect.fail(
      new InvalidInput({ module, description: "both `prompt` and `sample` are given: leave one out" })
    )
  }
  if (source.sample !== undefined) {
    return Effect.fail(
      new InvalidInput({ module, description: "`sample` is no effect: give the effect itself, and no function" })
    )
  }
  const { batch, concurrency, n, prompt } = source
  return Effect.flatMap(
    IndependentModel.sampleMany(prompt, n, { batch }),
    (samples) => Effect.forEach(samples, verdictOf, { concurrency })
  )
}

const judgeTrials = Effect.fnUntraced(function*<B, E, R, E2, R2>(
  module: string,
  { concurrency, n, name, sample }: TrialOptions<unknown, E, R>,
  verdictOf: (value: unknown, index: number) => Effect.Effect<B, E2, R2>
): Effect.fn.Return<
  Array<B>,
  E | E2 | InvalidInput,
  Exclude<R | R2, LlmModel.LlmModel> | IndependentModel.IndependentModel
> {
  yield* checkCount(module, "n", n)
  const trials = Fork.forEach(
    Array.from({ length: n }, (_, index) => index),
    (index) => Effect.flatMap(sample, (value) => verdictOf(value, index)),
    { concurrency }
  ).pipe(Effect.provideServiceEffect(LlmModel.LlmModel, Effect.service(IndependentModel.IndependentModel)))
  return yield* name === undefined ? trials : Fork.fork(trials, name)
})
