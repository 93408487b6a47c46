import { assert } from "@effect/vitest"
import { LlmModel, SampleError } from "@llm-cache/core"
import { OpenAiCompatible } from "@llm-cache/providers"
import { Effect, Layer, Redacted, Schedule } from "effect"
import type { HttpClient } from "effect/http"

/** Runs an effect with a model of a server. It does not retry unless `retry` is given. */
export const sampling = (
  client: Layer.Layer<HttpClient.HttpClient>,
  url: string,
  options?: Partial<OpenAiCompatible.Options>
) =>
<A, E>(effect: Effect.Effect<A, E, LlmModel.LlmModel>): Effect.Effect<A, E | SampleError.InvalidInput> =>
  Effect.provide(
    effect,
    OpenAiCompatible.layer({
      baseUrl: `${url}/v1`,
      apiKey: Redacted.make("sk-test"),
      model: "gpt-mock",
      temperature: 1,
      retry: Schedule.recurs(0),
      ...options
    }).pipe(Layer.provide(client))
  )

/** The message of an `InvalidInput`. Fails the test for every other error. */
export const invalidInputOf = (error: unknown): string => {
  assert.instanceOf(error, SampleError.InvalidInput)
  return error.message
}

/** Fails the test unless the error is a provider's with that reason. */
export const reasonOf = <Tag extends SampleError.ProviderErrorReason["_tag"]>(
  error: unknown,
  tag: Tag
): Extract<SampleError.ProviderErrorReason, { readonly _tag: Tag }> => {
  assert.instanceOf(error, SampleError.ProviderError)
  const { reason } = error
  assert.strictEqual(reason._tag, tag, reason.message)
  return reason as Extract<SampleError.ProviderErrorReason, { readonly _tag: Tag }>
}
