/**
 * Models behind OpenAI's protocol of chat completions, which most providers and local servers speak:
 * `POST {baseUrl}/chat/completions` over Effect's `HttpClient`.
 *
 * **When to use**
 *
 * Use `layer` for a server of your own (vLLM, llama.cpp, a gateway), and `vendor` to add a vendor. For the vendors of
 * this package use `OpenAi`, `OpenRouter` and the others in `Vendors`. `Ollama` and `Anthropic` speak protocols of their
 * own.
 *
 * **Details**
 *
 * A request sends `model`, `temperature` (if it is given), `n` (if it is above 1), `messages` (the `system` text, if any, and
 * the prompt as the user's message), the `parameters` and the fields of `request`. The answer decides the outcome:
 *
 * | answer | outcome |
 * | --- | --- |
 * | fewer choices than `n` | samples; the next draw asks for the rest |
 * | one choice for an `n` above 1 | a sample; the server ignores `n`, so each later request asks for one, and up to `concurrency` are sent at once |
 * | more choices than `n` | samples; a cache above keeps them all |
 * | `content` in parts | a sample: its parts of type `text`, joined |
 * | no text (`content: null`, reasoning alone, a `refusal`, a call of a tool), and a finish reason | the empty sample, with the finish reason in its metadata |
 * | a text that was cut short, with finish reason `length` or `content_filter` | a sample with that finish reason in its metadata |
 * | `reasoning`, `reasoning_content`, `refusal` | in the metadata of the sample |
 * | a choice with an `error`, or with finish reason `error`, `abort` or `insufficient_system_resource` | no sample; the other choices are used |
 * | a malformed choice, or one without a text and a finish reason | no sample; the other choices are used |
 * | an escaped lone surrogate, a byte outside UTF-8 | a sample with U+FFFD in its place |
 * | no `usage`, no `model` | a sample without these metadata |
 * | a stream of events, although none was asked for | its samples |
 * | JSON with `NaN` or `Infinity` | its samples |
 * | no choices; only malformed choices; a web page; no JSON | `UnusableResponse` that quotes it |
 * | 200 with `{"error": …}` | the reason of the status, code or type in it; `UnusableResponse` if it has none |
 * | packed (gzip, br, zstd, deflate) | unpacked, up to 32 MiB |
 * | more than 32 MiB, or no end | `UnusableResponse`; the rest is not read |
 * | no key, an empty key | `BadKey` that says which option or variable to set, before anything is sent |
 * | 401, 403; 400 that mentions a wrong key | `BadKey` |
 * | 402; any other status with an empty account, also 429 | `QuotaExhausted` |
 * | 400, 413, 422 that mentions the context's length | `ContextTooLong` |
 * | 4xx that mentions a content filter or policy | `ContentPolicy` |
 * | any other 4xx, 404 included; 501, 505 | `BadRequest` |
 * | a redirect | `BadRequest` with the URL it leads to (see below) |
 * | 429; 403 with `Retry-After` | `RateLimited`, retried, and the whole provider slows down (see `Limits`) |
 * | 408; no whole answer within `timeout`, headers or body | `Timeout`, retried |
 * | 409, 424, 425, 498, any other 5xx | `ServerFault`, retried |
 * | no connection; a cut before the headers or in the body; JSON that ends early | `Transport`, retried |
 * | a certificate that is not trusted | `UntrustedCertificate` |
 *
 * Every choice with a finish reason is an answer of the model, and so a sample: `excludeFinishReasons` of `Persistent` leaves
 * out samples by their finish reason. Choices that are no samples are in the event `RequestDone`, and `Usage` counts them. If
 * none of the choices is a sample, the request fails.
 *
 * **Retries** follow `retry`, and wait at least as long as a `Retry-After` asks (seconds, `2s` or a date), a
 * `retry-after-ms` or Gemini's `RetryInfo` asks. If it asks for more than 5 minutes, the draw fails at once, with `retryAfter` in the error. No other error is retried, also not an unusable
 * response: draw again for another sample.
 *
 * **Keys** are looked up for each request, not when the layer is built, so a program that draws everything from a cache
 * needs none. No error, log or span holds the key: messages quote a server's answer only in part, with `<redacted>` in
 * place of the key, unless it is shorter than 8 characters. White space around a key is dropped.
 *
 * **Redirects** are not followed, so that the key and the prompt go to no other server. If a client follows them by itself,
 * its answer is rejected all the same.
 *
 * **Gotchas**
 *
 * `FetchHttpClient` on Node gives up after 5 minutes without headers, or without a byte of the body, even if `timeout` is
 * longer. For longer answers use `NodeHttpClient` of `@effect/platform-node`.
 *
 * @since 0.1.0
 */
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as ApiKey from "./internal/apiKey.ts"
import { failInvalid } from "./internal/checkOptions.ts"
import { fromConfig } from "./internal/fromConfig.ts"
import { makeModel } from "./internal/makeModel.ts"
import { chatCompletions } from "./internal/protocol/chatCompletions.ts"
import type { ApiKey as Key, ModelOptions } from "./ModelOptions.ts"

