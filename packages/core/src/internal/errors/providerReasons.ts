import * as Data from "effect/Data"
import * as Duration from "effect/Duration"

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
 * The fields with which a reason is made.
 *
 * @category options
 * @since 0.1.0
 */
export interface ReasonOptions extends Partial<ReasonFields> {}

/**
 * The fields with which a reason is made, for which the provider may ask to wait.
 *
 * @category options
 * @since 0.1.0
 */
export interface RetryableReasonOptions extends ReasonOptions {
  /** The time to wait before the next request, such as `"5 seconds"`. */
  readonly retryAfter?: Duration.Input | undefined
}

const withWait = ({ retryAfter, ...fields }: RetryableReasonOptions): Partial<RetryableReasonFields> =>
  retryAfter === undefined ? fields : { ...fields, retryAfter: Duration.fromInputUnsafe(retryAfter) }

/**
 * The key is missing, wrong, or not allowed to use the model.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadKey extends Data.TaggedError("BadKey")<ReasonFields> {
  readonly isRetryable = false
  constructor(fields: ReasonOptions = {}) {
    super({ description: "the API key is missing or wrong", ...fields })
  }
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
  constructor(fields: ReasonOptions = {}) {
    super({ description: "the provider does not accept the request", ...fields })
  }
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
  constructor(fields: ReasonOptions = {}) {
    super({ description: "the provider returned an earlier response again", ...fields })
  }
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
  constructor(fields: ReasonOptions = {}) {
    super({ description: "the provider's content policy refused the prompt", ...fields })
  }
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
  constructor(fields: ReasonOptions = {}) {
    super({ description: "the prompt does not fit the model's context", ...fields })
  }
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
  constructor(fields: ReasonOptions = {}) {
    super({ description: "the account has no credit left", ...fields })
  }
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
  constructor(fields: RetryableReasonOptions = {}) {
    super({ description: "too many requests", ...withWait(fields) })
  }
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
  constructor(fields: RetryableReasonOptions = {}) {
    super({ description: "the provider failed", ...withWait(fields) })
  }
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
  constructor(fields: ReasonOptions = {}) {
    super({ description: "the provider could not be reached", ...fields })
  }
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
  constructor(fields: ReasonOptions = {}) {
    super({ description: "the certificate of the provider's server is not trusted", ...fields })
  }
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
  constructor(fields: RetryableReasonOptions = {}) {
    super({ description: "no answer came in time", ...withWait(fields) })
  }
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
  constructor(fields: ReasonOptions = {}) {
    super({ description: "the answer holds no sample", ...fields })
  }
  override get message(): string {
    return this.description
  }
}
