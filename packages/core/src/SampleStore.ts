/**
 * A store keeps the samples of a cache by key and position, each written whole or not at all, the first writer winning.
 *
 * **When to use**
 *
 * Use a store that exists (`DirectoryStore`, `MemoryStore`, and the packages for SQLite, PostgreSQL and Redis) with
 * `Persistent.layer`. Use `make` to write a store of your own, and test it with the suites of `@llm-cache/testing`.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Identity } from "./Identity.ts"
import { countKeys } from "./internal/store/countKeys.ts"
import type { Key } from "./Key.ts"
import type { Drawn, Entry } from "./Sample.ts"
import type { StoreError } from "./SampleError.ts"

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
 * An identity that has samples, and how many.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListedIdentity {
  readonly identity: Identity
  /** How many different prompts have samples. */
  readonly prompts: number
  readonly samples: number
  /** How many different forks have samples. */
  readonly forks: number
  /** The prompt tokens of the requests behind the samples. Absent if the store would have to read the samples. */
  readonly inputTokens?: number | undefined
  /** The completion tokens of the requests behind the samples. Absent if the store would have to read the samples. */
  readonly outputTokens?: number | undefined
  /**
   * When the last request was answered, or the last sample written, in milliseconds since the epoch. Absent if the store
   * does not know.
   */
  readonly last?: number | undefined
}

/**
 * Which keys are listed.
 *
 * @category options
 * @since 0.1.0
 */
export interface KeyFilter {
  /**
   * Only the keys of this identity.
   *
   * @default all identities
   */
  readonly identity?: Identity | undefined
  /**
   * Only the keys of prompts with this hash, or with a hash that begins so: `promptHash` of `Key`, in hex.
   *
   * @default all prompts
   */
  readonly promptHash?: string | undefined
  /**
   * Whether files that a killed process left, beside the samples, are failures among the elements.
   *
   * @default false
   */
  readonly leftovers?: boolean | undefined
}

/**
 * Leases on positions, for stores that several processes use: while one process holds the lease of a position, the
 * others wait for its sample. Samples are safe without leases, since the first writer wins; leases save requests.
 *
 * @category models
 * @since 0.1.0
 */
export interface Leases {
  /**
   * Takes all of the positions for `holder`, or none if another holder has one of them, and returns whether it took
   * them. A holder that has them already extends its time. They are free again `expiry` milliseconds later, by the
   * store's own clock.
   */
  readonly acquire: (
    key: Key,
    positions: Arr.NonEmptyReadonlyArray<number>,
    holder: string,
    expiry: number
  ) => Effect.Effect<boolean, StoreError>
  /**
   * Frees the positions that the holder has.
   */
  readonly release: (
    key: Key,
    positions: Arr.NonEmptyReadonlyArray<number>,
    holder: string
  ) => Effect.Effect<void, StoreError>
}

