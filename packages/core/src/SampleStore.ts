/**
 * Where samples are remembered: by key and position, each written whole or not at all, the first writer winning.
 *
 * **When to use**
 *
 * Use `layerDirectory` for caches that people read, share and keep under version control, `layerMemory` for tests.
 * `Persistent.layerStore` caches in whatever `SampleStore` it is given.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Identity } from "./Identity.ts"
import { makeDirectory } from "./internal/directory/directoryStore.ts"
import { makeMemory } from "./internal/store/memoryStore.ts"
import { sweep, transfer } from "./internal/store/transfer.ts"
import type { Key } from "./Key.ts"
import type { Drawn, Entry } from "./Sample.ts"
import type { SampleConflict, StoreError } from "./SampleError.ts"

/**
 * A key that has samples.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listed {
  readonly key: Key
  /** How many samples it has. */
  readonly samples: number
}

/**
 * Rights to buy, for stores that several processes use: while one of them has the lease of a position, the others wait
 * for what it stores. A lease is a courtesy: samples are safe without it, since the first writer wins.
 *
 * @category models
 * @since 0.1.0
 */
export interface Leases {
  /**
   * Takes all of the positions for `holder`, or none where one of them is someone else's: says which. For who has them
   * already it starts their time anew. They are free again `expiry` milliseconds later, by the store's own clock.
   */
  readonly acquire: (
    key: Key,
    positions: Arr.NonEmptyReadonlyArray<number>,
    holder: string,
    expiry: number
  ) => Effect.Effect<boolean, StoreError>
  /**
   * Frees the positions that are the holder's.
   */
  readonly release: (
    key: Key,
    positions: Arr.NonEmptyReadonlyArray<number>,
    holder: string
  ) => Effect.Effect<void, StoreError>
}

/**
 * What a store does. Policy (when to buy, what goes where) is not its business.
 *
 * @category models
 * @since 0.1.0
 */
export interface Store {
  /**
   * Names the place where the samples are: two stores with one id hold the same samples.
   */
  readonly id: string
  /**
   * Where the samples of a key are, for messages.
   */
  readonly describe: (key: Key) => string
  /**
   * The sample at a position, to the byte as it was put; `undefined` when there is none. A `StoreError` of kind
   * `Damaged` when there is one that is not what was put.
   */
  readonly get: (key: Key, position: number) => Effect.Effect<Drawn | undefined, StoreError>
  /**
   * The samples at a position and at those behind it, in order: at most `count`, up to the first position that has none,
   * or one that cannot be read. Fails as `get` does where the first cannot be read.
   *
   * **Details**
   *
   * What a store needs for it does not grow with their number: a query, or a round trip, for some hundreds of samples.
   */
  readonly getMany: (key: Key, from: number, count: number) => Effect.Effect<ReadonlyArray<Drawn>, StoreError>
  /**
   * The positions that have a sample, in ascending order. There may be gaps.
   */
  readonly positions: (key: Key) => Effect.Effect<ReadonlyArray<number>, StoreError>
  /**
   * Makes ready to put samples of a key, so that a store that cannot be written fails before anything is paid for, and
   * finishes what a killed process left half put.
   */
  readonly prepare: (key: Key) => Effect.Effect<void, StoreError>
  /**
   * Writes samples, each whole or not at all, and never over another one. One whose position has a sample already is
   * dropped, or goes to the next position that has none. Returns where each one is, `undefined` for one that is not
   * (or, after a fault halfway, not yet).
   *
   * **Details**
   *
   * When it returns, the samples outlive this process. When the process is killed, either all of them do or none. When
   * it fails, none of them is in the store, or (a connection broke before the answer came) all are: put them again, with
   * the same ids and positions. An entry whose `id` is found at its position, or on the way from there to the next one
   * that has no sample, is not stored again, and where it is found is where it is.
   */
  readonly put: (
    key: Key,
    entries: Arr.NonEmptyReadonlyArray<Entry>,
    ifTaken: "drop" | "append"
  ) => Effect.Effect<ReadonlyArray<number | undefined>, StoreError>
  /**
   * Deletes samples, so that their positions are drawn again. The others stay where they are.
   */
  readonly remove: (key: Key, positions: Arr.NonEmptyReadonlyArray<number>) => Effect.Effect<void, StoreError>
  /**
   * Every key that has samples, in no particular order, without holding them all in memory. What is there and cannot be
   * read as a key is a failure among the elements; the stream itself fails where the store cannot be read.
   */
  readonly keys: Stream.Stream<Result.Result<Listed, StoreError>, StoreError>
  /**
   * At most `limit` of the prompts that are stored for an identity, in no particular order.
   */
  readonly prompts: (identity: Identity, limit: number) => Effect.Effect<ReadonlyArray<string>, StoreError>
  /**
   * Absent where the store has none to give.
   */
  readonly leases?: Leases | undefined
}

/**
 * The service of a store.
 *
 * @category services
 * @since 0.1.0
 */
export class SampleStore extends Context.Service<SampleStore, Store>()("@llm-cache/core/SampleStore") {}

