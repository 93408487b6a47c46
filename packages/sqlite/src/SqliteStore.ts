/**
 * A store in one file, by SQLite.
 *
 * **When to use**
 *
 * Use for large caches on one machine: a million prompts take no longer to open than a few, and a sample is two reads of a
 * page away, however many there are. For a cache that people read and keep under version control, use the directory of
 * `@llm-cache/core`; for one that several machines share, a server.
 *
 * **Details**
 *
 * - What is recorded outlives the process at once, also when it is killed. It is not forced to the disk each time, but
 *   when 32 MB have come together, and at the end: a power failure may cost the last samples, and never spoils the file
 *   (WAL, `synchronous = normal`).
 * - Any number of processes on one machine can read and write a file at once. One that writes waits up to five seconds
 *   for another one, and then fails. SQLite keeps two files beside it (`-wal` and `-shm`) as long as it is in use: copy
 *   or move the file when no one uses it. It has to be on a local disk: WAL does not work over a network.
 * - Recordings that many fibers ask for at the same time share a transaction.
 * - A file that is missing is made when the first sample is recorded, for its owner alone, and so are its folders. A `~`
 *   at the start is the home folder.
 * - A file that may only be read answers what it has; in replication none is ever made or changed. (SQLite may leave an
 *   empty `-wal` and a `-shm` beside one that it reads.)
 * - The table `samples` has a row for each sample, with what is known of it in columns; join `keys` by
 *   `keys.id = samples.key` for its prompt, and `identities` by `identities.id = keys.identity`. A sample that was altered
 *   is a `StoreError` of kind `Damaged`; delete its row to have its position drawn again. Samples whose row in `keys` is
 *   gone are not found any more.
 *
 * @since 0.1.0
 */
import type * as LlmModel from "@llm-cache/core/LlmModel"
import * as Persistent from "@llm-cache/core/Persistent"
import type { RepeatableModel } from "@llm-cache/core/RepeatableModel"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { makeSqlite } from "./internal/sqliteStore.ts"

/**
 * Where the samples are.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The file of the database. A `~` at its start is the home folder. */
  readonly file: string
}

/**
 * A cache in a file.
 *
 * @category options
 * @since 0.1.0
 */
export interface PersistentOptions extends Options, Persistent.StoreOptions {}

/**
 * Opens a file as a store, until the scope closes. Fails where the file is there and is not a database of this library,
 * or cannot be read.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<SampleStore.Store, StoreError, Scope.Scope> =>
  makeSqlite(options.file, false)

/**
 * A store in a file.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<SampleStore.SampleStore, StoreError> =>
  Layer.effect(SampleStore.SampleStore, make(options))

/**
 * Caches the model beneath in a file.
 *
 * **Example** (Across runs of the program)
 *
 * ```ts
 * import { LlmModel } from "@llm-cache/core"
 * import { SqliteStore } from "@llm-cache/sqlite"
 * import { Effect } from "effect"
 *
 * const program = LlmModel.sampleOne("Choose a number between 1 and 1000.").pipe(
 *   Effect.provide(SqliteStore.layerPersistent({ file: "~/.llm_cache.db" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPersistent = (
  options: PersistentOptions
): Layer.Layer<LlmModel.LlmModel | RepeatableModel, StoreError, LlmModel.LlmModel> =>
  Layer.fresh(Layer.provide(
    Persistent.layerStore(options),
    Layer.effect(SampleStore.SampleStore, makeSqlite(options.file, options.replication === true))
  ))
