import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"

/**
 * The fields of every reason of a `ProviderError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReasonFields {
  /** The failure, and how to fix it. */
  readonly description: string
  /** The HTTP status, if the provider sent one. */
  readonly status?: number | undefined
}

/**
 * The fields of a reason for which the provider may ask to wait.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryableReasonFields extends ReasonFields {
  /** The time to wait before the next request, if the provider names one. */
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
 * The provider cannot answer such a request: a wrong option, an unknown model, a wrong URL.
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
 * The provider returned a response that it had returned before for the same prompt: a cache in between answers. The
 * sample is not used, because it is no independent draw.
 *
 * @category errors
 * @since 0.1.0
 */
export class RepeatedResponse extends Data.TaggedError("RepeatedResponse")<ReasonFields> {
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
 * The account has no credit or quota left. No wait fixes it, so it is not retried.
 *
 * @category errors
 * @since 0.1.0
 */
export class QuotaExhausted extends Data.TaggedError("QuotaExhausted")<ReasonFields> {
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
 * The provider failed, or was not ready (5xx except 501 and 505, 409, 424, 425, 498).
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
 * The certificate of the provider's server is not trusted.
 *
 * @category errors
 * @since 0.1.0
 */
export class UntrustedCertificate extends Data.TaggedError("UntrustedCertificate")<ReasonFields> {
  readonly isRetryable = false
  override get message(): string {
    return this.description
  }
}

/**
 * No answer came in time: our time limit or the provider's (408) has passed.
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
 * The answer holds no sample: it is no JSON, or breaks the protocol. The next answer would most likely do so too, so it is
 * not retried.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnusableResponse extends Data.TaggedError("UnusableResponse")<ReasonFields> {
  readonly isRetryable = false
  override get message(): string {
    return this.description
  }
}
