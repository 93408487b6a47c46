/**
 * Copies, merges, compares and verifies stores.
 *
 * **When to use**
 *
 * Use to share a part of a cache, to bring two caches together, to move from one kind of store to another, and to check
 * a cache for damage.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { compareSamples } from "./internal/store/compareSamples.ts"
import { readSamples } from "./internal/store/readSamples.ts"
import { transferSamples } from "./internal/store/transferSamples.ts"
import type { Key } from "./Key.ts"
import type { Drawn } from "./Sample.ts"
import type { SampleConflict, StoreError } from "./SampleError.ts"
import type { Store } from "./SampleStore.ts"

/**
 * How far a walk over a store has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  /** Samples read so far. */
  readonly done: number
  /** Samples of all keys that `filter` lets pass. */
  readonly total: number
  /** Samples per second, since the first was read. */
  readonly rate: number
}

/**
 * Which samples are read.
 *
 * @category options
 * @since 0.1.0
 */
export interface VerifyOptions {
  /**
   * The keys whose samples are read.
   *
   * @default all
   */
  readonly filter?: ((key: Key) => boolean) | undefined
  /** Runs each time some more samples were read. */
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

/**
 * How samples are copied.
 *
 * @category options
 * @since 0.1.0
 */
export interface CopyOptions extends VerifyOptions {
  /**
   * Whether a sample that cannot be read fails the copy with its `StoreError`, or is skipped.
   *
   * @default "fail"
   */
  readonly damaged?: "fail" | "skip" | undefined
}

/**
 * How two stores are merged.
 *
 * @category options
 * @since 0.1.0
 */
export interface MergeOptions extends CopyOptions {
  /**
   * What to do if a position has two different samples: fail with a `SampleConflict`, keep the sample of
   * `to` (`"ours"`), replace it (`"theirs"`), or append the sample of `from` behind the samples of `to`.
   *
   * @default "fail"
   */
  readonly ifDifferent?: "fail" | "ours" | "theirs" | "append" | undefined
}

/**
 * The counts of a copy or a merge.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransferResult {
  /** Samples that were written to their own position. */
  readonly copied: number
  /** Samples that `to` had already. */
  readonly present: number
  /** Samples that were left out, because `to` has another one at their position. */
  readonly kept: number
  /** Samples that replaced the sample at their position. */
  readonly replaced: number
  /** Samples that were appended behind the samples of `to`. */
  readonly appended: number
  /** An error for each sample that cannot be read. */
  readonly damaged: ReadonlyArray<StoreError>
}

/**
 * Which samples are compared.
 *
 * @category options
 * @since 0.1.0
 */
export type CompareOptions = Pick<VerifyOptions, "filter">

/**
 * What two stores have at one position. A `damaged` sample cannot be compared: its error names its store, key and position.
 *
 * @category models
 * @since 0.1.0
 */
export type Compared =
  | { readonly kind: "onlyFirst" | "onlySecond"; readonly key: Key; readonly position: number }
  | {
    readonly kind: "same" | "different"
    readonly key: Key
    readonly position: number
    readonly first: Drawn
    readonly second: Drawn
  }
  | { readonly kind: "damaged"; readonly error: StoreError }

/**
 * The contents of a store.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verified {
  readonly keys: number
  readonly samples: number
  /** An error with advice for each entry that differs from the sample that was put. */
  readonly damaged: ReadonlyArray<StoreError>
}

/**
 * Copies samples from one store to another, each to the same key and position.
 *
 * **Details**
 *
 * Samples that `to` has already are skipped, so a copy that was stopped continues when it is run again. If `to` has
 * another sample at a position, the copy fails with a `SampleConflict`: see `merge`.
 *
 * **Example** (Copy the samples of one model)
 *
 * ```ts
 * import { DirectoryStore, Transfer } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const from = yield* DirectoryStore.make("~/.llm_cache")
 *   const to = yield* DirectoryStore.make("./shared_cache")
 *   return yield* Transfer.copy(from, to, {
 *     filter: (key) => key.identity.name === "gpt-4o",
 *     onProgress: ({ done, rate, total }) => Effect.log(`${done} of ${total} samples, ${Math.round(rate)} a second`)
 *   })
 * })
 * ```
 *
 * @category transfer
 * @since 0.1.0
 */
export const copy = (
  from: Store,
  to: Store,
  options?: CopyOptions
): Effect.Effect<TransferResult, StoreError | SampleConflict> =>
  transferSamples(from, to, { ...options, ifDifferent: "fail" })

/**
 * Copies samples from one store to another, with a policy for positions at which the two have different samples.
 *
 * **Details**
 *
 * Two samples are the same if their request, index and text are. If the request of either is unknown, they are the same
 * if their texts are, unless both are known to have been requested at different times. Appended samples keep their order, and
 * are appended once, however often the merge is run. With `"append"`, a sample that `to` has at another position counts
 * as present, so stores can be merged both ways, and through others.
 *
 * **Gotchas**
 *
 * `"theirs"` changes the samples that a program replays from `to`. It removes a sample before it puts the other one. If
 * the put fails or is interrupted, the first sample is put back; if the process is killed in between, or the store takes
 * neither, the position stays empty until the merge is run again.
 *
 * Append samples of unknown request in one direction only: merged back, such a sample at another position counts as a
 * further one. Appended samples go to the next free position, also into a gap.
 *
 * @category transfer
 * @since 0.1.0
 */
export const merge = (
  from: Store,
  to: Store,
  options?: MergeOptions
): Effect.Effect<TransferResult, StoreError | SampleConflict> => transferSamples(from, to, options)

/**
 * Compares two stores, position by position. Samples are the same as `merge` takes them to be.
 *
 * **Details**
 *
 * The stream has an element for each position that has a sample in either store, and does not hold the stores in memory.
 *
 * **Example** (The samples that differ)
 *
 * ```ts
 * import { DirectoryStore, Transfer } from "@llm-cache/core"
 * import { Console, Effect, Stream } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const mine = yield* DirectoryStore.make("~/.llm_cache")
 *   const shared = yield* DirectoryStore.make("./shared_cache")
 *   yield* Stream.runForEach(Transfer.compare(mine, shared), (compared) =>
 *     compared.kind === "different"
 *       ? Console.log(compared.key.promptHash, compared.position, compared.first.text, compared.second.text)
 *       : Effect.void)
 * })
 * ```
 *
 * @category transfer
 * @since 0.1.0
 */
export const compare = (
  first: Store,
  second: Store,
  options?: CompareOptions
): Stream.Stream<Compared, StoreError> => compareSamples(first, second, options)

/**
 * Reads every sample of a store, and reports each damaged one.
 *
 * @category transfer
 * @since 0.1.0
 */
export const verify = (store: Store, options?: VerifyOptions): Effect.Effect<Verified, StoreError> =>
  Effect.suspend(() => {
    const damaged: Array<StoreError> = []
    return Effect.map(
      readSamples(
        store,
        { ...options, leftovers: true },
        (error) => Effect.sync(() => void damaged.push(error)),
        (_, samples) => Stream.runDrain(samples)
      ),
      (total) => ({ ...total, damaged })
    )
  })
