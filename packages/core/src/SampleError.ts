/**
 * What sampling can fail with: a union of tagged errors, for `Effect.catchTag`, `Effect.catchTags` and, over the
 * reasons of a `ProviderError`, `Effect.catchReason`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import type { Identity } from "./Identity.ts"
import { InvalidInput } from "./InvalidInput.ts"
import type { Key } from "./Key.ts"

/**
 * Everything that sampling can fail with.
 *
 * @category models
 * @since 0.1.0
 */
export type SampleError = ReplicationCacheMiss | ProviderError | StoreError | InvalidInput

export { InvalidInput }

// -----------------------------------------------------------------------------
// ReplicationCacheMiss
// -----------------------------------------------------------------------------

/**
 * The stored prompt that is nearest to one that is not stored.
 *
 * @category models
 * @since 0.1.0
 */
export interface NearestPrompt {
  readonly prompt: string
  /** The index of the first character in which the two prompts differ. */
  readonly differsAt: number
}

const forkOf = (path: ReadonlyArray<string> = []): string => path.length === 0 ? "" : `, fork ${path.join(" > ")}`

const excerpt = (text: string, at: number): string => {
  const from = Math.max(0, at - 20)
  const to = Math.min(text.length, at + 30)
  return `${from > 0 ? "…" : ""}${JSON.stringify(text.slice(from, to).toWellFormed())}${to < text.length ? "…" : ""}`
}

/** The index of the first character in which two texts differ. */
const differsAt = (one: string, other: string): number => {
  const shorter = Math.min(one.length, other.length)
  for (let i = 0; i < shorter; i++) if (one[i] !== other[i]) return i
  return shorter
}

const ranges = (positions: ReadonlyArray<number>): string => {
  const parts: Array<string> = []
  for (let i = 0; i < positions.length;) {
    let j = i
    while (positions[j + 1] === positions[j]! + 1) j++
    parts.push(i === j ? `${positions[i]}` : `${positions[i]}-${positions[j]}`)
    i = j + 1
  }
  return parts.length > 10 ? `${parts.slice(0, 10).join(", ")}, …` : parts.join(", ")
}

/**
 * A cache that replicates was asked for a sample it does not hold. The model was not asked.
 *
 * **Details**
 *
 * `present` is empty where the prompt is unknown; otherwise the sequence is known and has no sample at `position`.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReplicationCacheMiss extends Data.TaggedError("ReplicationCacheMiss")<{
  readonly identity: Identity
  readonly prompt: string
  /** SHA-256 of the prompt, hex: the name of its folder in a directory store. */
  readonly promptHash: string
  /** The fork that asked, the outermost name first. */
  readonly path: ReadonlyArray<string>
  /** The position that was asked for. */
  readonly position: number
  /** The positions that are stored, in order. */
  readonly present: ReadonlyArray<number>
  /** Where the sample was looked for. */
  readonly store: string
  /** The nearest prompt stored for this identity, where the prompt asked for is unknown. */
  readonly nearest: NearestPrompt | undefined
}> {
  override get message(): string {
    const who = `${this.identity.toString()}${forkOf(this.path)}`
    if (this.present.length > 0) {
      return `No sample at position ${this.position} for prompt ${this.promptHash} (${who}): ` +
        `${this.present.length} stored, at ${ranges(this.present)}, in ${this.store}. ` +
        "Replication does not ask the model: take fewer samples, or record the rest without replication"
    }
    const near = this.nearest?.prompt === this.prompt
      ? "The prompt is stored, and not for this fork"
      : this.nearest === undefined
      ? "No prompt is stored for this identity: compare its name, temperature and parameters with the recorded ones"
      : `The nearest stored prompt differs from character ${this.nearest.differsAt}: it has ${
        excerpt(this.nearest.prompt, this.nearest.differsAt)
      } where this one has ${excerpt(this.prompt, this.nearest.differsAt)}`
    return `Nothing is stored for prompt ${this.promptHash} (${who}) in ${this.store}. ${near}. ` +
      "Replication does not ask the model: record the prompt without replication"
  }

  /** What is printed: the message, and the fields. */
  override toJSON(): object {
    return Object.assign({}, this, { message: this.message })
  }
}

// -----------------------------------------------------------------------------
// ProviderError
// -----------------------------------------------------------------------------

/**
 * The fields of every reason of a `ProviderError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReasonFields {
  /** What happened, and what to do about it. */
  readonly description: string
  /** The HTTP status, where there was one. */
  readonly status?: number | undefined
}

/**
 * The fields of a reason that a provider may set a time for.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryableReasonFields extends ReasonFields {
  /** How long the provider asks to wait before the next request. */
  readonly retryAfter?: Duration.Duration | undefined
}

/**
 * The key is missing, wrong, or not allowed to use the model.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadKey extends Data.TaggedError("BadKey")<ReasonFields> {
  readonly isRetryable = false
  override get message(): string {
    return this.description
  }
}

/**
 * The request is not one that can be answered: a wrong option, an unknown model, a wrong URL. Also what is refused
 * before any request is sent, such as a `batch` of 0.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadRequest extends Data.TaggedError("BadRequest")<ReasonFields> {
  readonly isRetryable = false
  override get message(): string {
    return this.description
  }
}

/**
 * The provider's content policy refused the prompt or the answer.
 *
 * @category errors
 * @since 0.1.0
 */
