/**
 * Samples in Redis: one cache that many machines share, with leases and without a disk of their own.
 *
 * **When to use**
 *
 * Use where several machines sample the same prompts and a Redis is at hand whose data is kept. For one machine,
 * a directory or SQLite needs no server; where the cache is to last for years, PostgreSQL is easier to look after.
 *
 * **Details**
 *
 * - Any number of processes on any number of machines can share a prefix. A purchase is put by one script, in one round
 *   trip: all of its samples, or none, and the first writer wins. A sample that is put again because a connection broke
 *   before the answer came is there once.
 * - What Redis holds is what the cache is worth. Set `maxmemory-policy noeviction`, or else Redis drops samples
 *   when its memory is full: a store whose server may drop any key (`allkeys-lru`, …) does not open. `volatile-…` drops
 *   only keys that expire, and of this library's only leases do.
 * - How long samples outlive the server is its own setting: with `appendonly yes` and `appendfsync everysec` a crash of
 *   its machine costs the last second, with `appendfsync always` nothing, and with snapshots alone all since the last
 *   one. Replicas are written behind the primary: a failover may cost the last writes.
 * - Needs Redis 6 or later, or a server that speaks its protocol and runs its scripts. Reading takes no script:
 *   a user with `+@read` on the prefix can replicate.
 * - Below the prefix: a hash `samples:<identity>:<prompt>` for each sequence (`:<fork>` behind it for those of forks),
 *   whose fields are positions and whose values are JSON; a sorted set `positions:<…>` beside it; `sequences`, the names
 *   of all; `identities`; `meta`, the version of this format; and `lease:<…>` while something is bought with a lease.
 *
 * **Gotchas**
 *
 * On a Redis Cluster, give a prefix with a hash tag such as `{llm-cache}`: scripts use several keys, which have to be on
 * one node. Delete samples with `remove`, or a whole cache by its prefix: a field that is deleted by hand is
 * drawn again, and is listed among the positions until it is.
 *
 * @since 0.1.0
 */
import { type LlmModel, Persistent, type RepeatableModel, type SampleError, SampleStore } from "@llm-cache/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Redacted from "effect/Redacted"
import { connect, isUrl } from "./internal/nodeClient.ts"
import { explain, storeError } from "./internal/redisErrors.ts"
import { open } from "./internal/redisStore.ts"

/**
 * Where in a Redis the samples are.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * What the names of all keys start with. Two prefixes are two caches.
   *
   * @default "llm-cache"
   */
  readonly prefix?: string | undefined
}

/**
 * Which server.
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
 * A cache in the Redis of the context.
 *
 * @category options
 * @since 0.1.0
 */
export interface PersistentRedisOptions extends Options, Persistent.StoreOptions {}

/**
 * A cache in a Redis.
 *
 * @category options
 * @since 0.1.0
 */
export interface PersistentOptions extends PersistentRedisOptions, ClientOptions {}

const openAt = (options: Options | undefined, replicates = false) =>
  Effect.flatMap(Redis.Redis, (redis) => open(redis, options?.prefix ?? "llm-cache", replicates))

/**
 * Opens the samples under a prefix.
 *
 * **Details**
 *
 * Fails with a `StoreError` where the server cannot be reached, where it may evict samples, and where a newer version of
 * this library has written them. Under a prefix without samples it puts the version of its format, if it may.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): Effect.Effect<SampleStore.Store, SampleError.StoreError, Redis.Redis> =>
  openAt(options)

/**
 * A store in the Redis of the context.
 *
 * **Example** (Copying a directory into a Redis)
 *
 * ```ts
 * import { SampleStore } from "@llm-cache/core"
 * import { RedisStore } from "@llm-cache/redis"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const from = yield* SampleStore.directory("~/.llm_cache")
 *   return yield* SampleStore.copy(from, yield* SampleStore.SampleStore)
 * }).pipe(
 *   Effect.provide(RedisStore.layer()),
 *   Effect.provide(RedisStore.layerClient({ url: "redis://cache.internal:6379" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<SampleStore.SampleStore, SampleError.StoreError, Redis.Redis> =>
  Layer.effect(SampleStore.SampleStore, make(options))

/**
 * Effect's `Redis` service by the client for Node, with settings under which everything ends.
 *
 * **Details**
 *
 * - Fails with a `StoreError` where it cannot connect at first. A connection that breaks later is made again for as long
 *   as the scope is open, and what was under way fails: `Persistent` puts what it has bought with the next draw.
 * - While the server is away, a command waits for it for 5 seconds, and then fails. A server that is connected and says
 *   nothing for 10 seconds is taken to be away. Other clients have limits of their own, or none.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient = (options: ClientOptions): Layer.Layer<Redis.Redis, SampleError.StoreError> =>
  Layer.effectContext(Effect.suspend(() => {
    const url = Redacted.isRedacted(options.url) ? Redacted.value(options.url) : options.url
    if (isUrl(url)) {
      return Effect.mapError(connect(url), (error) => storeError("redis", "open", explain(error)))
    }
    return Effect.fail(storeError("redis", "open", {
      kind: "InvalidName",
      description:
        "this is no URL of a Redis: give one like redis://user:password@host:6379/0, with what is no letter " +
        "or digit in the user and the password percent-encoded"
    }))
  }))

/**
 * Caches the model beneath in the Redis of the context.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPersistentRedis = (
  options?: PersistentRedisOptions
): Layer.Layer<
  LlmModel.LlmModel | RepeatableModel.RepeatableModel,
  SampleError.StoreError,
  LlmModel.LlmModel | Redis.Redis
> =>
  Layer.fresh(Layer.provide(
    Persistent.layerStore(options),
    Layer.effect(SampleStore.SampleStore, openAt(options, options?.replication))
  ))

/**
 * Caches the model beneath in a Redis.
 *
 * **Example** (What several machines buy, each of them once)
 *
 * ```ts
 * import { LlmModel } from "@llm-cache/core"
 * import { RedisStore } from "@llm-cache/redis"
 * import { Effect } from "effect"
 *
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
): Layer.Layer<
  LlmModel.LlmModel | RepeatableModel.RepeatableModel,
  SampleError.StoreError,
  LlmModel.LlmModel
> => Layer.fresh(Layer.provide(layerPersistentRedis(options), layerClient(options)))
