/**
 * The options that all models of this package share.
 *
 * @since 0.1.0
 */
import type * as Identity from "@llm-cache/core/Identity"
import type { ProviderError } from "@llm-cache/core/SampleError"
import type * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import type * as Schedule from "effect/Schedule"
import type * as Limits from "./Limits.ts"

/**
 * An API key: a secret, as in `Redacted.make("sk-…")`, or a `Config` of one, as in `Config.Redacted("MY_KEY")`.
 *
 * **Details**
 *
 * It is looked up for each request, so that a program without requests needs none. A key that is missing or empty fails the draw
 * with `BadKey`.
 *
 * @category options
 * @since 0.1.0
 */
export type ApiKey = Redacted.Redacted | Config.Config<Redacted.Redacted>

/**
 * The model to sample, and how its requests are sent.
 *
 * **Details**
 *
 * Sampling parameters without an option of their own (`max_tokens`, `top_p`, `stop`, `seed`, …) belong into `parameters`, and
 * fields without effect on the samples (`user`, `metadata`, …) into `request`. An unknown option is an `InvalidInput`.
 *
 * `model` (or `alias`), `temperature`, `parameters` and `system` make the model's identity. The identity holds `system`
 * as a parameter of that name: give it so to `Persistent.layerReplication`, which takes only the identity.
 *
 * @category options
 * @since 0.1.0
 */
export interface ModelOptions extends Identity.Options {
  /**
   * The most samples that one request may ask for. Give 1 for a provider that rejects a higher `n`. A provider that
   * merely brings fewer samples needs no limit.
   *
   * @default no limit
   */
  readonly maxBatch?: number | undefined
  /**
   * How many requests are sent at once to a server that gives one sample per request. A server does so if `maxBatch` is
   * 1, or if an answer shows that it ignores `n`.
   *
   * @default 8
   */
  readonly concurrency?: number | undefined
  /**
   * The limits of the vendor, for this model alone.
   *
   * @default those of the `Limits` layer below the model, and no limit without such a layer
   */
  readonly limits?: Limits.Options | undefined
  /**
   * Fields of each request that do not change the samples: `user`, `metadata`, `service_tier`, `keep_alive`, a provider's
   * routing. They are not part of the identity, so that models that differ only in them share a cache. A field
   * that changes the samples belongs into `parameters`.
   *
   * @default none
   */
  readonly request?: { readonly [name: string]: Identity.Json | undefined } | undefined
  /**
   * Headers of each request, beside those of the protocol or in their place. `undefined` leaves a header out. Give a secret
   * as `Redacted`, so that no message quotes it.
   *
   * @default those of the protocol, and `cache-control: no-cache`
   */
  readonly headers?: { readonly [name: string]: string | Redacted.Redacted | undefined } | undefined
  /**
   * The query of the URL, such as Azure's `api-version`. Give a secret as `Redacted`.
   *
   * @default none
   */
  readonly query?: { readonly [name: string]: string | Redacted.Redacted | undefined } | undefined
  /**
   * A system message before the prompt.
   *
   * @default none is sent
   */
  readonly system?: string | undefined
  /**
   * Whether the server gives each response an id of its own. Then a response whose id came before for the same prompt
   * fails with `RepeatedResponse`: a cache between the program and the model answers, and has to be turned off. Give
   * `false` for a server that repeats its ids.
   *
   * @default true
   */
  readonly uniqueResponseIds?: boolean | undefined
  /**
   * How long a request may take, to the last byte of its answer. Each retry has as long again. Waiting for a limit does
   * not count.
   *
   * @default 10 minutes
   */
  readonly timeout?: Duration.Input | undefined
  /**
   * When to send a request again after a transient error. `Schedule.recurs(0)` turns retries off.
   *
   * @default after about 1, 2, 4, 8, 16 and 32 seconds, each up to a fifth shorter or longer
   */
  readonly retry?: Schedule.Schedule<unknown, ProviderError> | undefined
}