/**
 * A model, its server's URL and the API key.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends ModelOptions {
  /** The URL before `/chat/completions`, such as `https://api.openai.com/v1`, with or without a slash at its end. */
  readonly baseUrl: string
  /** The API key. For a server without keys, give any text but an empty one. */
  readonly apiKey: Key
}

/**
 * A model with options from configuration.
 *
 * @category options
 * @since 0.1.0
 */
export interface ConfigOptions extends Omit<ModelOptions, "model" | "temperature"> {
  /** @default `LLM_BASE_URL` */
  readonly baseUrl?: string | Config.Config<string> | undefined
  /** @default `LLM_API_KEY` */
  readonly apiKey?: Key | undefined
  /** @default `LLM_MODEL` */
  readonly model?: string | Config.Config<string> | undefined
  /** @default `LLM_TEMPERATURE`, and the provider's default if that is not set */
  readonly temperature?: number | Config.Config<number | undefined> | undefined
}

/**
 * The facts about a vendor that `vendor` needs.
 *
 * @category options
 * @since 0.1.0
 */
export interface VendorFacts {
  /** The vendor's name in error messages. */
  readonly name: string
  /** The URL before `/chat/completions`, with or without a slash at its end. */
  readonly baseUrl: string
  /** The configuration variable with the API key. */
  readonly keyVariable: string
  /**
   * The most samples that the vendor gives for one request. Give 1 if it rejects a higher `n`.
   *
   * @default no limit
   */
  readonly maxBatch?: number | undefined
  /**
   * The vendor's name in spans and metrics.
   *
   * @default the host of `baseUrl`
   */
  readonly telemetryName?: string | undefined
  /**
   * The way in which `ChatCompletionsModel` asks the vendor for structured output.
   *
   * @default "json_schema"
   */
  readonly structuredOutput?: "json_schema" | "json_object" | "tool" | "prompt" | undefined
  /**
   * Whether the vendor takes `stream_options`, which `ChatCompletionsModel` sends to get the usage of a stream.
   *
   * @default true
   */
  readonly streamUsage?: boolean | undefined
}

/**
 * A model of a vendor.
 *
 * @category options
 * @since 0.1.0
 */
export interface VendorOptions extends ModelOptions {
  /**
   * The API key.
   *
   * @default the vendor's configuration variable
   */
  readonly apiKey?: Key | undefined
}

/**
 * The models of a vendor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Vendor {
  /** The facts that it was made of. */
  readonly facts: VendorFacts
  /** Makes a model. Fails with an `InvalidInput` for invalid options. */
  readonly make: (options: VendorOptions) => Effect.Effect<LlmModel.Model, InvalidInput, HttpClient>
  /** Provides a model. */
  readonly layer: (options: VendorOptions) => Layer.Layer<LlmModel.LlmModel, InvalidInput, HttpClient>
}

