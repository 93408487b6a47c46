/**
 * Models of Anthropic, over its own protocol: `POST {baseUrl}/v1/messages`,
 * https://platform.claude.com/docs/en/api/messages/create
 *
 * **When to use**
 *
 * Use it for Claude at Anthropic, or at a gateway that speaks this protocol.
 *
 * **Details**
 *
 * A request sends `model`, `temperature` (if it is given), `system` (if any), the prompt as the user's message and the
 * `parameters` and the fields of `request`, with the headers `x-api-key` and `anthropic-version: 2023-06-01`. The protocol requires `max_tokens`,
 * which cuts long samples: it has no default here, and is part of the identity like the other parameters.
 *
 * Anthropic gives one sample per request. For several samples the model sends several requests, up to `concurrency` at
 * once, each with its own counts of tokens.
 *
 * The outcomes are those in the table of `OpenAiCompatible`, except for:
 *
 * | answer | outcome |
 * | --- | --- |
 * | `content` with blocks of type `text` | a sample: their texts, joined |
 * | no block of type `text` (no block at all, only `thinking`, `tool_use`), and a `stop_reason` | the empty sample, with the finish reason in its metadata |
 * | the same without a `stop_reason` | `UnusableResponse` |
 * | blocks of type `thinking`, the `explanation` of a refusal | in the metadata of the sample |
 * | `usage` with tokens in Anthropic's own cache | counted as tokens of the prompt, like the others |
 * | a text that was cut short, with `stop_reason` `max_tokens` or `refusal` | a sample with that finish reason in its metadata |
 * | 200 with `{"type": "error", …}` | the reason of its type |
 * | 402 (`billing_error`) | `QuotaExhausted` |
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
import * as ApiKey from "./internal/apiKey.ts"
import { failInvalid } from "./internal/checkOptions.ts"
import { makeModel } from "./internal/makeModel.ts"
import { anthropicMessages } from "./internal/protocol/anthropicMessages.ts"
import type { ApiKey as Key, ModelOptions } from "./ModelOptions.ts"

/**
 * A model, its server's URL and the API key.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends Omit<ModelOptions, "maxBatch" | "parameters"> {
  /**
   * The URL before `/v1/messages`, with or without a slash at its end.
   *
   * @default `https://api.anthropic.com`
   */
  readonly baseUrl?: string | undefined
  /**
   * The API key.
   *
   * @default the configuration variable `ANTHROPIC_API_KEY`
   */
  readonly apiKey?: Key | undefined
  /** The most tokens of a sample, which the protocol requires, and other sampling parameters: `top_p`, `top_k`, …. */
  readonly parameters: { readonly max_tokens: number; readonly [name: string]: Json | undefined }
}

/**
 * Makes a model. Fails with an `InvalidInput` for invalid options.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<LlmModel.Model, InvalidInput, HttpClient> {
  const maxTokens = options.parameters?.max_tokens
  if (!(Number.isSafeInteger(maxTokens) && maxTokens > 0)) {
    return yield* failInvalid(
      anthropicMessages,
      `\`max_tokens\` is ${maxTokens}: give the most tokens of a sample in \`parameters\``
    )
  }
  return yield* makeModel(anthropicMessages, options, {
    name: options.baseUrl === undefined ? "Anthropic" : undefined,
    telemetryName: "anthropic",
    baseUrl: options.baseUrl ?? "https://api.anthropic.com",
    maxBatch: 1,
    apiKey: yield* ApiKey.fromOptionOrVariable(options.apiKey, "ANTHROPIC_API_KEY")
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
