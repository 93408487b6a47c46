/**
 * The errors of sampling behind those of a `LanguageModel`.
 *
 * **Details**
 *
 * A `LanguageModel` fails with an `AiError`, and its reasons are a closed list. An error of the inner model comes out of a cached
 * model as it is. A `ReplicationCacheMiss`, a `StoreError` or an `InvalidInput` comes out as an `AiError` with the reason
 * `UnknownError`, which is not retryable. A `ProviderError` of a model of texts that is retryable comes out as a `RateLimitError` or an
 * `InternalProviderError`, and so stays retryable. `metadata["@llm-cache"]` of the reason has the fields of the original as JSON.
 *
 * **Gotchas**
 *
 * An `ExecutionPlan` goes on to its next step after any error, a miss too: give its steps a `while` that asks `isMiss`.
 *
 * @since 0.1.0
 */
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as SampleError from "@llm-cache/core/SampleError"
import * as AiError from "effect/ai/AiError"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { causeOf, metadataName } from "./internal/aiErrors.ts"
import { fromJson } from "./internal/errorJson.ts"

/**
 * The error of sampling behind an `AiError`, `undefined` if there is none.
 *
 * **Details**
 *
 * In the process of the error it is the original. Behind an error that came from another process, as over RPC, it has the
 * class, the message and the fields of the original, without its cause; the prompt of a miss is shortened, and a `StoreError` has
 * no key.
 *
 * @category getters
 * @since 0.1.0
 */
export const fromAi = (error: unknown): SampleError.SampleError | undefined => {
  if (!AiError.isAiError(error)) return undefined
  const { reason } = error
  const original = causeOf(reason)
  if (isSampleError(original)) return original
  return "metadata" in reason ? fromJson(reason.metadata[metadataName]) : undefined
}

const isSampleError = (error: unknown): error is SampleError.SampleError =>
  error instanceof SampleError.ReplicationCacheMiss || error instanceof SampleError.StoreError ||
  error instanceof SampleError.ProviderError || error instanceof InvalidInput

/**
 * Whether an error is a `ReplicationCacheMiss`, also behind an `AiError`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isMiss = (error: unknown): boolean =>
  error instanceof SampleError.ReplicationCacheMiss || fromAi(error)?._tag === "ReplicationCacheMiss"

/**
 * An effect or a stream that also fails with the errors of sampling.
 *
 * @category models
 * @since 0.1.0
 */
export type Exposed<Self> = Self extends Stream.Stream<infer A, infer E, infer R>
  ? Stream.Stream<A, E | SampleError.SampleError, R>
  : Self extends Effect.Effect<infer A, infer E, infer R> ? Effect.Effect<A, E | SampleError.SampleError, R>
  : never

/**
 * Lets the errors of sampling come out of an effect or a stream under their own tags.
 *
 * **Example** (A miss ends the run of a program that replays)
 *
 * ```ts
 * import { CacheErrors } from "@llm-cache/ai"
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 *
 * const program = CacheErrors.expose(LanguageModel.generateText({ prompt: "Hello" })).pipe(
 *   Effect.catchTag("ReplicationCacheMiss", (miss) => Effect.logError(`Record it first: ${miss.message}`))
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const expose = <
  Self extends Effect.Effect<unknown, unknown, unknown> | Stream.Stream<unknown, unknown, unknown>
>(
  self: Self
): Exposed<Self> => exposed(self) as Exposed<Self>

const exposed = <A, E, R>(self: Effect.Effect<A, E, R> | Stream.Stream<A, E, R>) => {
  const original = (error: E) => fromAi(error) ?? error
  return Stream.isStream(self) ? Stream.mapError(self, original) : Effect.mapError(self, original)
}
