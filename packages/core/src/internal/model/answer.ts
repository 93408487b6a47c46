import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Identity } from "../../Identity.ts"
import type { Samples } from "../../Model.ts"
import type { Drawn, JsonObject } from "../../Sample.ts"
import { ProviderError, type ProviderErrorReason, UnusableResponse } from "../../SampleError.ts"
import type { GeneratedSample, Generation } from "./generation.ts"

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
  const failures = (Array.isArray(generation?.failures) ? generation.failures : []).map(reasonOf)
  for (let i = usable.length; i < given.length; i++) {
    failures.push(new UnusableResponse({ description: "a sample of the answer has no text" }))
  }
  const rests = usable.map(({ rest }) => jsonOf(rest))
  const samples = usable.map(({ finishReason, reasoning, refusal, text }, index): Drawn => ({
    text: text.toWellFormed(),
    metadata: defined({
      request,
      index,
      model: textOf(model),
      finishReason: textOf(finishReason),
      refusal: textOf(refusal),
      reasoning: textOf(reasoning),
      responseId: textOf(responseId),
      createdAt: end,
      elapsed: end - start,
      requestSamples: usable.length,
      inputTokens: numberOf(inputTokens),
      outputTokens: numberOf(outputTokens),
      rest: rests[index] ?? undefined
    }),
    origins: []
  }))
  if (!Arr.isReadonlyArrayNonEmpty(samples)) {
    return Effect.fail(
      new ProviderError({
        provider: identity.name,
        reason: failures[0] ?? new UnusableResponse({ description: "the answer has no sample" })
      })
    )
  }
  // The samples are paid for, so they are kept.
  return Effect.as(
    rests.includes(null)
      ? Effect.logError(`\`generate\` of ${identity.name} gave a \`rest\` that is no JSON object: it is not kept`)
      : Effect.void,
    { samples, failures }
  )
}

// Programs in JavaScript bring values that the types exclude. The samples beside them are paid for.
const textOf = (value: unknown): string | undefined => typeof value === "string" ? value.toWellFormed() : undefined

const numberOf = (value: number | undefined): number | undefined => Number.isFinite(value) ? value : undefined

const reasonOf = (failure: unknown): ProviderErrorReason =>
  Predicate.isObject(failure) && "_tag" in failure && "isRetryable" in failure
    ? failure as unknown as ProviderErrorReason
    : new UnusableResponse({ description: failure instanceof Error ? failure.message : "a part of the answer failed" })

// As a store gives it back, without fields that are `undefined`. `null` if it is no JSON.
const jsonOf = (rest: JsonObject | undefined): JsonObject | null | undefined => {
  if (rest === undefined) return undefined
  try {
    const parsed: unknown = JSON.parse(JSON.stringify(rest))
    return Predicate.isObject(parsed) ? parsed as JsonObject : null
  } catch {
    return null
  }
}

/** The fields that have a value. */
export const defined = <A extends object>(fields: A): A => {
  const kept: Partial<A> = {}
  for (const name in fields) if (fields[name] !== undefined) kept[name] = fields[name]
  return kept as A
}
