import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { Identity } from "../../Identity.ts"
import type { Generation } from "../../LlmModel.ts"
import type { Drawn } from "../../Sample.ts"
import { ProviderError, UnusableResponse } from "../../SampleError.ts"

/** The samples of a provider's answer, with their metadata. */
export const samplesOf = (
  identity: Identity,
  request: string,
  generation: Generation,
  start: number,
  end: number
): Effect.Effect<Arr.NonEmptyReadonlyArray<Drawn>, ProviderError> => {
  const { inputTokens, model, outputTokens, samples } = generation ?? {}
  const texts = Array.isArray(samples) ? samples : []
  const usable = texts.map((sample) => typeof sample === "string" ? { text: sample, finishReason: undefined } : sample)
    .filter((sample) => typeof sample?.text === "string")
  const drawn = usable.map(({ finishReason, text }, index): Drawn => ({
    text: text.toWellFormed(),
    metadata: defined({
      request,
      index,
      model,
      finishReason,
      createdAt: end,
      elapsed: end - start,
      requestSamples: usable.length,
      inputTokens,
      outputTokens
    }),
    origins: []
  }))
  return Arr.isReadonlyArrayNonEmpty(drawn) ? Effect.succeed(drawn) : Effect.fail(
    new ProviderError({
      provider: identity.name,
      reason: new UnusableResponse({ description: "the answer has no sample with a text" })
    })
  )
}

/** The fields that have a value. */
export const defined = <A extends object>(fields: A): A => {
  const kept: Partial<A> = {}
  for (const name in fields) if (fields[name] !== undefined) kept[name] = fields[name]
  return kept as A
}
