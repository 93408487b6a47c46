/**
 * The limits of a vendor: requests in flight, requests per minute and tokens per minute.
 *
 * **When to use**
 *
 * Use the option `limits` for the only model of a vendor, and `layer` for several models that share the limits of one
 * account.
 *
 * **Details**
 *
 * Limits hold for an account: a host and an API key. All models over one layer share the limits of their account. Other
 * vendors, and other keys to the same vendor, are counted apart.
 *
 * - **Requests in flight** are sent first come, first served.
 * - **Requests per minute** are spread evenly: at 60, the model sends at most one per second. No minute has more,
 *   whenever it begins. A request that is interrupted while it waits leaves its time to the next one. Vendors enforce
 *   their limits the same way: https://platform.claude.com/docs/en/api/rate-limits
 * - **Tokens per minute** are estimated before a request and corrected after it. The estimate is a token for four bytes
 *   of the prompt and the system text, and for each sample the parameter that limits its tokens (such as `max_tokens`),
 *   or 500 without such a parameter. A request is sent as soon as the rate has made up for the tokens before it, so any
 *   span of time has at most the tokens that the limit allows for it, and those of two requests. The vendor's count
 *   replaces the estimate when the answer comes, also for requests that already wait. Without a count the estimate stays.
 * - **A 429** makes every request of the account wait, also those still in the queue. They wait until its `Retry-After`.
 *   If that is absent or over, they wait 1 s, then 2, 4, … up to 60 s while the 429s go on. A model does so by itself
 *   without any option; over one layer, all models do so together. While a `Retry-After` of more than 5 minutes runs,
 *   requests fail with `RateLimited` and are not sent.
 *
 * Retries count like all other requests. A waiting request can be interrupted, and `timeout` begins when it is sent.
 *
 * Effect's `RateLimiter` counts requests and tokens per minute: in memory, or in the `RateLimiterStore` that the program
 * provides, so that machines share the counts. Its keys hold the host and 16 digits of the SHA-256 of host and API key.
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
import { type AccountLimiter, makeAccountLimiter } from "./internal/limits/accountLimiter.ts"

/**
 * The limits of an account.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The most requests in flight at once.
   *
   * @default no limit
   */
  readonly inFlight?: number | undefined
  /**
   * The most requests sent in a minute.
   *
   * @default no limit
   */
  readonly requestsPerMinute?: number | undefined
  /**
   * The most tokens in a minute, of prompts and samples together.
   *
   * @default no limit
   */
  readonly tokensPerMinute?: number | undefined
}

/**
 * An account at a vendor, to which its limits apply.
 *
 * @category models
 * @since 0.1.0
 */
export interface Account {
  /** The vendor's host, and its port unless that is the usual one. */
  readonly host: string
  /** The API key. Absent for a server without keys. */
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
   * Sends a request of an account once its limits allow it, with an estimate of its tokens. The counts of tokens in the answer
   * replace the estimate. Fails without sending it with
   * `RateLimited` while the vendor asks for more than 5 minutes of pause, and with `Transport` if the `RateLimiterStore`
   * cannot be reached.
   */
  readonly run: <A extends Partial<Generation>>(
    account: Account,
    estimatedTokens: number,
    request: Effect.Effect<A, ProviderErrorReason>
  ) => Effect.Effect<A, ProviderErrorReason>
}>()("@llm-cache/providers/Limits") {}

/**
 * Makes limits. Fails with an `InvalidInput` for a limit that is not a whole number above zero.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<Limits["Service"], InvalidInput> {
  const { inFlight, requestsPerMinute, tokensPerMinute } = options
  const known = { inFlight, requestsPerMinute, tokensPerMinute }
  const unknown = Object.entries(options).find(([name, value]) => value !== undefined && !Object.hasOwn(known, name))
  if (unknown !== undefined) {
    return yield* new InvalidInput({
      module: "Limits.make",
      description: `there is no limit \`${
        unknown[0]
      }\`: give \`inFlight\`, \`requestsPerMinute\` or \`tokensPerMinute\``
    })
  }
  for (const [name, limit] of Object.entries(known)) {
    if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0)) {
      return yield* new InvalidInput({
        module: "Limits.make",
        description: `\`${name}\` is ${limit}: give a whole number above zero, or leave it out for no limit`
      })
    }
  }
  const store = yield* Effect.serviceOption(RateLimiter.RateLimiterStore)
  const rateLimiter = yield* Option.match(store, {
    onNone: () => Effect.provide(RateLimiter.make, Layer.fresh(RateLimiter.layerStoreMemory)),
    onSome: (store) => Effect.provideService(RateLimiter.make, RateLimiter.RateLimiterStore, store)
  })
  const limiters = new Map<string, AccountLimiter>()
  const limiterOf = ({ host, key }: Account) => {
    const account = `${host}\n${key === undefined ? "" : Redacted.value(key)}`
    let limiter = limiters.get(account)
    if (limiter === undefined) {
      const digest = Crypto.createHash("sha256").update(account).digest("hex").slice(0, 16)
      limiter = makeAccountLimiter(host, `llm-cache:${host}:${digest}`, options, rateLimiter)
      limiters.set(account, limiter)
    }
    return limiter
  }
  return {
    run: (account, estimatedTokens, request) => Effect.suspend(() => limiterOf(account)(estimatedTokens, request))
  }
})

/**
 * Provides limits to the models above. Build all models that share an account over the same layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Limits, InvalidInput> => Layer.effect(Limits, make(options))
