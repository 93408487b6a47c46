import * as SampleError from "@llm-cache/core/SampleError"
import * as AiError from "effect/ai/AiError"

/** Gives an error its cause, as `Error` has it: not among the fields. */
const caused = <E extends object>(error: E, cause: unknown): E =>
  Object.defineProperty(error, "cause", { value: cause, enumerable: false, configurable: true, writable: true })

export const causeOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null && "cause" in error ? error.cause : undefined

/** The failure of a request to an inner model, for stores, retries and events. */
export const toProviderError = (
  provider: string,
  error: AiError.AiError,
  isFinal = false
): SampleError.ProviderError => {
  const reason = caused(
    isFinal ? new SampleError.UnusableResponse({ description: error.message }) : reasonOf(error),
    error
  )
  // `Attempt` then resumes the attempt: a replay has no such failure.
  if (error.isRetryable) {
    Object.defineProperty(error, "isProviderFailure", { value: true, enumerable: false, configurable: true })
  }
  return new SampleError.ProviderError({ provider, reason })
}

const reasonOf = (error: AiError.AiError): SampleError.ProviderErrorReason => {
  const { reason } = error
  const description = error.message
  if (reason._tag === "RateLimitError") {
    return new SampleError.RateLimited({ description, retryAfter: reason.retryAfter })
  }
  if (reason._tag === "NetworkError" && !reason.isRetryable) return new SampleError.BadRequest({ description })
  return new (classOf[reason._tag] ?? SampleError.BadRequest)({ description })
}

// All others are faults of the program.
const classOf: {
  readonly [Tag in AiError.AiErrorReason["_tag"]]?: new(
    fields: SampleError.ReasonOptions
  ) => SampleError.ProviderErrorReason
} = {
  QuotaExhaustedError: SampleError.QuotaExhausted,
  AuthenticationError: SampleError.BadKey,
  ContentPolicyError: SampleError.ContentPolicy,
  InternalProviderError: SampleError.ServerFault,
  NetworkError: SampleError.Transport,
  InvalidOutputError: SampleError.UnusableResponse,
  InvalidResponseError: SampleError.UnusableResponse,
  StructuredOutputError: SampleError.UnusableResponse,
  UnknownError: SampleError.UnusableResponse
}

/** The error of a program: the inner model's own, or a new error with the error of sampling in it. */
export const toAiError = (
  method: string,
  error: SampleError.SampleError,
  module = "LanguageModel"
): AiError.AiError => {
  const own = error._tag === "ProviderError" ? causeOf(error.reason) : undefined
  if (AiError.isAiError(own)) return own
  // Not `InvalidRequestError`: on that, `LanguageModel` asks a second time.
  const reason = new AiError.UnknownError({
    description: error.message,
    metadata: { [metadataName]: jsonOf(error) }
  })
  return AiError.make({ module, method, reason: caused(reason, error) })
}

export const metadataName = "@llm-cache"

/** The fields of an error for a program in another process. */
const jsonOf = (error: SampleError.SampleError) => ({
  ...JSON.parse(JSON.stringify(error)),
  ...error._tag === "ReplicationCacheMiss" ? { identityId: error.identity.id } : {},
  ...error._tag === "ProviderError"
    ? { reason: { _tag: error.reason._tag, ...JSON.parse(JSON.stringify(error.reason)) } }
    : {},
  _tag: error._tag,
  message: error.message
})
