/**
 * A store in the tables of an SQL database: the shared cache of a team or a cluster.
 *
 * **When to use**
 *
 * Use with a `SqlClient` that the program has already, or one with settings of your own. Otherwise `PgStore` is one line.
 *
 * **Details**
 *
 * - Tested with PostgreSQL (15) and `@effect/sql-pg` alone. The statements are made for SQLite and MySQL too, and were
 *   never run there; other databases are refused.
 * - Any number of processes on any number of machines can use one cache. The first writer of a position wins, and
 *   what several buy at once is kept, one behind the other; with `lease` one of them buys, and the others wait.
 * - A request's samples are stored by one statement, all or none. When it returns they are as durable as the database
 *   makes a commit: with PostgreSQL's default `synchronous_commit` they survive its crash.
 * - The tables `llm_cache_keys` (prompts), `llm_cache_samples`, `llm_cache_leases` and `llm_cache_store` are made when
 *   the store is opened first; that needs the right to create tables. Recording needs `select`, `insert` and `delete` on
 *   the first three, and `select` on the last. Replication needs `select`, and no tables.
 * - In `llm_cache_samples`, what is known of a sample is in columns. Texts are as they are where `encoding` is `plain`,
 *   and JSON where it is `json`: those that have a NUL, which PostgreSQL's texts cannot hold.
 * - A row that is not what was put (its length or checksum differs) is a `StoreError` of kind `Damaged`. Delete a row to
 *   have its position drawn again.
 * - Samples are stored on connections of their own: a transaction of the program that is rolled back leaves them.
 *
 * @since 0.1.0
 */
import type { LlmModel } from "@llm-cache/core/LlmModel"
import * as Persistent from "@llm-cache/core/Persistent"
import type { RepeatableModel } from "@llm-cache/core/RepeatableModel"
import type { StoreError } from "@llm-cache/core/SampleError"
import { SampleStore, type Store } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlClient } from "effect/sql/SqlClient"
import { makeStore } from "./internal/sqlStore.ts"

/**
 * Which tables the samples are in.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * What the names of the tables begin with: letters, digits and `_`, at most 40. Caches of different prefixes have
   * nothing in common.
   *
   * @default "llm_cache"
   */
  readonly prefix?: string | undefined
}

/**
 * Opens a store in the database of a `SqlClient`, and makes or updates its tables.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<Store, StoreError, SqlClient> =>
  Effect.flatMap(SqlClient, (sql) => makeStore(sql, { ...named(options), isReadOnly: false }))

/**
 * A store in the database of a `SqlClient`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<SampleStore, StoreError, SqlClient> =>
  Layer.effect(SampleStore, make(options))

/**
 * Caches the model beneath in the database of a `SqlClient`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPersistent = (
  options: Options & Persistent.StoreOptions = {}
): Layer.Layer<LlmModel | RepeatableModel, StoreError, LlmModel | SqlClient> =>
  Layer.fresh(Layer.provide(
    Persistent.layerStore(options),
    Layer.effect(
      SampleStore,
      Effect.flatMap(
        SqlClient,
        (sql) => makeStore(sql, { ...named(options), isReadOnly: options.replication === true })
      )
    )
  ))

const named = ({ prefix = "llm_cache" }: Options) => ({ prefix, name: `sql ${prefix}` })
