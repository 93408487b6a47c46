import type * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import type * as Layer from "effect/Layer"
import type * as DirectoryStore from "../../DirectoryStore.ts"
import type * as Identity from "../../Identity.ts"
import type { SampleStore, Store } from "../../SampleStore.ts"

/**
 * How a cache is used.
 *
 * @category options
 * @since 0.1.0
 */
export interface StoreOptions {
  /**
   * Answer from the store alone, and fail with a `ReplicationCacheMiss` if it has no sample.
   *
   * @default false
   */
  readonly replication?: boolean | undefined
  /**
   * Let one process at a time request a sample that several are missing: the others wait until it is stored. If the
   * requesting process dies, they wait at most this long. A lease is renewed as long as its request takes. Needs a store
   * that has leases (SQLite, PostgreSQL and Redis have).
   *
   * @default no leases: samples that two processes request at once are all kept, one behind the other
   */
  readonly lease?: Duration.Input | undefined
  /**
   * The finish reasons, in the provider's words, of samples that are recorded and not handed out: `content_filter`
   * (OpenAI) or `refusal` (Anthropic) for answers that a content policy cut off, `length` or `max_tokens` for answers
   * that reached the limit of tokens. Each of the other samples moves up, and more are drawn for them. A draw fails when
   * ten samples in a row that it requested were excluded, not counting the surplus of its first request; the next draw
   * continues behind them.
   *
   * Excluding samples changes the distribution to that of the answers *given* that they are not excluded. A success rate
   * is then that among finished answers, and a limit of tokens becomes a preference for short ones. To measure something
   * else, hand all out and let the program decide. Excluded samples stay in the store, and `Usage` and `Events` count
   * them.
   *
   * A cache above this one has its samples without the excluded ones: keep this option as it is as long as such a cache
   * is used, and give it in replication too.
   *
   * @default none: every sample is handed out
   */
  readonly excludeFinishReasons?: ReadonlyArray<string> | undefined
  /**
   * What becomes of requests in flight when the layer closes, as after Ctrl-C, a time limit, or the end of a race:
   * `"interrupt"` ends them, and the provider may charge for them. `"finish"` waits for them and stores their samples, also
   * those of requests that wait for the provider's `Limits` or for a retry. In both cases no further request starts.
   *
   * @default "interrupt"
   */
  readonly onClose?: "interrupt" | "finish" | undefined
  /**
   * How long `onClose: "finish"` waits. Then the requests that are left are interrupted, with a warning in the log.
   *
   * @default as long as the requests take
   */
  readonly finishWithin?: Duration.Input | undefined
  /**
   * The folder of the rescue file, which gets the samples that the store does not take until the layer closes. The
   * next layer over the store, with the same folder, stores them and removes the file. Choose a folder on another disk
   * than the store. A `~` at its start is the home folder.
   *
   * @default `llm-cache` in `$XDG_STATE_HOME` or `~/.local/state`; if that cannot be written, in the folder for temporary files
   */
  readonly rescueDirectory?: string | undefined
}

/**
 * A cache in a directory.
 *
 * @category options
 * @since 0.1.0
 */
export interface InDirectory {
  /** The root of the cache, see `DirectoryStore`. A `~` at its start is the home folder. */
  readonly directory: string
  /**
   * Which failure recorded samples survive, see `DirectoryStore`.
   *
   * @default "power"
   */
  readonly durability?: DirectoryStore.Options["durability"]
  readonly store?: undefined
}

/**
 * A cache in a store.
 *
 * @category options
 * @since 0.1.0
 */
export interface InStore<E = never, R = never> {
  /** A store, or the layer of one, such as `SqliteStore.layer({ file: "cache.db" })`. */
  readonly store: Store | Layer.Layer<SampleStore, E, R>
  readonly directory?: undefined
}

/**
 * A cache in the `SampleStore` that is provided.
 *
 * @category options
 * @since 0.1.0
 */
export interface InProvidedStore {
  readonly directory?: undefined
  readonly store?: undefined
}

export type Place<E, R> = InDirectory | InStore<E, R> | InProvidedStore

/**
 * A cache in a directory, and how it is used.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends StoreOptions, InDirectory {}

/**
 * A cache in a directory that replicates, and the distribution that it answers for.
 *
 * @category options
 * @since 0.1.0
 */
export interface ReplicationOptions
  extends Identity.Options, Pick<StoreOptions, "excludeFinishReasons" | "rescueDirectory">, InDirectory
{}

export type WithoutPlace = Omit<ReplicationOptions, keyof InDirectory>

/**
 * A cache whose place, and whether it replicates, come from configuration.
 *
 * @category options
 * @since 0.1.0
 */
export interface ConfigOptions
  extends Pick<StoreOptions, "excludeFinishReasons" | "finishWithin" | "onClose" | "rescueDirectory">
{
  /** @default `LLM_CACHE_DIRECTORY` */
  readonly directory?: string | Config.Config<string> | undefined
  /** @default `LLM_CACHE_REPLICATION`, `true` or `false`, and `false` if that is not set */
  readonly replication?: boolean | Config.Config<boolean> | undefined
  /**
   * Whether the run gets a trace in the directory, see `Trace`.
   *
   * @default `LLM_CACHE_TRACE`, `1` or `0`, and no trace if that is not set
   */
  readonly trace?: boolean | Config.Config<boolean> | undefined
}
