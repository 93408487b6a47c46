/**
 * The errors of sampling behind those of a `LanguageModel`.
 *
 * **Details**
 *
 * A `LanguageModel` fails with an `AiError`, and its reasons are a closed list. An error of the inner model comes out of a cached
 * model as it is. A `ReplicationCacheMiss`, a `StoreError` or an `InvalidInput` comes out as an `AiError` with the reason
 * `UnknownError`, which is not retryable. Its `metadata["@llm-cache"]` has the fields of the original as JSON.
 *
 * **Gotchas**
 *
 * An `ExecutionPlan` goes on to its next step after any error, a miss too: give its steps a `while` that asks `isMiss`.
 *
 * @since 0.1.0
 */
import * as Identity from "@llm-cache/core/Identity"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as SampleError from "@llm-cache/core/SampleError"
import * as AiError from "effect/ai/AiError"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import { causeOf, metadataName } from "./internal/aiErrors.ts"

/**
 * The error of sampling behind an `AiError`, `undefined` if there is none.
 *
 * **Details**
 *
 * In the process of the error it is the original. Behind an error that came from another process, as over RPC, it is a
 * `ReplicationCacheMiss` or an `InvalidInput` with the fields of the original; the prompt of a miss is shortened.
 *
 * @category getters
 * @since 0.1.0
 */
export const fromAi = (error: unknown): SampleError.SampleError | undefined => {
  if (!AiError.isAiError(error) || error.reason._tag !== "UnknownError") return undefined
  const original = causeOf(error.reason)
  return isSampleError(original) ? original : decoded(error.reason.metadata[metadataName])
}

const isSampleError = (error: unknown): error is SampleError.SampleError =>
  error instanceof SampleError.ReplicationCacheMiss || error instanceof SampleError.StoreError ||
  error instanceof SampleError.ProviderError || error instanceof InvalidInput

const decoded = (fields: unknown): SampleError.SampleError | undefined => {
  if (!Predicate.isObject(fields)) return undefined
  const { _tag, description, identityId, module } = fields
  if (_tag === "InvalidInput" && typeof module === "string" && typeof description === "string") {
    return new InvalidInput({ module, description })
  }
  const identity = typeof identityId === "string" ? Identity.fromId(identityId) : undefined
  return _tag === "ReplicationCacheMiss" && identity !== undefined
    ? new SampleError.ReplicationCacheMiss({ ...fields, identity } as never)
    : undefined
}

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
