/**
 * Fills a cache ahead of a run.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { checkCount } from "./internal/model/checkCount.ts"
import { progressSince } from "./internal/progressSince.ts"
import { InvalidInput } from "./InvalidInput.ts"
import { LlmModel, sampleMany } from "./LlmModel.ts"
import type { ProviderError, SampleError } from "./SampleError.ts"
import type { Progress } from "./Transfer.ts"

/**
 * A prompt, and how many samples of it the cache should have.
 *
 * @category models
 * @since 0.1.0
 */
export interface PrefetchItem {
  readonly prompt: string
  /**
   * How many samples, from the first one on. 0 asks for none.
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
   * How many prompts are in progress at once.
   *
   * @default 16
   */
  readonly concurrency?: number | undefined
  /**
   * How many samples are requested at a time.
   *
   * @default as many as a prompt is still missing
   */
  readonly batch?: number | undefined
  /** Runs each time a prompt has all its samples, or has failed. Samples that were stored before count as done. */
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/**
 * The result of a prefetch.
 *
 * @category models
 * @since 0.1.0
 */
export interface PrefetchResult {
  /** The samples of the prompts that have all they were to have. */
  readonly samples: number
  /** The prompts that miss samples, and why. */
  readonly failed: ReadonlyArray<
    { readonly prompt: string; readonly n: number; readonly error: ProviderError | InvalidInput }
  >
}

/**
 * Draws so many samples of each prompt, from the first ones on, so that the cache has them.
 *
 * **Details**
 *
 * Samples that the cache has are not requested again, so a prefetch that was stopped continues when it is run again. An
 * invalid prompt, or one that the provider fails for, is skipped and listed in `failed`; a bad key, a store that fails and a miss in
 * replication end the prefetch. Each prompt is drawn in the fork that the prefetch runs in.
 *
 * Fails with an `InvalidInput` if the model is no cache, because its draws would be lost.
 *
 * **Example** (A thousand prompts, ten samples each)
 *
 * ```ts
 * import { Persistent, Prefetch } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const prompts = Array.from({ length: 1000 }, (_, i) => ({ prompt: `Is ${i} prime?`, n: 10 }))
 *
 * const program = Prefetch.prefetch(prompts, {
 *   concurrency: 32,
 *   onProgress: ({ done, rate, total }) => Effect.log(`${done} of ${total}, ${rate} per second`)
 * }).pipe(Effect.provide(Persistent.layer({ directory: "~/.llm_cache" })))
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const prefetch = Effect.fnUntraced(function*(
  items: Iterable<PrefetchItem>,
  options: PrefetchOptions = {}
): Effect.fn.Return<PrefetchResult, SampleError, LlmModel> {
  const { batch, concurrency = 16, onProgress = () => Effect.void } = options
  const all = Array.from(items, ({ n = 1, prompt }) => ({ n, prompt }))
  yield* Effect.forEach(all, ({ n }) => checkCount("Prefetch.prefetch", "n", n, 0), { discard: true })
  if (batch !== undefined) yield* checkCount("Prefetch.prefetch", "batch", batch)
  yield* checkCount("Prefetch.prefetch", "concurrency", concurrency)
  const model = yield* LlmModel
  if (model.sequence !== "remembered") {
    return yield* new InvalidInput({
      module: "Prefetch.prefetch",
      description: "the model is no cache, so its draws would be lost: provide a Persistent or a Repeatable above it"
    })
  }
  const total = all.reduce((sum, { n }) => sum + n, 0)
  const start = yield* Clock.currentTimeMillis
  const failed: Array<PrefetchResult["failed"][number]> = []
  let done = 0
  yield* Effect.forEach(
    all,
    ({ n, prompt }) =>
      sampleMany(prompt, n, { batch }).pipe(
        Effect.asVoid,
        Effect.catchIf(concernsPrompt, (error) => Effect.sync(() => void failed.push({ prompt, n, error }))),
        Effect.andThen(Clock.currentTimeMillis),
        Effect.flatMap((now) => {
          done += n
          return onProgress(progressSince(start, now, done, total))
        })
      ),
    { concurrency, discard: true }
  )
  return { samples: total - failed.reduce((sum, { n }) => sum + n, 0), failed }
})

// Another prompt may succeed.
const concernsPrompt = (error: SampleError): error is ProviderError | InvalidInput =>
  error._tag === "InvalidInput" || (error._tag === "ProviderError" && error.reason._tag !== "BadKey")
