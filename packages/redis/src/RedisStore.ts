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
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { LlmModel } from "@llm-cache/core/LlmModel"
import * as Persistent from "@llm-cache/core/Persistent"
import type { RepeatableModel } from "@llm-cache/core/RepeatableModel"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import { storeError } from "@llm-cache/core/StoreRow"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Redis } from "effect/persistence/Redis"
import * as Redacted from "effect/Redacted"
import { connect, isUrl } from "./internal/connection.ts"
import { explain } from "./internal/errors.ts"
import { openStore } from "./internal/store.ts"

/**
 * The keys of the samples.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
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
 * The keys of the samples, and the options of a cache.
 *
 * @category options
 * @since 0.1.0
 */
export interface PersistentRedisOptions extends Options, Persistent.StoreOptions {}

/**
 * The server, the keys of the samples, and the options of a cache.
 *
 * @category options
 * @since 0.1.0
 */
export interface PersistentOptions extends PersistentRedisOptions, ClientOptions {}

/**
 * Opens the samples of a prefix as a store.
 *
 * **Details**
 *
 * Fails with a `StoreError` if the server cannot be reached or may evict samples, or if a newer version of this library
 * wrote the samples. Below a new prefix it writes the version of its format, if it may.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<SampleStore.Store, StoreError, Redis> => open(options)

/**
 * Provides the Redis of the context as the store.
 *
 * **Example** (Copying a directory into a Redis)
 *
 * ```ts
 * import { DirectoryStore, SampleStore, Transfer } from "@llm-cache/core"
 * import { RedisStore } from "@llm-cache/redis"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const from = yield* DirectoryStore.make("~/.llm_cache")
 *   return yield* Transfer.copy(from, yield* SampleStore.SampleStore)
 * }).pipe(
 *   Effect.provide(RedisStore.layer()),
 *   Effect.provide(RedisStore.layerClient({ url: "redis://cache.internal:6379" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<SampleStore.SampleStore, StoreError, Redis> =>
  Layer.effect(SampleStore.SampleStore, make(options))

/**
 * Provides Effect's `Redis` service by the client for Node, with a limit for every wait.
 *
 * **Details**
 *
 * - Fails with a `StoreError` if it cannot connect at first. Later it reconnects until its scope closes. Running commands
 *   fail with the connection, and `Persistent` puts their samples with the next draw.
 * - A command waits 5 seconds for an absent server, and then fails. A connected server counts as absent after 10 seconds
 *   of silence. Other clients have limits of their own, or none.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient = (options: ClientOptions): Layer.Layer<Redis, StoreError> =>
  Layer.effectContext(Effect.suspend(() => {
    const url = Redacted.isRedacted(options.url) ? Redacted.value(options.url) : options.url
    if (!isUrl(url)) {
      return Effect.fail(storeError("redis", "open", {
        kind: "InvalidName",
        description: "`url` is not a URL of Redis: give one like redis://user:password@host:6379/0, with special " +
          "characters in the user and the password percent-encoded"
      }))
    }
    return Effect.mapError(connect(url), (error) => storeError("redis", "open", explain(error)))
  }))

/**
 * Caches the model beneath in the Redis of the context.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPersistentRedis = (
  options: PersistentRedisOptions = {}
): Layer.Layer<LlmModel | RepeatableModel, InvalidInput | StoreError, LlmModel | Redis> =>
  Persistent.layer({ ...options, store: Layer.effect(SampleStore.SampleStore, open(options, options.replication)) })

/**
 * Caches the model beneath in a Redis.
 *
 * **Example** (A cache that machines share)
 *
 * ```ts
 * import { LlmModel } from "@llm-cache/core"
 * import { RedisStore } from "@llm-cache/redis"
 * import { Effect } from "effect"
 *
 * // One process requests a missing sample, the others wait for it.
 * const program = LlmModel.sampleOne("Choose a number between 1 and 1000.").pipe(
 *   Effect.provide(RedisStore.layerPersistent({ url: "redis://cache.internal:6379", lease: "30 seconds" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPersistent = (
  options: PersistentOptions
): Layer.Layer<LlmModel | RepeatableModel, InvalidInput | StoreError, LlmModel> =>
  Layer.fresh(Layer.provide(layerPersistentRedis(options), layerClient(options)))

const open = ({ prefix = "llm-cache" }: Options, isReadOnly = false) =>
  Effect.flatMap(Redis, (redis) => openStore(redis, { prefix, isReadOnly }))
