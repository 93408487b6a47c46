import type { Json } from "@llm-cache/core/Identity"
import type { Generation } from "@llm-cache/core/LlmModel"
import { ContentPolicy, type ProviderErrorReason, UnusableResponse } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as Redacted from "effect/Redacted"
import { says, type Sent } from "./failure.ts"

/** What is sampled, as a request says it. */
export interface Sampled {
  readonly model: string
  readonly temperature: number | undefined
  readonly system: string | undefined
  readonly parameters: Parameters
}

/** The sampling parameters that are no options of their own. */
export type Parameters = { readonly [name: string]: Json | undefined }

/** A protocol of chat over HTTP: all in which providers differ. */
export interface Protocol {
  /** The module that speaks it, for messages. */
  readonly name: string
  /** Where requests go, below the base URL. */
  readonly path: string
  /** An example of a base URL, for messages. */
  readonly example: string
  /** The parameters that are refused, and what to do instead. */
  readonly reserved: { readonly [name: string]: string }
  /** The parameter that limits how many tokens a sample has. */
  readonly mostTokens: ReadonlyArray<string>
  /** Puts the key and the headers that the protocol wants on a request. */
  readonly sign: (
    key: Redacted.Redacted | undefined
  ) => (request: HttpClientRequest.HttpClientRequest) => HttpClientRequest.HttpClientRequest
  /** The body of a request for `n` samples. */
  readonly body: (sampled: Sampled, prompt: string, n: number) => object
  /** The samples of an answer with a status of success. */
  readonly generation: (answer: Answer) => Effect.Effect<Generation, ProviderErrorReason>
}

/** An answer with a status of success, to its last byte. */
export interface Answer {
  readonly body: string
  readonly status: number
  readonly sent: Sent
}

/** Fails for an answer that holds no sample. */
export const unusable = (what: string, { body, sent, status }: Answer) =>
  Effect.fail(new UnusableResponse({ description: what + says(body, sent.quote), status }))

/** Fails for an answer that is not of the protocol at all. */
export const notJson = (answer: Answer) =>
  unusable("the answer is not a JSON object: check `baseUrl`, which may be that of a web page", answer)

/** Fails for an answer that is an error. */
export const isError = (answer: Answer) =>
  unusable("the answer is an error, though its status is one of success", answer)

/** Fails for an answer that the model or a filter withheld. */
export const withheld = (refusal: string | undefined, { sent, status }: Answer) =>
  Effect.fail(
    new ContentPolicy({
      description: `the provider's content policy withheld the answer: change the prompt${
        refusal ? `. The model says: ${sent.quote(refusal)}` : ""
      }`,
      status
    })
  )

/** Fails for an answer whose choices have no text. */
export const textless = (what: string, reasons: ReadonlyArray<string>, limit: string, answer: Answer) =>
  unusable(
    `${what} has a text (finish reason: ${answer.sent.quote([...new Set(reasons)].join(", ")) || "none"}): ` +
      `check the parameters, such as \`${limit}\``,
    answer
  )
