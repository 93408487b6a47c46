/**
 * A store in one file, by SQLite.
 *
 * **When to use**
 *
 * Use for large caches on one machine: a million prompts open as fast as a few, and a sample takes two page reads,
 * however large the cache is. For a cache that people read and keep under version control, use the directory store of
 * `@llm-cache/core`. For a cache that several machines share, use PostgreSQL or Redis.
 *
 * **Details**
 *
 * - A sample that a draw returned survives a power failure (WAL, `synchronous = full`): all samples of a request take one
 *   forced write, and requests that are answered together share it. `durability` turns that off.
 * - Any number of processes on one machine can read and write a file at once. An operation waits up to five seconds for another
 *   process, without standing in the way of other fibers, and then fails. During use, SQLite keeps two files beside it (`-wal` and `-shm`): copy or move the file when
 *   no process uses it. It has to be on a local disk, because WAL does not work over a network.
 * - Fibers that record at the same time share a transaction.
 * - A missing file, and its folders, are created before the first request, with access for their owner alone. A
 *   `~` at the start is the home folder.
 * - A read-only file replays its samples. Opening and reading never create or change a file, nor does replication. SQLite
 *   may leave an empty `-wal` and a `-shm` beside a file that it reads; with `isReadOnly` it does not.
 * - The table `samples` has a row for each sample, with its metadata in columns (those without a column in `metadata`, as
 *   JSON). The first request migrates a file of an earlier version. Join `keys` by `keys.id = samples.key`
 *   for its prompt, and `identities` by `identities.id = keys.identity`. A changed sample is a `StoreError` of kind
 *   `Damaged`: delete its row to have its position drawn again. Without their row in `keys`, samples are not found.
 *
 * @since 0.1.0
 */
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { openStore } from "./internal/store.ts"

/**
 * The place of the samples.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The file of the database. A `~` at its start is the home folder. */
  readonly file: string
  /**
   * What a stored sample survives: with `"power"` a power failure, for a forced write before a draw returns what it requested
   * (about as long as a write takes to reach the disk; samples that arrive together share it), and with `"process"` only the
   * end of the process, also a kill. Then a power failure may cost the samples since the last checkpoint (32 MB, or the close
   * of the store). It never damages the file.
   *
   * @default "power"
   */
  readonly durability?: "power" | "process" | undefined
  /**
   * Whether the store changes nothing: it refuses to write, and leaves no `-wal` and `-shm` beside a file that no process uses.
   *
   * @default false
   */
  readonly isReadOnly?: boolean | undefined
}

/**
 * Opens a file as a store, until the scope closes. Nothing is written before the first sample is requested. Fails if the
 * file is not a database of this library, or cannot be read.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options
): Effect.Effect<SampleStore.Store, InvalidInput | StoreError, Scope.Scope> => openStore(options)

/**
 * Provides a file as the store.
 *
 * **Example** (Across runs of the program)
 *
 * ```ts
 * import { LlmModel, Persistent } from "@llm-cache/core"
 * import { SqliteStore } from "@llm-cache/sqlite"
 * import { Effect } from "effect"
 *
 * const program = LlmModel.sampleOne("Choose a number between 1 and 1000.").pipe(
 *   Effect.provide(Persistent.layer({ store: SqliteStore.layer({ file: "~/.llm_cache.db" }) }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<SampleStore.SampleStore, InvalidInput | StoreError> =>
  Layer.effect(SampleStore.SampleStore, make(options))
