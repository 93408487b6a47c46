/**
 * The errors of sampling: a union of tagged errors, for `Effect.catchTag`, `Effect.catchTags` and, over the reasons of a
 * `ProviderError`, `Effect.catchReason`.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import { contrast, shorten } from "./internal/errors/excerpt.ts"
import { forkSuffix } from "./internal/errors/forkSuffix.ts"
import {
  BadKey,
  BadRequest,
  ContentPolicy,
  ContextTooLong,
  QuotaExhausted,
  RateLimited,
  RepeatedResponse,
  ServerFault,
  Timeout,
  Transport,
  UntrustedCertificate,
  UnusableResponse
} from "./internal/errors/providerReasons.ts"
import type { ReplicationCacheMiss } from "./internal/errors/replicationCacheMiss.ts"
import { TaggedError } from "./internal/errors/taggedError.ts"
import type { InvalidInput } from "./InvalidInput.ts"
import type { Key } from "./Key.ts"

/**
 * Every error of sampling.
 *
 * @category models
 * @since 0.1.0
 */
export type SampleError = ReplicationCacheMiss | ProviderError | StoreError | InvalidInput

export { InvalidInput } from "./InvalidInput.ts"

export { type NearestPrompt, ReplicationCacheMiss } from "./internal/errors/replicationCacheMiss.ts"

// -----------------------------------------------------------------------------
// ProviderError
// -----------------------------------------------------------------------------

export {
  BadKey,
  BadRequest,
  ContentPolicy,
  ContextTooLong,
  QuotaExhausted,
  RateLimited,
  type ReasonFields,
  type ReasonOptions,
  RepeatedResponse,
  type RetryableReasonFields,
  type RetryableReasonOptions,
  ServerFault,
  Timeout,
  Transport,
  UntrustedCertificate,
  UnusableResponse
} from "./internal/errors/providerReasons.ts"

/**
 * The reasons of a `ProviderError`.
 *
 * @category models
 * @since 0.1.0
 */
export type ProviderErrorReason =
  | BadKey
  | BadRequest
  | ContentPolicy
  | ContextTooLong
  | QuotaExhausted
  | RateLimited
  | RepeatedResponse
  | ServerFault
  | Transport
  | Timeout
  | UntrustedCertificate
  | UnusableResponse

/**
 * A request to a provider brought no sample, for a `reason`.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProviderError extends TaggedError("ProviderError")<{
  /** The provider and its model. */
  readonly provider: string
  readonly reason: ProviderErrorReason
  /** The fork of the draw, the outermost name first; absent outside of forks. */
  readonly path?: ReadonlyArray<string> | undefined
  /** How many times the request was sent, if more than once. */
  readonly tries?: number | undefined
  /** The time from the first try to the failure of the last one, if there were several. */
  readonly elapsed?: Duration.Duration | undefined
}> {
  /**
   * Whether the same request may succeed later. Providers retry exactly these errors, by their option `retry`.
   *
   * @since 0.1.0
   */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }

  /**
   * The time to wait before the next request, if the provider names one.
   *
   * @since 0.1.0
   */
  get retryAfter(): Duration.Duration | undefined {
    return "retryAfter" in this.reason ? this.reason.retryAfter : undefined
  }

  override get message(): string {
    return `${this.provider}${forkSuffix(this.path)}${triesSuffix(this)}: ${this.reason.message}`
  }
}

const reasons = {
  BadKey,
  BadRequest,
  ContentPolicy,
  ContextTooLong,
  QuotaExhausted,
  RateLimited,
  RepeatedResponse,
  ServerFault,
  Timeout,
  Transport,
  UntrustedCertificate,
  UnusableResponse
}

