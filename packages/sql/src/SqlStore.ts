/**
 * A store in the tables of a PostgreSQL database: the shared cache of a team or a cluster.
 *
 * **When to use**
 *
 * Use with a `SqlClient` that the program has already, or with a client with settings of your own. Otherwise `PgStore` is
 * one line.
 *
 * **Details**
 *
 * - Needs PostgreSQL (tested with 15) and a client for it, such as `@effect/sql-pg`. It refuses other databases.
 * - Any number of processes on any number of machines can use one cache. The first writer of a position wins. Samples that
 *   several processes request at once are all kept, one behind the other. With `lease` one process requests, and the
 *   others wait.
 * - One statement stores all samples of a request, or none. They are then as durable as a commit: with PostgreSQL's
 *   default `synchronous_commit` they survive its crash.
 * - The tables `llm_cache_keys` (prompts), `llm_cache_samples`, `llm_cache_leases` and `llm_cache_store` are created before
 *   the first request, which needs the right to create tables. Recording needs `select`, `insert` and `delete` on the first
 *   three, and `select` on the last. Opening and replication write nothing, and need `select`, and no tables.
 * - `llm_cache_samples` has the metadata of a sample in columns, and those without a column in `metadata`, as JSON. Tables of
 *   an earlier version are read as they are, and migrated before the first request, which only their owner may do. Texts are unchanged if `encoding` is `plain`, and JSON if
 *   it is `json`: PostgreSQL's texts cannot hold a NUL.
 * - A changed row (its length or checksum differs) is a `StoreError` of kind `Damaged`. Delete a row to have its position
 *   drawn again.
 * - Samples have connections of their own: if the program rolls back a transaction, they stay.
 *
 * @since 0.1.0
 */
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlClient } from "effect/sql/SqlClient"
import { openStore } from "./internal/store.ts"

/**
 * The tables of the samples.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The start of the names of the tables: letters, digits and `_`, at most 40. Two prefixes are two caches.
   *
   * @default "llm_cache"
   */
  readonly prefix?: string | undefined
}

/**
 * Opens a store in the database of a `SqlClient`. Its tables are created or updated before the first request.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  { prefix = "llm_cache" }: Options = {}
): Effect.Effect<SampleStore.Store, InvalidInput | StoreError, SqlClient> =>
  Effect.flatMap(SqlClient, (sql) => openStore(sql, { module: "SqlStore.make", name: `sql ${prefix}`, prefix }))

/**
 * Provides the database of a `SqlClient` as the store.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<SampleStore.SampleStore, InvalidInput | StoreError, SqlClient> =>
  Layer.effect(SampleStore.SampleStore, make(options))
