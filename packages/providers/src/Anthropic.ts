/**
 * Models of Anthropic, by its own protocol: `POST {baseUrl}/v1/messages`,
 * https://platform.claude.com/docs/en/api/messages/create
 *
 * **Details**
 *
 * A request sends `model`, `temperature` (unless it is absent), `system` (if any), the prompt as the user's message and
 * the `parameters`, with the headers `x-api-key` and `anthropic-version: 2023-06-01`. The protocol wants `max_tokens`,
 * which cuts long samples: it has no default here, and is part of the identity as the other parameters are.
 *
 * Anthropic gives one sample for a request. Several are several requests, up to `concurrency` at once, each with its own
 * counts of tokens.
 *
 * What comes of an answer is as in the table of `OpenAiCompatible`, except for:
 *
 * | answer | outcome |
 * | --- | --- |
 * | `content` with blocks of type `text` | a sample: their texts, joined |
 * | no block of type `text` (no block at all, only `thinking`, `tool_use`) | `UnusableResponse` |
 * | the same with `stop_reason: "refusal"` | `ContentPolicy` |
 * | `usage` with tokens that Anthropic's own cache has, or puts there | counted as tokens of the prompt, as the others |
 * | a text that was cut short, with `max_tokens` or `refusal` for a `stop_reason` | a sample; its metadata say so |
 * | 200 with `{"type": "error", …}` | `UnusableResponse` that quotes it |
 * | 402 (`billing_error`) | `BadRequest` |
 * | 413 (`request_too_large`) | `ContextTooLong` |
 * | 529 (`overloaded_error`) | `ServerFault`, retried |
 *
 * Errors are those of https://platform.claude.com/docs/en/api/errors
 *
 * @since 0.1.0
 */
import type { Json } from "@llm-cache/core/Identity"
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { anthropicMessages } from "./internal/anthropicMessages.ts"
import * as ApiKey from "./internal/apiKey.ts"
import * as Provider from "./internal/provider.ts"
import { invalid } from "./internal/request.ts"
import type { ModelOptions } from "./OpenAiCompatible.ts"

/**
 * A model, and the key to it.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends Omit<ModelOptions, "maxBatch" | "parameters"> {
  /** The most tokens of a sample, which the protocol wants, and the other sampling parameters: `top_p`, `top_k`, …. */
  readonly parameters: { readonly max_tokens: number; readonly [name: string]: Json | undefined }
  /**
   * The URL before `/v1/messages`, with or without a slash at its end.
   *
   * @default `https://api.anthropic.com`
   */
  readonly baseUrl?: string | undefined
  /** @default the configuration variable `ANTHROPIC_API_KEY` */
  readonly apiKey?: Redacted.Redacted | undefined
}

/**
 * Makes a model. Fails with an `InvalidInput` for options that no request can be made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<LlmModel.Model, InvalidInput, HttpClient> {
  const most = options.parameters?.max_tokens
  if (!(Number.isSafeInteger(most) && most > 0)) {
    return yield* invalid(
      anthropicMessages,
      `\`max_tokens\` is ${most}: give the most tokens of a sample in \`parameters\``
    )
  }
  return yield* Provider.make(anthropicMessages, {
    ...options,
    maxBatch: 1,
    name: options.baseUrl === undefined ? "Anthropic" : undefined,
    id: "anthropic",
    baseUrl: options.baseUrl ?? "https://api.anthropic.com",
    apiKey: options.apiKey === undefined
      ? yield* ApiKey.fromVariable("ANTHROPIC_API_KEY")
      : ApiKey.fromValue(options.apiKey)
  })
})

/**
 * Provides a model.
 *
 * **Example** (A model)
 *
 * ```ts
 * import { Anthropic } from "@llm-cache/providers"
 *
 * const model = Anthropic.layer({
 *   model: "claude-sonnet-4-5",
 *   temperature: 1,
 *   parameters: { max_tokens: 1024 }
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<LlmModel.LlmModel, InvalidInput, HttpClient> =>
  Layer.effect(LlmModel.LlmModel, make(options))