export class ContentPolicy extends Data.TaggedError("ContentPolicy")<ReasonFields> {
  readonly isRetryable = false
  override get message(): string {
    return this.description
  }
}

/**
 * The prompt does not fit the model's context.
 *
 * @category errors
 * @since 0.1.0
 */
export class ContextTooLong extends Data.TaggedError("ContextTooLong")<ReasonFields> {
  readonly isRetryable = false
  override get message(): string {
    return this.description
  }
}

/**
 * Too many requests.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimited extends Data.TaggedError("RateLimited")<RetryableReasonFields> {
  readonly isRetryable = true
  override get message(): string {
    return this.description
  }
}

/**
 * The provider failed, or was not ready (5xx, 409, 425).
 *
 * @category errors
 * @since 0.1.0
 */
export class ServerFault extends Data.TaggedError("ServerFault")<RetryableReasonFields> {
  readonly isRetryable = true
  override get message(): string {
    return this.description
  }
}

/**
 * The provider could not be reached, or the connection broke.
 *
 * @category errors
 * @since 0.1.0
 */
export class Transport extends Data.TaggedError("Transport")<ReasonFields> {
  readonly isRetryable = true
  override get message(): string {
    return this.description
  }
}

/**
 * No answer came in time, ours or the provider's (408).
 *
 * @category errors
 * @since 0.1.0
 */
export class Timeout extends Data.TaggedError("Timeout")<RetryableReasonFields> {
  readonly isRetryable = true
  override get message(): string {
    return this.description
  }
}

/**
 * An answer came that holds no sample: not JSON, not of the protocol, without a text. A new draw may mend it.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnusableResponse extends Data.TaggedError("UnusableResponse")<ReasonFields> {
  readonly isRetryable = true
  override get message(): string {
    return this.description
  }
}

/**
 * Why a provider brought no sample.
 *
 * @category models
 * @since 0.1.0
 */
export type ProviderErrorReason =
  | BadKey
  | BadRequest
  | ContentPolicy
  | ContextTooLong
  | RateLimited
  | ServerFault
  | Transport
  | Timeout
  | UnusableResponse

/**
 * A provider brought no sample, for a `reason`.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProviderError extends Data.TaggedError("ProviderError")<{
  /** Who failed: a provider and its model, or the function that was called. */
  readonly provider: string
  readonly reason: ProviderErrorReason
  /** The fork that sampled, the outermost name first; absent outside of forks. */
  readonly path?: ReadonlyArray<string> | undefined
}> {
  /**
   * Whether a new request may succeed where this one did not.
   *
   * @since 0.1.0
   */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }

  /**
   * How long the provider asks to wait before the next request.
   *
   * @since 0.1.0
   */
  get retryAfter(): Duration.Duration | undefined {
    return "retryAfter" in this.reason ? this.reason.retryAfter : undefined
  }

  override get message(): string {
    return `${this.provider}${forkOf(this.path)}: ${this.reason.message}`
  }

  /**
   * The error for input that is refused before any request is sent.
   *
   * @since 0.1.0
   */
  static badRequest(provider: string, description: string): ProviderError {
    return new ProviderError({ provider, reason: new BadRequest({ description }) })
  }

  /** What is printed: the message, and the fields. */
  override toJSON(): object {
    return Object.assign({}, this, { message: this.message })
  }
}

// -----------------------------------------------------------------------------
// StoreError
// -----------------------------------------------------------------------------

/**
 * A store could not do what it was asked. It is never raised for a sample that is merely missing.
 *
 * **Details**
 *
 * | `kind` | meaning |
 * | --- | --- |
 * | `Damaged` | the entry is there and is not what was written |
 * | `Unavailable` | the store cannot be read or written: permissions, a full disk, a lost connection |
 * | `InvalidName` | the key cannot be a name in this store |
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreError extends Data.TaggedError("StoreError")<{
  readonly kind: "Damaged" | "Unavailable" | "InvalidName"
  /** Which store. */
  readonly store: string
  /** Which operation of `SampleStore`. */
  readonly operation: "open" | "get" | "put" | "prepare" | "positions" | "prompts" | "remove" | "keys" | "lease"
  /** Which key, where the operation had one. */
  readonly key?: Key | undefined
  /** Which position, where the operation had one. */
  readonly position?: number | undefined
  /** What happened, and what to do about it. */
  readonly description: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.store}, ${this.operation}${forkOf(this.key?.path)}: ${this.description}`
  }

  /** What is printed: the message, and the fields. */
  override toJSON(): object {
    return Object.assign({}, this, { message: this.message })
  }
}

// -----------------------------------------------------------------------------
// SampleConflict
// -----------------------------------------------------------------------------

/**
 * Two stores have different samples at one position of a key. What was copied before it was found stays copied.
 *
 * @category errors
 * @since 0.1.0
 */
export class SampleConflict extends Data.TaggedError("SampleConflict")<{
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
    const at = differsAt(this.ours, this.theirs)
    const where = `${identity.toString()}${forkOf(path)}`
    return `Two samples at position ${this.position} of prompt ${promptHash} (${where}): ${this.to} has ` +
      `${excerpt(this.ours, at)}, and ${this.from} has ${excerpt(this.theirs, at)}. ` +
      "Say with `merge` and its option `ifDifferent` which is to be kept, or whether both are"
  }

  /** What is printed: the message, and the fields. */
  override toJSON(): object {
    return Object.assign({}, this, { message: this.message })
  }
}
