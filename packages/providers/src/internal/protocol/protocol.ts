import type { Json } from "@llm-cache/core/Identity"
import type { Generation } from "@llm-cache/core/LlmModel"
import type { ProviderErrorReason } from "@llm-cache/core/SampleError"
import type * as Effect from "effect/Effect"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as Redacted from "effect/Redacted"
import type { RequestDetails } from "../request/errorReason.ts"

/** The sampling parameters without options of their own. */
export type Parameters = { readonly [name: string]: Json | undefined }

/** The options that a request sends to the server. */
export interface SamplingOptions {
  readonly model: string
  readonly temperature: number | undefined
  readonly system: string | undefined
  readonly parameters: Parameters
}

/** A whole answer with a success status. */
export interface Answer {
  readonly body: string
  readonly status: number
  readonly request: RequestDetails
}

/** A chat protocol over HTTP. Providers differ in nothing else. */
export interface Protocol {
  /** The public module, for error messages. */
  readonly module: string
  /** The option that holds the URL, for error messages. */
  readonly urlOption: "baseUrl" | "url"
  /** The path below the URL of the option. */
  readonly path: string
  /** An example of such a URL, for error messages. */
  readonly exampleUrl: string
  /** Parameters that the user must not give, each with advice for the error message. */
  readonly reservedParameters: { readonly [name: string]: string }
  /** The parameters that limit the tokens of a sample, the strongest first. */
  readonly outputTokenLimits: ReadonlyArray<string>
  /** Sets the headers of the protocol, and the key if there is one. */
  readonly setHeaders: (
    key: Redacted.Redacted | undefined
  ) => (request: HttpClientRequest.HttpClientRequest) => HttpClientRequest.HttpClientRequest
  /** The body of a request for `n` samples. */
  readonly requestBody: (options: SamplingOptions, prompt: string, n: number) => object
  /** Reads the samples of an answer. */
  readonly readAnswer: (answer: Answer) => Effect.Effect<Generation, ProviderErrorReason>
}
