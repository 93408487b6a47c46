import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { Identity } from "../../Identity.ts"
import type { GeneratedSample, Generation } from "../../LlmModel.ts"
import type { Samples } from "../../Model.ts"
import type { Drawn } from "../../Sample.ts"
import { ProviderError, type ProviderErrorReason, UnusableResponse } from "../../SampleError.ts"

/** The samples of a provider's answer with their metadata, and its failed parts. */
export const readGeneration = (
  identity: Identity,
  request: string,
  generation: Generation,
  start: number,
  end: number
): Effect.Effect<
  { readonly samples: Samples; readonly failures: ReadonlyArray<ProviderErrorReason> },
  ProviderError
> => {
  const { inputTokens, model, outputTokens, responseId } = generation ?? {}
  const given = Array.isArray(generation?.samples) ? generation.samples : []
  const usable = given.flatMap((sample): ReadonlyArray<GeneratedSample> =>
    typeof sample === "string" ? [{ text: sample }] : typeof sample?.text === "string" ? [sample] : []
  )
  const failures = [...generation?.failures ?? []]
  for (let i = usable.length; i < given.length; i++) {
    failures.push(new UnusableResponse({ description: "a sample of the answer has no text" }))
  }
  const samples = usable.map(({ finishReason, reasoning, refusal, text }, index): Drawn => ({
    text: text.toWellFormed(),
    metadata: defined({
      request,
      index,
      model,
      finishReason,
      refusal: refusal?.toWellFormed(),
      reasoning: reasoning?.toWellFormed(),
      responseId,
      createdAt: end,
      elapsed: end - start,
      requestSamples: usable.length,
      inputTokens,
      outputTokens
    }),
    origins: []
  }))
  return Arr.isReadonlyArrayNonEmpty(samples) ? Effect.succeed({ samples, failures }) : Effect.fail(
    new ProviderError({
      provider: identity.name,
      reason: failures[0] ?? new UnusableResponse({ description: "the answer has no sample" })
    })
  )
}

/** The fields that have a value. */
export const defined = <A extends object>(fields: A): A => {
  const kept: Partial<A> = {}
  for (const name in fields) if (fields[name] !== undefined) kept[name] = fields[name]
  return kept as A
}
