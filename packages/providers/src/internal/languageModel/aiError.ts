import { ProviderError, type SampleError } from "@llm-cache/core/SampleError"
import * as AiError from "effect/ai/AiError"
import * as Duration from "effect/Duration"
import { optionsName } from "./messages.ts"

/** The method of the service that fails. */
export type Method = "generateText" | "streamText"

/** An `AiError` of this model. */
export const aiError = (method: Method, reason: AiError.AiErrorReason): AiError.AiError =>
  AiError.make({ module: "ChatCompletionsModel", method, reason })

/** The `AiError` of a failure. Its description is the message that the text provider gives. */
export const toAiError = (method: Method, url: string) => (error: SampleError): AiError.AiError =>
  aiError(
    method,
    error instanceof ProviderError ? reasonOf(error, url) : new AiError.UnknownError({ description: error.message })
  )

const reasonOf = (error: ProviderError, url: string): AiError.AiErrorReason => {
  const { reason } = error
  const description = error.message
  const metadata = { [optionsName]: detailsOf(error) }
  switch (reason._tag) {
    case "BadKey":
      return new AiError.AuthenticationError({ kind: kindOf(reason.status), description, metadata })
    case "RateLimited":
      return new AiError.RateLimitError({ retryAfter: reason.retryAfter, metadata })
    case "QuotaExhausted":
      return new AiError.QuotaExhaustedError({ metadata })
    case "ContentPolicy":
      return new AiError.ContentPolicyError({ description, metadata })
    case "BadRequest":
    case "ContextTooLong":
      return new AiError.InvalidRequestError({ description, metadata })
    case "ServerFault":
      return new AiError.InternalProviderError({ description, metadata })
    case "Timeout":
    case "Transport":
      return new AiError.NetworkError({ reason: "TransportError", method: "POST", url, description })
    case "UnusableResponse":
      return new AiError.InvalidResponseError({ description, metadata })
    case "RepeatedResponse":
    case "UntrustedCertificate":
      return new AiError.UnknownError({ description, metadata })
  }
}

const kindOf = (status: number | undefined) =>
  status === undefined ? "MissingKey" : status === 403 ? "InsufficientPermissions" : "InvalidKey"

// Some reasons of an `AiError` have no description of their own.
const detailsOf = ({ elapsed, message, reason, tries }: ProviderError) => ({
  reason: reason._tag,
  description: message,
  ...("status" in reason && reason.status !== undefined ? { status: reason.status } : {}),
  ...(tries === undefined ? {} : { tries }),
  ...(elapsed === undefined ? {} : { elapsedMillis: Duration.toMillis(elapsed) })
})