/**
 * Makes a model. Fails with an `InvalidInput` for invalid options.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<LlmModel.Model, InvalidInput, HttpClient> =>
  Effect.flatMap(
    ApiKey.fromOption(options.apiKey),
    (apiKey) => makeModel(chatCompletions, options, { baseUrl: options.baseUrl, maxBatch: options.maxBatch, apiKey })
  )

/**
 * Provides a model.
 *
 * **Example** (A local server)
 *
 * ```ts
 * import { LlmModel } from "@llm-cache/core"
 * import { OpenAiCompatible } from "@llm-cache/providers"
 * import { Effect, Layer, Redacted } from "effect"
 * import { FetchHttpClient } from "effect/http"
 *
 * const model = OpenAiCompatible.layer({
 *   baseUrl: "http://127.0.0.1:11434/v1",
 *   apiKey: Redacted.make("none"),
 *   model: "qwen2.5:7b",
 *   temperature: 1,
 *   parameters: { max_tokens: 100 }
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

/**
 * Provides a model from configuration, so that users can choose the server and the model of a finished program.
 *
 * **Details**
 *
 * Reads `LLM_BASE_URL`, `LLM_MODEL`, `LLM_TEMPERATURE` (if it is not set, none is sent) and `LLM_API_KEY`. Give an option
 * to replace a variable, as a value or as a `Config`. The key is read for each request, and fails as `BadKey`. The others
 * are read when the layer is built, and fail as `ConfigError`.
 *
 * **Example** (The model and the key from the environment)
 *
 * ```ts
 * import { OpenAiCompatible } from "@llm-cache/providers"
 * import { Config } from "effect"
 *
 * const model = OpenAiCompatible.layerConfig({
 *   baseUrl: "https://api.openai.com/v1",
 *   apiKey: Config.Redacted("OPENAI_API_KEY")
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: ConfigOptions = {}
): Layer.Layer<LlmModel.LlmModel, InvalidInput | Config.ConfigError, HttpClient> =>
  Layer.effect(
    LlmModel.LlmModel,
    Effect.flatMap(
      fromConfig(options),
      ({ apiKey, baseUrl, model, temperature }) =>
        makeModel(chatCompletions, { ...options, model, temperature }, { baseUrl, maxBatch: options.maxBatch, apiKey })
    )
  )

/**
 * Makes a vendor with an API that is compatible with OpenAI's.
 *
 * **Example** (A vendor in one line)
 *
 * ```ts
 * import { OpenAiCompatible } from "@llm-cache/providers"
 *
 * const Acme = OpenAiCompatible.vendor({ name: "Acme", baseUrl: "https://acme.example/v1", keyVariable: "ACME_API_KEY" })
 *
 * const model = Acme.layer({ model: "large", temperature: 1 })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const vendor = (facts: VendorFacts): Vendor => {
  const make = Effect.fnUntraced(function*(
    options: VendorOptions
  ): Effect.fn.Return<LlmModel.Model, InvalidInput, HttpClient> {
    if ("baseUrl" in options && options.baseUrl !== undefined) {
      return yield* failInvalid(
        chatCompletions,
        `\`baseUrl\` is that of ${facts.name} already: leave it out, or give it to \`OpenAiCompatible.layer\``
      )
    }
    return yield* makeModel(chatCompletions, options, {
      name: facts.name,
      telemetryName: facts.telemetryName,
      baseUrl: facts.baseUrl,
      maxBatch: options.maxBatch ?? facts.maxBatch,
      apiKey: yield* ApiKey.fromOptionOrVariable(options.apiKey, facts.keyVariable)
    })
  })
  return { facts, make, layer: (options) => Layer.effect(LlmModel.LlmModel, make(options)) }
}
