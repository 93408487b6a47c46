/**
 * Models of an Ollama server, over its own protocol: `POST {baseUrl}/api/chat`, https://docs.ollama.com/api/chat
 *
 * **When to use**
 *
 * Use it for models on your own machine. Unlike Ollama's endpoint for OpenAI's protocol it takes `num_ctx`, `min_p`,
 * `think` and the like. Its answers begin at once, so a slow model runs into no time limit of an HTTP client before its
 * first word.
 *
 * **Details**
 *
 * A request sends `model`, `messages` (the `system` text, if any, and the prompt as the user's message) and
 * `stream: true`. Of the `parameters` and the fields of `request`, `format`, `think` and `keep_alive` are sent beside them. All others are sent as
 * `options`, with `temperature`: `num_predict`, `top_p`, `seed`, `stop`, …
 *
 * Ollama gives one sample per request. For several samples the model sends several requests, up to `concurrency` at once,
 * each with its own counts of tokens. The server answers `OLLAMA_NUM_PARALLEL` of them at a time, and queues the others.
 *
 * The outcomes are those in the table of `OpenAiCompatible`, except for:
 *
 * | answer | outcome |
 * | --- | --- |
 * | lines of JSON, the last with `done: true` | a sample: their `message.content`, joined |
 * | no `message.content` in any line (only `tool_calls`, `thinking`), and a `done_reason` | the empty sample, with the finish reason in its metadata |
 * | the same without a `done_reason` | `UnusableResponse` |
 * | `message.thinking` | in the metadata of the sample |
 * | `done_reason: "load"` or `"unload"` | `ServerFault`, retried: the server did not ask the model |
 * | `done_reason: "length"` | a sample with that finish reason in its metadata |
 * | no `prompt_eval_count`, `eval_count`, `done_reason`, `model` | a sample without these metadata |
 * | an end before `done: true`, also in the middle of a line | `Transport`, retried |
 * | a line with `error`, also after pieces of a text | `ServerFault`, retried; another reason if it says more |
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
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as ApiKey from "./internal/apiKey.ts"
import { makeModel } from "./internal/makeModel.ts"
import { ollamaChat } from "./internal/protocol/ollamaChat.ts"
import type { ApiKey as Key, ModelOptions } from "./ModelOptions.ts"

/**
 * A model, its server's URL and the API key.
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
   * The API key, for `https://ollama.com` or a server behind a gateway. It is sent as a bearer token.
   *
   * @default none is sent
   */
  readonly apiKey?: Key | undefined
}

/**
 * Makes a model. Fails with an `InvalidInput` for invalid options.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<LlmModel.Model, InvalidInput, HttpClient> =>
  Effect.flatMap(
    options.apiKey === undefined ? Effect.succeed(ApiKey.none) : ApiKey.fromOption(options.apiKey),
    (apiKey) =>
      makeModel(ollamaChat, options, {
        telemetryName: "ollama",
        baseUrl: options.baseUrl ?? "http://localhost:11434",
        maxBatch: 1,
        apiKey
      })
  )

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