/**
 * The operations that a store implements. Policy (when to ask the provider, which position a sample gets) is above it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Implementation {
  /**
   * Names the place of the samples: two stores with one id hold the same samples.
   */
  readonly id: string
  /**
   * The place of a key's samples, for messages.
   */
  readonly describe: (key: Key) => string
  /**
   * The samples at a position and behind it, in order: at most `count`, up to the first position without a sample, or
   * with an unreadable one. A text comes back to the byte as it was put. Fails if the first sample cannot be
   * read: with kind `Damaged` if it differs from the sample that was put.
   *
   * **Details**
   *
   * Some hundreds of samples take one query, or one round trip.
   */
  readonly getMany: (key: Key, from: number, count: number) => Effect.Effect<ReadonlyArray<Drawn>, StoreError>
  /**
   * `getMany` for a store that reads synchronously. It never throws: it returns fewer samples, or none, wherever
   * `getMany` would wait or fail.
   */
  readonly peek?: ((key: Key, from: number, count: number) => ReadonlyArray<Drawn>) | undefined
  /**
   * The positions that have a sample, in ascending order. There may be gaps.
   */
  readonly positions: (key: Key) => Effect.Effect<ReadonlyArray<number>, StoreError>
  /**
   * Prepares the store for samples of a key: a store that cannot be written fails here, before any request is paid for.
   * It also finishes the writes that a killed process began.
   */
  readonly prepare: (key: Key) => Effect.Effect<void, StoreError>
  /**
   * Removes the traces of `prepare`, if the key has no samples: its request brought none. A later `put` needs no other
   * `prepare`.
   *
   * @default nothing: `prepare` leaves no traces of a key
   */
  readonly discard?: ((key: Key) => Effect.Effect<void, StoreError>) | undefined
  /**
   * Writes samples, each whole or not at all, and never over another one. If a position is taken, its sample is dropped,
   * or goes to the next free position. Returns the position of each sample, `undefined` for a dropped one (or, after a
   * fault halfway, for a sample that is written later).
   *
   * **Details**
   *
   * When it returns, the samples outlive this process. When the process is killed, either all of them do or none. When
   * it fails, either none of them is in the store, or all are (a connection broke before the answer came): put them
   * again, with the same ids and positions. An entry whose `id` is at its position, or between there and the next free
   * position, is not stored again, and the position found is its position.
   */
  readonly put: (
    key: Key,
    entries: Arr.NonEmptyReadonlyArray<Entry>,
    ifTaken: "drop" | "append"
  ) => Effect.Effect<ReadonlyArray<number | undefined>, StoreError>
  /**
   * Whether no file may have a sample, such as one with a password. It is handed out, and a rescue file leaves it out, as it does if this
   * throws.
   *
   * @default every sample may be in a file
   */
  readonly isSecret?: ((key: Key, sample: Drawn) => boolean) | undefined
  /**
   * Deletes samples, so that their positions are drawn again. The others stay at their positions.
   */
  readonly remove: (key: Key, positions: Arr.NonEmptyReadonlyArray<number>) => Effect.Effect<void, StoreError>
  /**
   * The keys that have samples, in no particular order, without holding them all in memory. An entry that cannot be read
   * as a key is a failure among the elements; the stream itself fails if the store cannot be read. A store may list keys
   * with another `promptHash` than that of the filter: `make` drops them.
   */
  readonly keys: (filter?: KeyFilter) => Stream.Stream<Result.Result<Listed, StoreError>, StoreError>
  /**
   * The identities that have samples, in no particular order, counted without reading prompts or samples. An identity that
   * cannot be read is a failure among the elements.
   *
   * @default counts `keys`
   */
  readonly identities?: Stream.Stream<Result.Result<ListedIdentity, StoreError>, StoreError> | undefined
  /**
   * Absent if the store has none.
   */
  readonly leases?: Leases | undefined
}

/**
 * A store of samples. Make one with `make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Store extends Implementation {
  /**
   * The sample at a position, to the byte as it was put; `undefined` if the position has none. Fails with kind `Damaged`
   * if it differs from the sample that was put.
   */
  readonly get: (key: Key, position: number) => Effect.Effect<Drawn | undefined, StoreError>
  /**
   * The identities that have samples, each once, in no particular order.
   */
  readonly identities: Stream.Stream<Result.Result<ListedIdentity, StoreError>, StoreError>
}

/**
 * The service of a store.
 *
 * @category services
 * @since 0.1.0
 */
export class SampleStore extends Context.Service<SampleStore, Store>()("@llm-cache/core/SampleStore") {}

/**
 * Completes a store: derives `get` from `getMany`, and `identities` from `keys` if the store has none.
 *
 * **Details**
 *
 * `peek` and `identities` are not enumerable. A store that wraps another by `make({ ...store, getMany })` therefore has no
 * `peek` of the wrapped store, which would read past its own `getMany`, and counts the identities of its own `keys`.
 *
 * **Example** (A store that logs each sample it returns)
 *
 * ```ts
 * import { SampleStore } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const logging = (store: SampleStore.Store): SampleStore.Store =>
 *   SampleStore.make({
 *     ...store,
 *     getMany: (key, from, count) =>
 *       Effect.tap(store.getMany(key, from, count), (samples) => Effect.logDebug(`${samples.length} samples from ${from}`))
 *   })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (implementation: Implementation): Store => {
  const { getMany } = implementation
  const keys: Store["keys"] = (filter) => {
    if (filter?.promptHash === undefined) return implementation.keys(filter)
    const promptHash = filter.promptHash.toLowerCase()
    if (!/^[0-9a-f]{0,64}$/.test(promptHash)) return Stream.empty
    return Stream.filter(
      implementation.keys({ ...filter, promptHash }),
      (element) => Result.isFailure(element) || element.success.key.promptHash.startsWith(promptHash)
    )
  }
  const store = {
    ...implementation,
    keys,
    get: (key: Key, position: number) => Effect.map(getMany(key, position, 1), (samples) => samples[0])
  }
  return Object.defineProperties(store as Store, {
    peek: { value: implementation.peek, enumerable: false },
    identities: { value: implementation.identities ?? Stream.suspend(() => countKeys(keys())), enumerable: false }
  })
}
