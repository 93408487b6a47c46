/**
 * A store in Redis: the cache that many machines share, with leases.
 *
 * **When to use**
 *
 * Use when several machines sample the same prompts, and a durable Redis is at hand. On one machine, a directory or SQLite
 * needs no server. For a cache of many years, PostgreSQL is easier to maintain.
 *
 * **Details**
 *
 * - Any number of processes on any number of machines can share a prefix. One script puts all samples of a request, or
 *   none, in one round trip, and the first writer wins. A sample that is put again after a broken connection is stored
 *   once.
 * - Set `maxmemory-policy noeviction`, or else Redis drops samples when its memory is full. The store does not open on a
 *   server that may drop any key (`allkeys-lru`, …). `volatile-…` drops only keys that expire, and of this library's keys
 *   only leases expire.
 * - The server's settings decide how long samples survive it: with `appendonly yes` and `appendfsync everysec` a crash of
 *   its machine costs the last second, with `appendfsync always` nothing, and with snapshots alone all samples since the
 *   last snapshot. Replicas lag behind the primary: a failover may cost the last writes.
 * - Needs Redis 6 or later, or a compatible server that runs scripts. Reading needs no script: a user with `+@read` on the
 *   prefix can replicate.
 * - Below the prefix: a hash `samples:<identity>:<prompt>` for each sequence (`:<fork>` behind it for forks), from
 *   positions to samples in JSON; a sorted set `positions:<…>` beside it; `sequences`, the names of all; `identities`;
 *   `meta`, the version of this format; and `lease:<…>` for each lease.
 *
 * **Gotchas**
 *
 * On a Redis Cluster, give a prefix with a hash tag such as `{llm-cache}`: scripts use several keys, which have to be on
 * one node. Delete samples with `remove`, or a whole cache by its prefix: a field deleted by hand is drawn again, and
 * `positions` lists it until then.
 *
 * @since 0.1.0
 */
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import { storeError } from "@llm-cache/core/StoreFault"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Redis } from "effect/persistence/Redis"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { connect, isUrl } from "./internal/connection.ts"
import { explain } from "./internal/errors.ts"
import { openStore } from "./internal/store.ts"

/**
 * The keys of the samples.
 *
 * @category options
 * @since 0.1.0
 */
export interface PrefixOptions {
  /**
   * The start of the names of all keys. Two prefixes are two caches.
   *
   * @default "llm-cache"
   */
  readonly prefix?: string | undefined
}

/**
 * The server.
 *
 * @category options
 * @since 0.1.0
 */
export interface ClientOptions {
  /**
   * `redis://user:password@host:6379/0`, `rediss://…` with TLS, or `unix:///path/to/socket`. No error and no log shows it.
   */
  readonly url: string | Redacted.Redacted
}

/**
 * The server, and the keys of the samples.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends PrefixOptions, ClientOptions {}

/**
 * Opens the samples of a prefix as a store, by a client of its own that closes with the scope.
 *
 * **Details**
 *
 * Fails with a `StoreError` if the server cannot be reached or may evict samples, or if a newer version of this library
 * wrote the samples. Opening writes nothing. The limits of `layerClient` apply.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  { prefix, url }: Options
): Effect.fn.Return<SampleStore.Store, InvalidInput | StoreError, Scope.Scope> {
  return yield* open("RedisStore.make", Context.get(yield* openClient("RedisStore.make", url), Redis), prefix)
})

/**
 * Provides a Redis as the store.
 *
 * **Example** (A cache that machines share)
 *
 * ```ts
 * import { LlmModel, Persistent } from "@llm-cache/core"
 * import { RedisStore } from "@llm-cache/redis"
 * import { Effect } from "effect"
 *
 * const store = RedisStore.layer({ url: "redis://cache.internal:6379" })
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

/**
 * `make` with the program's client: Effect's `Redis` service.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWithClient = (
  { prefix }: PrefixOptions = {}
): Effect.Effect<SampleStore.Store, InvalidInput | StoreError, Redis> =>
  Effect.flatMap(Redis, (redis) => open("RedisStore.makeWithClient", redis, prefix))

/**
 * `layer` with the program's client: Effect's `Redis` service.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWithClient = (
  options?: PrefixOptions
): Layer.Layer<SampleStore.SampleStore, InvalidInput | StoreError, Redis> =>
  Layer.effect(SampleStore.SampleStore, makeWithClient(options))

/**
 * Provides Effect's `Redis` service by the client for Node, with a limit for every wait.
 *
 * **Details**
 *
 * - Fails with a `StoreError` if it cannot connect at first. Later it reconnects until its scope closes. Running commands
 *   fail with the connection, and `Persistent` puts their samples with the next draw.
 * - A command waits 5 seconds for an absent server, and then fails. A connected server counts as absent after 10 seconds
 *   of silence, also while it opens, which can be interrupted. Other clients have limits of their own, or none.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient = ({ url }: ClientOptions): Layer.Layer<Redis, InvalidInput | StoreError> =>
  Layer.effectContext(openClient("RedisStore.layerClient", url))

const openClient = Effect.fnUntraced(function*(
  module: string,
  url: ClientOptions["url"]
): Effect.fn.Return<Context.Context<Redis>, InvalidInput | StoreError, Scope.Scope> {
  const text = Redacted.isRedacted(url) ? Redacted.value(url) : url
  if (typeof text !== "string" || !isUrl(text)) {
    return yield* new InvalidInput({
      module,
      description: "`url` is not a URL of Redis: give one like redis://user:password@host:6379/0, with special " +
        "characters in the user and the password percent-encoded"
    })
  }
  return yield* Effect.mapError(connect(text), (error) => storeError("redis", "open", explain(error)))
})

const open = (
  module: string,
  redis: Redis["Service"],
  prefix = "llm-cache"
): Effect.Effect<SampleStore.Store, InvalidInput | StoreError> =>
  typeof prefix === "string" && prefix !== ""
    ? openStore(redis, prefix)
    : Effect.fail(
      new InvalidInput({ module, description: "`prefix` begins the names of keys: give a text, not empty" })
    )
