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
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Identity } from "./Identity.ts"
import { makeDirectory } from "./internal/directoryStore.ts"
import { makeMemory } from "./internal/memoryStore.ts"
import type { Key } from "./Key.ts"
import type { Drawn, Entry } from "./Sample.ts"
import type { StoreError } from "./SampleError.ts"

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
   * it fails, none is in the store.
   */
  readonly put: (
    key: Key,
    entries: Arr.NonEmptyReadonlyArray<Entry>,
    ifTaken: "drop" | "append"
  ) => Effect.Effect<ReadonlyArray<number | undefined>, StoreError>
  /**
   * At most `limit` of the prompts that are stored for an identity, in no particular order.
   */
  readonly prompts: (identity: Identity, limit: number) => Effect.Effect<ReadonlyArray<string>, StoreError>
}

/**
 * The service of a store.
 *
 * @category services
 * @since 0.1.0
 */
export class SampleStore extends Context.Service<SampleStore, Store>()("@llm-cache/core/SampleStore") {}

/**
 * A store that lasts as long as its layer. Each time it is provided it is a new one.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<SampleStore> = Layer.fresh(Layer.sync(SampleStore, makeMemory))

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
 * - Delete a sample's file to have that position drawn again. Files of other names are passed over.
 * - Needs Linux or macOS, and a file system with hard links. Any number of processes on one machine can share a root.
 * - What is written outlives the process at once. It is not forced to the disk: a power failure may cost the last seconds.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDirectory = (root: string): Layer.Layer<SampleStore, StoreError> =>
  Layer.effect(SampleStore, makeDirectory(root))
