/**
 * A store in PostgreSQL, in one line: `SqlStore` with its own connections.
 *
 * **When to use**
 *
 * Use for the cache that a team or a cluster shares. `SqlStore` documents its tables and guarantees.
 *
 * **Details**
 *
 * Opens at most ten connections, when they are needed. For other settings, or behind a pooler without prepared statements,
 * provide `SqlStore` with a `PgClient` of your own.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { LlmModel } from "@llm-cache/core/LlmModel"
import * as Persistent from "@llm-cache/core/Persistent"
import type { RepeatableModel } from "@llm-cache/core/RepeatableModel"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import { storeError } from "@llm-cache/core/StoreRow"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { explain } from "./internal/errors.ts"
import { openStore } from "./internal/store.ts"
import type * as SqlStore from "./SqlStore.ts"

/**
 * The server, and the tables of the samples.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends SqlStore.Options {
  /**
   * `postgres://user:password@host:5432/database`, with `?sslmode=require` for a server on another machine. No error and no
   * log shows it.
   */
  readonly url: string | Redacted.Redacted
}

/**
 * The server, the tables of the samples, and the options of a cache.
 *
 * @category options
 * @since 0.1.0
 */
export interface PersistentOptions extends Options, Persistent.StoreOptions {}

/**
 * Opens a store in a PostgreSQL database, and creates or updates its tables. The connections close with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<SampleStore.Store, StoreError, Scope.Scope> => open(options)

/**
 * Provides a PostgreSQL database as the store.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<SampleStore.SampleStore, StoreError> =>
  Layer.effect(SampleStore.SampleStore, make(options))

/**
 * Caches the model beneath in a PostgreSQL database.
 *
 * **Example** (A cache that a team shares)
 *
 * ```ts
 * import { LlmModel } from "@llm-cache/core"
 * import { PgStore } from "@llm-cache/sql"
 * import { Config, Effect, Layer } from "effect"
 *
 * // One process requests a missing sample, the others wait for it.
 * const cache = Layer.unwrap(Effect.map(
 *   Config.Redacted("LLM_CACHE_URL"),
 *   (url) => PgStore.layerPersistent({ url, lease: "30 seconds" })
 * ))
 *
 * const program = LlmModel.sampleOne("Choose a number between 1 and 1000.").pipe(Effect.provide(cache))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPersistent = (
  options: PersistentOptions
): Layer.Layer<LlmModel | RepeatableModel, InvalidInput | StoreError, LlmModel> =>
  Persistent.layer({ ...options, store: Layer.effect(SampleStore.SampleStore, open(options, options.replication)) })

const open = (options: Options, isReadOnly = false): Effect.Effect<SampleStore.Store, StoreError, Scope.Scope> =>
  Effect.suspend(() => {
    const { prefix = "llm_cache" } = options
    const url = Redacted.isRedacted(options.url) ? options.url : Redacted.make(options.url)
    const { hostname, pathname, port, protocol } = URL.parse(Redacted.value(url)) ?? {}
    if (!hostname || !/^postgres(ql)?:$/.test(protocol ?? "") || pathname?.includes("@")) {
      // The client would quote the URL, with its password.
      return Effect.fail(storeError("postgres", "open", {
        kind: "InvalidName",
        description:
          "`url` is not a URL of PostgreSQL: give one like postgres://user:password@host:5432/database, with " +
          "special characters in the user and the password percent-encoded"
      }))
    }
    const name = `postgres ${hostname}${port ? `:${port}` : ""}${pathname} ${prefix}`
    return Layer.build(PgClient.layer({ url, applicationName: "llm-cache", keepAlive: "10 seconds" })).pipe(
      Effect.mapError((error) => storeError(name, "open", explain(error))),
      Effect.flatMap((context) => openStore(Context.get(context, PgClient.PgClient), { name, prefix, isReadOnly }))
    )
  })
