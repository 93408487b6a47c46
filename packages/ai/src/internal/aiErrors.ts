import * as SampleError from "@llm-cache/core/SampleError"
import * as AiError from "effect/ai/AiError"
import { toJson } from "./errorJson.ts"

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
  if (error.isRetryable) resumable(error)
  return new SampleError.ProviderError({ provider, reason })
}

// `Attempt` then resumes the attempt: a replay has no such failure.
const resumable = (error: AiError.AiError): AiError.AiError =>
  Object.defineProperty(error, "isProviderFailure", { value: true, enumerable: false, configurable: true })

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
  const made = AiError.make({ module, method, reason: caused(aiReasonOf(error), error) })
  return made.isRetryable ? resumable(made) : made
}

/** A reason by which programs retry as they would for the error of sampling. */
const aiReasonOf = (error: SampleError.SampleError): AiError.AiErrorReason => {
  const description = error.message
  const metadata = { [metadataName]: toJson(error) }
  if (error._tag === "ProviderError" && error.isRetryable) {
    return error.reason._tag === "RateLimited"
      ? new AiError.RateLimitError({ retryAfter: error.retryAfter, metadata })
      : new AiError.InternalProviderError({ description, metadata })
  }
  // Not `InvalidRequestError`: on that, `LanguageModel` asks a second time.
  return new AiError.UnknownError({ description, metadata })
}

export const metadataName = "@llm-cache"
