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
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import { storeError } from "@llm-cache/core/StoreFault"
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
 * Opens a store in a PostgreSQL database. Its tables are created or updated before the first request. The connections close
 * with the scope. Fails with a `StoreError` if the server cannot be reached, or answers no statement for 30 seconds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<SampleStore.Store, InvalidInput | StoreError, Scope.Scope> {
  const { prefix = "llm_cache" } = options
  const module = "PgStore.make"
  const url = Redacted.isRedacted(options.url) ? Redacted.value(options.url) : options.url
  const { hostname, pathname, port, protocol } = URL.parse(url) ?? {}
  if (typeof url !== "string" || !hostname || !/^postgres(ql)?:$/.test(protocol ?? "") || pathname?.includes("@")) {
    // The client would quote the URL, with its password.
    return yield* new InvalidInput({
      module,
      description:
        "`url` is not a URL of PostgreSQL: give one like postgres://user:password@host:5432/database, with " +
        "special characters in the user and the password percent-encoded"
    })
  }
  const name = `postgres ${hostname}${port ? `:${port}` : ""}${pathname} ${prefix}`
  const client = PgClient.layer({ url: Redacted.make(url), applicationName: "llm-cache", keepAlive: "10 seconds" })
  const context = yield* Effect.mapError(Layer.build(client), (error) => storeError(name, "open", explain(error)))
  return yield* openStore(Context.get(context, PgClient.PgClient), { module, name, prefix })
})

/**
 * Provides a PostgreSQL database as the store.
 *
 * **Example** (A cache that a team shares)
 *
 * ```ts
 * import { LlmModel, Persistent } from "@llm-cache/core"
 * import { PgStore } from "@llm-cache/sql"
 * import { Config, Effect, Layer } from "effect"
 *
 * const store = Layer.unwrap(Effect.map(Config.Redacted("LLM_CACHE_URL"), (url) => PgStore.layer({ url })))
 *
 * // One process requests a missing sample, the others wait for it.
 * const program = LlmModel.sampleOne("Choose a number between 1 and 1000.").pipe(
 *   Effect.provide(Persistent.layer({ store, lease: "30 seconds" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<SampleStore.SampleStore, InvalidInput | StoreError> =>
  Layer.effect(SampleStore.SampleStore, make(options))
