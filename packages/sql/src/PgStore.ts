/**
 * A store in PostgreSQL, in one line: `SqlStore` with its own connections.
 *
 * **When to use**
 *
 * Use for the cache that a team or a cluster shares. `SqlStore` says what it keeps and guarantees.
 *
 * **Details**
 *
 * Opens at most ten connections, when they are needed. For other settings, or behind a pooler that keeps no prepared
 * statements from one query to the next, provide `SqlStore` with a `PgClient` of your own.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import type { LlmModel } from "@llm-cache/core/LlmModel"
import * as Persistent from "@llm-cache/core/Persistent"
import type { RepeatableModel } from "@llm-cache/core/RepeatableModel"
import { StoreError } from "@llm-cache/core/SampleError"
import { SampleStore, type Store } from "@llm-cache/core/SampleStore"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { unavailable } from "./internal/sqlErrors.ts"
import { makeStore } from "./internal/sqlStore.ts"
import type * as SqlStore from "./SqlStore.ts"

/**
 * Where the samples are.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends SqlStore.Options {
  /** As in `postgres://user:password@host:5432/database`, with `?sslmode=require` where the server is not on this machine. */
  readonly url: Redacted.Redacted
}

/**
 * Opens a store in a PostgreSQL database, and makes or updates its tables. The connections close with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Store, StoreError, Scope.Scope> => open(options, false)

/**
 * A store in a PostgreSQL database.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<SampleStore, StoreError> =>
  Layer.effect(SampleStore, make(options))

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
 * // One of those who miss a sample buys it, the others wait for it.
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
  options: Options & Persistent.StoreOptions
): Layer.Layer<LlmModel | RepeatableModel, StoreError, LlmModel> =>
  Layer.fresh(Layer.provide(
    Persistent.layerStore(options),
    Layer.effect(SampleStore, open(options, options.replication === true))
  ))

const open = (
  { prefix = "llm_cache", url }: Options,
  isReadOnly: boolean
): Effect.Effect<Store, StoreError, Scope.Scope> =>
  Effect.suspend(() => {
    const { hostname, pathname, port, protocol } = URL.parse(Redacted.value(url)) ?? {}
    if (!hostname || !/^postgres(ql)?:$/.test(protocol ?? "") || pathname?.includes("@")) {
      // An error of the client would quote it.
      return new StoreError({
        kind: "InvalidName",
        store: "postgres",
        operation: "open",
        description: "`url` is not a URL: write it as in postgres://user:password@host:5432/database, with what is " +
          "special in the name and the password percent-encoded"
      })
    }
    const name = `postgres ${hostname}${port ? `:${port}` : ""}${pathname} ${prefix}`
    return Layer.build(PgClient.layer({ url, applicationName: "llm-cache", keepAlive: "10 seconds" })).pipe(
      Effect.mapError((error) => unavailable({ store: name, operation: "open" }, error)),
      Effect.flatMap((context) => makeStore(Context.get(context, PgClient.PgClient), { name, prefix, isReadOnly }))
    )
  })
