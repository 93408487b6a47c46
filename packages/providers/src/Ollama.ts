/**
 * Models of an Ollama server, by its own protocol: `POST {baseUrl}/api/chat`, https://docs.ollama.com/api/chat
 *
 * **When to use**
 *
 * Use it for models on your own machine. It is sent what Ollama takes beyond OpenAI's protocol (`num_ctx`, `min_p`,
 * `think`, …), and its answers begin at once, so that a slow model runs into no time limit of an HTTP client before it has
 * said its first word.
 *
 * **Details**
 *
 * A request sends `model`, `messages` (the `system` text, if any, and the prompt as the user's) and `stream: true`. Of
 * the `parameters`, `format`, `think` and `keep_alive` are sent beside them, and all others, with `temperature`, as its
 * `options`: `num_predict`, `top_p`, `seed`, `stop`, …
 *
 * Ollama gives one sample for a request. Several are several requests, up to `concurrency` at once, each with its own
 * counts of tokens; the server answers as many at a time as `OLLAMA_NUM_PARALLEL` says, and lets the others wait.
 *
 * What comes of an answer is as in the table of `OpenAiCompatible`, except for:
 *
 * | answer | outcome |
 * | --- | --- |
 * | lines of JSON, the last with `done: true` | a sample: their `message.content`, joined |
 * | no `message.content` in any line (only `tool_calls`, `thinking`) | `UnusableResponse` |
 * | `done_reason: "length"` | a sample; its metadata say so |
 * | no `prompt_eval_count`, `eval_count`, `done_reason`, `model` | fine: the sample's metadata do not have them |
 * | an end before `done: true`, also in the middle of a line | `Transport`, retried |
 * | a line with `error`, whatever came before it | `ServerFault`, retried; `ContextTooLong` or `ContentPolicy` where it speaks of them |
 * | 404 | `BadRequest`: no such model, or no Ollama there |
 *
 * **Gotchas**
 *
 * With a `seed`, all samples of a prompt are the same.
 *
 * @since 0.1.0
 */
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import type * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as ApiKey from "./internal/apiKey.ts"
import { ollamaChat } from "./internal/ollamaChat.ts"
import * as Provider from "./internal/provider.ts"
import type { ModelOptions } from "./OpenAiCompatible.ts"

/**
 * A model, where its server is, and the key to it where it needs one.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends Omit<ModelOptions, "maxBatch"> {
  /**
   * The URL before `/api/chat`, with or without a slash at its end.
   *
   * @default `http://localhost:11434`
   */
  readonly baseUrl?: string | undefined
  /**
   * The key, for `https://ollama.com` or a server behind a gateway: sent as a bearer token.
   *
   * @default none is sent
   */
  readonly apiKey?: Redacted.Redacted | undefined
}

/**
 * Makes a model. Fails with an `InvalidInput` for options that no request can be made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<LlmModel.Model, InvalidInput, HttpClient> =>
  Provider.make(ollamaChat, {
    ...options,
    maxBatch: 1,
    id: "ollama",
    baseUrl: options.baseUrl ?? "http://localhost:11434",
    apiKey: options.apiKey === undefined ? ApiKey.none : ApiKey.fromValue(options.apiKey)
  })

/**
 * Provides a model.
 *
 * **Example** (A model on this machine)
 *
 * ```ts
 * import { LlmModel } from "@llm-cache/core"
 * import { Ollama } from "@llm-cache/providers"
 * import { Effect, Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 *
 * const model = Ollama.layer({
 *   model: "qwen2.5:7b",
 *   temperature: 1,
 *   parameters: { num_predict: 100, top_p: 0.9 }
 * }).pipe(Layer.provide(FetchHttpClient.layer))
 *
 * const program = LlmModel.sampleMany("Choose a number between 1 and 1000.", 5).pipe(
 *   Effect.provide(model)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<LlmModel.LlmModel, InvalidInput, HttpClient> =>
  Layer.effect(LlmModel.LlmModel, make(options))
