import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { InvalidInput } from "../InvalidInput.ts"
import type { LlmModel, Model } from "../LlmModel.ts"
import type { ProviderError, SampleError } from "../SampleError.ts"
import type { Progress } from "../SampleStore.ts"

/**
 * Samples that a cache is to have.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wanted {
  readonly prompt: string
  /**
   * How many, from the first one on.
   *
   * @default 1
   */
  readonly n?: number | undefined
}

/**
 * How a cache is filled.
 *
 * @category options
 * @since 0.1.0
 */
export interface PrefetchOptions {
  /**
   * How many prompts are worked on at once.
   *
   * @default 16
   */
  readonly concurrency?: number | undefined
  /**
   * How many samples are bought at a time.
   *
   * @default as many as a prompt is still missing
   */
  readonly batch?: number | undefined
  /** Runs when all samples of a prompt are there, or could not be had. Samples that were there already count as done. */
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/**
 * What a cache was filled with.
 *
 * @category models
 * @since 0.1.0
 */
export interface Prefetched {
  /** The samples of the prompts that have all that was asked for. */
  readonly samples: number
  /** The prompts of which samples are missing, and why. */
  readonly failed: ReadonlyArray<{ readonly prompt: string; readonly n: number; readonly error: ProviderError }>
}

type SampleMany = (
  prompt: string,
  n: number,
  options: { readonly batch?: number | undefined }
) => Effect.Effect<Array<string>, SampleError, LlmModel>

/** Draws what is wanted from a model that remembers it. */
export const fetch = Effect.fnUntraced(function*(
  model: Model,
  sampleMany: SampleMany,
  items: ReadonlyArray<{ readonly prompt: string; readonly n: number }>,
  { batch, concurrency = 16, onProgress = () => Effect.void }: PrefetchOptions
): Effect.fn.Return<Prefetched, SampleError, LlmModel> {
  if (model.sequence !== "remembered") {
    return yield* new InvalidInput({
      module: "LlmModel.prefetch",
      description:
        "the model is no cache, what it is asked for would be lost: provide a Persistent or a Repeatable above it"
    })
  }
  const total = items.reduce((sum, { n }) => sum + n, 0)
  const start = yield* Clock.currentTimeMillis
  const failed: Array<Prefetched["failed"][number]> = []
  let done = 0
  yield* Effect.forEach(
    items,
    ({ n, prompt }) =>
      sampleMany(prompt, n, { batch }).pipe(
        Effect.asVoid,
        Effect.catchIf(isOfPrompt, (error) => Effect.sync(() => void failed.push({ prompt, n, error }))),
        Effect.andThen(Clock.currentTimeMillis),
        Effect.flatMap((now) => {
          done += n
          return onProgress({ done, total, rate: done * 1000 / Math.max(1, now - start) })
        })
      ),
    { concurrency, discard: true }
  )
  return { samples: total - failed.reduce((sum, { n }) => sum + n, 0), failed }
})

// Another prompt may do better.
const isOfPrompt = (error: SampleError): error is ProviderError =>
  error._tag === "ProviderError" && error.reason._tag !== "BadKey"