/**
 * Makes a `ProviderError` by the name of its reason, for tests.
 *
 * **Example** (A rate limit, as a test may need it)
 *
 * ```ts
 * import { SampleError } from "@llm-cache/core"
 *
 * const busy = SampleError.providerError("RateLimited", { retryAfter: "5 seconds" })
 * const down = SampleError.providerError("ServerFault", { provider: "acme", status: 503 })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const providerError = <Tag extends ProviderErrorReason["_tag"]>(
  reason: Tag,
  { provider = "test", ...fields }: ProviderErrorOptions<Tag> = {}
): ProviderError => new ProviderError({ provider, reason: new reasons[reason](fields) })

/**
 * The provider's name, by default `test`, and the fields of a reason, all of which have defaults.
 *
 * @category options
 * @since 0.1.0
 */
export type ProviderErrorOptions<Tag extends ProviderErrorReason["_tag"]> =
  & { readonly provider?: string | undefined }
  & NonNullable<ConstructorParameters<(typeof reasons)[Tag]>[0]>

const triesSuffix = ({ elapsed, tries }: ProviderError): string =>
  tries === undefined
    ? ""
    : `, ${tries} tries${elapsed === undefined ? "" : ` in ${timeOf(elapsed)}`}`

const timeOf = (elapsed: Duration.Duration): string => {
  const millis = Math.round(Duration.toMillis(elapsed))
  return millis < 1000 ? `${millis} ms` : `${Math.round(millis / 1000)} s`
}

// -----------------------------------------------------------------------------
// StoreError
// -----------------------------------------------------------------------------

/**
 * An operation of a store failed. A missing sample is no such failure.
 *
 * **Details**
 *
 * | `kind` | meaning |
 * | --- | --- |
 * | `Damaged` | the entry is there, but its content has changed since it was written |
 * | `Unavailable` | the store cannot be read or written: permissions, a full disk, a lost connection |
 * | `InvalidName` | the key cannot be a name in this store |
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreError extends TaggedError("StoreError")<{
  readonly kind: "Damaged" | "Unavailable" | "InvalidName"
  /** The id of the store. */
  readonly store: string
  /** The operation of `SampleStore`. */
  readonly operation: "open" | "get" | "put" | "prepare" | "positions" | "remove" | "keys" | "lease"
  /** The key of the operation, if it has one. */
  readonly key?: Key | undefined
  /** The position of the operation, if it has one. */
  readonly position?: number | undefined
  /** The failure, and how to fix it. */
  readonly description: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.store}, ${this.operation}${forkSuffix(this.key?.path)}: ${this.description}`
  }
}

// -----------------------------------------------------------------------------
// SampleConflict
// -----------------------------------------------------------------------------

/**
 * Two stores have different samples at one position of a key. Samples copied before the conflict stay copied.
 *
 * @category errors
 * @since 0.1.0
 */
export class SampleConflict extends TaggedError("SampleConflict")<{
  readonly key: Key
  readonly position: number
  /** The text that `to` has. */
  readonly ours: string
  /** The text that `from` has. */
  readonly theirs: string
  readonly from: string
  readonly to: string
}> {
  override get message(): string {
    const { identity, path, promptHash } = this.key
    const [ours, theirs] = contrast(this.ours, this.theirs, differsAt(this.ours, this.theirs))
    const sequence = `${identity.toString()}${forkSuffix(path)}`
    return `Two samples at position ${this.position} of prompt ${promptHash} (${sequence}): ${this.to} has ` +
      `${ours}, and ${this.from} has ${theirs}. ` +
      "Call `merge`, and say with its option `ifDifferent` which sample to keep, or whether to keep both"
  }

  /** The fields and the message, for logs. Of a long text it has the part around the difference. */
  override toJSON(): object {
    const at = differsAt(this.ours, this.theirs)
    const { identity, path, promptHash } = this.key
    return Object.assign({}, super.toJSON(), {
      key: { identity, path, promptHash },
      ours: shorten(this.ours, at),
      theirs: shorten(this.theirs, at)
    })
  }
}

/** The index of the first character in which two texts differ. */
const differsAt = (one: string, other: string): number => {
  const shorter = Math.min(one.length, other.length)
  for (let i = 0; i < shorter; i++) if (one[i] !== other[i]) return i
  return shorter
}