/**
 * Makes a store that lasts as long as the program holds it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const memory: Effect.Effect<Store> = Effect.sync(makeMemory)

/**
 * Opens a directory as a store, see `layerDirectory`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const directory: (root: string) => Effect.Effect<Store, StoreError> = makeDirectory

/**
 * A store that lasts as long as its layer. Each time it is provided it is a new one.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<SampleStore> = Layer.fresh(Layer.effect(SampleStore, memory))

/**
 * A store of files that people can read.
 *
 * **Details**
 *
 * `<root>/<alias>_<temperature>/<sha256 of the prompt>/<position>.md`, each file the text of one sample, the layout of
 * the Python original. Beside the samples, `prompt.txt` is the prompt, and `0-255.jsonl` (`256-511.jsonl`, …) has a line
 * of what is known of each sample, its length and checksum among it. Other sampling parameters add a suffix to the first
 * folder, which `identity.json` in it explains. The samples of forks are in `forks/<name>` below the prompt's folder.
 * While a request of several samples is being stored, `.purchases` holds it.
 *
 * - A `~` at the start of `root` is the home folder. A root that is missing is made when the first sample is recorded,
 *   for its owner alone.
 * - A file that has no line (of the original, or put there by hand) is taken as it is, if it is UTF-8. A file that
 *   differs from its line is a `StoreError` of kind `Damaged`, also one that the original has drawn again: delete its
 *   lines to take it as it is.
 * - The microseconds of a sample file's time are a second checksum, of its text and its place, by which a sample is handed
 *   out without a look at its line. Where they do not fit, as in a copy without times, the line is looked at.
 * - Delete a sample's file to have that position drawn again. Files of other names are passed over.
 * - Needs Linux or macOS, and a file system with hard links. Any number of processes on one machine can share a root.
 * - What is written outlives the process at once. It is not forced to the disk: a power failure may cost the last seconds.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDirectory = (root: string): Layer.Layer<SampleStore, StoreError> =>
  Layer.effect(SampleStore, directory(root))

// -----------------------------------------------------------------------------
// moving
// -----------------------------------------------------------------------------

/**
 * How far a walk over a store has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  /** Samples that were read. */
  readonly done: number
  /** Samples that there are, of the keys that `filter` lets pass. */
  readonly total: number
  /** Samples per second, since the first was read. */
  readonly rate: number
}

/**
 * Which samples are looked at.
 *
 * @category options
 * @since 0.1.0
 */
export interface VerifyOptions {
  /**
   * The keys whose samples are looked at.
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
   * What becomes of samples that cannot be read: the copy fails with their `StoreError`, or goes on without them.
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
   * What becomes of a sample whose position has another sample in `to`: the merge fails with a `SampleConflict`, keeps
   * the one that `to` has, replaces it, or appends the sample behind those of `to` as a further one.
   *
   * @default "fail"
   */
  readonly ifDifferent?: "fail" | "ours" | "theirs" | "append" | undefined
}

/**
 * What became of the samples that were copied or merged.
 *
 * @category models
 * @since 0.1.0
 */
export interface Moved {
  /** Samples that are at their position now. */
  readonly copied: number
  /** Samples that were there already. */
  readonly present: number
  /** Samples that were left out for the one that `to` has at their position. */
  readonly kept: number
  /** Samples that have replaced the one at their position. */
  readonly replaced: number
  /** Samples that are now behind those that `to` had. */
  readonly appended: number
  /** Samples that cannot be read. */
  readonly damaged: ReadonlyArray<StoreError>
}

/**
 * What is in a store.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verified {
  readonly keys: number
  readonly samples: number
  /** Every entry that is not what was stored, and what to do about it. */
  readonly damaged: ReadonlyArray<StoreError>
}

/**
 * Copies samples from one store to another, each to the same key and position.
 *
 * **Details**
 *
 * What `to` has already is left as it is, so a copy that was stopped goes on where it was when it is run again. Where `to`
 * has another sample at a position it fails with a `SampleConflict`: see `merge`.
 *
 * **Example** (From a directory, what one model has said)
 *
 * ```ts
 * import { SampleStore } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const from = yield* SampleStore.directory("~/.llm_cache")
 *   const to = yield* SampleStore.directory("./shared_cache")
 *   return yield* SampleStore.copy(from, to, {
 *     filter: (key) => key.identity.name === "gpt-4o",
 *     onProgress: ({ done, rate, total }) => Effect.log(`${done} of ${total} samples, ${Math.round(rate)} a second`)
 *   })
 * })
 * ```
 *
 * @category moving
 * @since 0.1.0
 */
export const copy = (
  from: Store,
  to: Store,
  options?: CopyOptions
): Effect.Effect<Moved, StoreError | SampleConflict> => transfer(from, to, { ...options, ifDifferent: "fail" })

/**
 * Copies samples from one store to another, with a policy for positions at which the two have different samples.
 *
 * **Details**
 *
 * Two samples are the same where request, index and text are. Where it is not known by which request they came, they are
 * where their texts are, unless both are known to have been bought at different times. Appended samples keep their order,
 * and are appended once, however often the merge is run. With `"append"`, a sample that `to` has at another position is
 * there already: stores can be merged both ways, and through others.
 *
 * **Gotchas**
 *
 * `"theirs"` changes what a program that replays from `to` sees. It removes a sample before it puts the other one. Where
 * that put fails, it puts the first one back; where the process is killed in between, or the store takes neither, the
 * position has none until the merge is run again.
 *
 * Append samples of which it is not known by which request they came in one direction only: at another position, such a
 * sample is taken for a further one where the two stores are merged back. What is appended goes to the next position
 * without a sample, also into a gap.
 *
 * @category moving
 * @since 0.1.0
 */
export const merge = (
  from: Store,
  to: Store,
  options?: MergeOptions
): Effect.Effect<Moved, StoreError | SampleConflict> => transfer(from, to, options)

/**
 * Reads every sample of a store, and names what is damaged.
 *
 * @category moving
 * @since 0.1.0
 */
export const verify = (store: Store, options?: VerifyOptions): Effect.Effect<Verified, StoreError> =>
  Effect.suspend(() => {
    const damaged: Array<StoreError> = []
    return Effect.map(
      sweep(
        store,
        options ?? {},
        (error) => Effect.sync(() => void damaged.push(error)),
        (_, samples) => Stream.runDrain(samples)
      ),
      (total) => ({ ...total, damaged })
    )
  })
