/**
 * Limits of a vendor: how many requests are under way at once, and how many requests and tokens there are in a minute.
 *
 * **When to use**
 *
 * Use the option `limits` of a model where it is the only one of its vendor, and `layer` where several models share the
 * limits of one account.
 *
 * **Details**
 *
 * Limits hold for an account: a host and a key. All models over one layer that have both in common share them, whatever
 * they are called; other vendors, and other keys to the same vendor, have counts of their own.
 *
 * - **Requests in flight** wait for one another, first come, first served.
 * - **Requests per minute** are spread evenly: at 60, one is sent each second at the most. There are never more in any
 *   minute, whenever it begins. One that is interrupted before its turn leaves it to the next. Vendors enforce their limits so:
 *   https://platform.claude.com/docs/en/api/rate-limits
 * - **Tokens per minute** are estimated before a request and settled after it. The estimate is a token for four bytes of
 *   the prompt and the system text, and for each sample the parameter that limits its tokens (`max_tokens` and the
 *   like), or 500 where there is none. A request is sent once the tokens before it have been made up for, so that over
 *   any time there are no more than the limit gives for that time, and two requests'. What the vendor counted is put in
 *   place of the estimate when the answer comes, also for requests that wait by then; where it tells no count, the estimate
 *   stays.
 * - **A 429** makes every request of the account wait, also those that were not sent yet: until its `Retry-After`, or,
 *   without one or with one that is over, for 1 s, then 2, 4, … up to 60 s while it goes on. This is so without any option, for each model by
 *   itself; over one layer, for all its models. While a `Retry-After` of more than 5 minutes runs, requests fail with
 *   `RateLimited` and are not sent.
 *
 * Retries are requests like all others. Who waits is interruptible, and waiting does not count to `timeout`.
 *
 * Requests and tokens per minute are counted by Effect's `RateLimiter`: in memory, or in the `RateLimiterStore` that the
 * program provides, so that machines share them. Its names have the host and 16 digits of the SHA-256 of the key.
 * The other two limits are those of a process.
 *
 * **Example** (Two models of one account)
 *
 * ```ts
 * import { Limits, OpenAi } from "@llm-cache/providers"
 * import { Layer } from "effect"
 *
 * const limits = Limits.layer({ inFlight: 16, requestsPerMinute: 500, tokensPerMinute: 200_000 })
 *
 * const large = OpenAi.layer({ model: "gpt-4o" }).pipe(Layer.provide(limits))
 * const small = OpenAi.layer({ model: "gpt-4o-mini" }).pipe(Layer.provide(limits))
 * ```
 *
 * **Example** (Shared by machines)
 *
 * ```ts
 * import { Limits } from "@llm-cache/providers"
 * import { Layer } from "effect"
 * import { RateLimiter } from "effect/persistence"
 *
 * // needs Effect's `Redis`, which `RedisStore.layerClient` of `@llm-cache/redis` provides
 * const limits = Limits.layer({ requestsPerMinute: 500 }).pipe(Layer.provide(RateLimiter.layerStoreRedis()))
 * ```
 *
 * @since 0.1.0
 */
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import type { Generation } from "@llm-cache/core/LlmModel"
import type { ProviderErrorReason } from "@llm-cache/core/SampleError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Redacted from "effect/Redacted"
import * as Crypto from "node:crypto"
import { type Lane, makeLane } from "./internal/lane.ts"

/**
 * The limits of an account.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * How many requests are under way at once.
   *
   * @default no limit
   */
  readonly inFlight?: number | undefined
  /**
   * How many requests are sent in a minute.
   *
   * @default no limit
   */
  readonly requestsPerMinute?: number | undefined
  /**
   * How many tokens, of prompts and of samples, requests take in a minute.
   *
   * @default no limit
   */
  readonly tokensPerMinute?: number | undefined
}

/**
 * Who has limits at a vendor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Account {
  /** The vendor's host, and its port where it is not the usual one. */
  readonly host: string
  /** Absent for a server that needs none. */
  readonly key: Redacted.Redacted | undefined
}

/**
 * The service of limits.
 *
 * @category services
 * @since 0.1.0
 */
export class Limits extends Context.Service<Limits, {
  /**
   * Runs a request of an account when its limits let it, which is estimated to take so many tokens. Fails with
   * `RateLimited` while the vendor wants more than 5 minutes of silence, and with `Transport` where counts cannot be
   * reached; nothing was sent then.
   */
  readonly run: (
    account: Account,
    tokens: number,
    request: Effect.Effect<Generation, ProviderErrorReason>
  ) => Effect.Effect<Generation, ProviderErrorReason>
}>()("@llm-cache/providers/Limits") {}

/**
 * Makes limits. Fails with an `InvalidInput` for limits that no request could keep.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<Limits["Service"], InvalidInput> {
  const { inFlight, requestsPerMinute, tokensPerMinute } = options
  for (const [name, limit] of Object.entries({ inFlight, requestsPerMinute, tokensPerMinute })) {
    if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0)) {
      return yield* invalid(`\`${name}\` is ${limit}: give a whole number above zero, or leave it out for no limit`)
    }
  }
  const store = yield* Effect.serviceOption(RateLimiter.RateLimiterStore)
  const limiter = yield* Option.match(store, {
    onNone: () => Effect.provide(RateLimiter.make, Layer.fresh(RateLimiter.layerStoreMemory)),
    onSome: (store) => Effect.provideService(RateLimiter.make, RateLimiter.RateLimiterStore, store)
  })
  const lanes = new Map<string, Lane>()
  const laneOf = ({ host, key }: Account) => {
    const account = `${host}\n${key === undefined ? "" : Redacted.value(key)}`
    let lane = lanes.get(account)
    if (lane === undefined) {
      const digest = Crypto.createHash("sha256").update(account).digest("hex").slice(0, 16)
      lane = makeLane(`llm-cache:${host}:${digest}`, options, limiter)
      lanes.set(account, lane)
    }
    return lane
  }
  return { run: (account, tokens, request) => Effect.suspend(() => laneOf(account)(tokens, request)) }
})

const invalid = (description: string) => Effect.fail(new InvalidInput({ module: "Limits.make", description }))

/**
 * Provides limits for the models above. Models that are to share them are built over one such layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Limits, InvalidInput> => Layer.effect(Limits, make(options))
