/**
 * Models behind the protocol of OpenAI's chat completions, which most providers and local servers speak:
 * `POST {baseUrl}/chat/completions` over Effect's `HttpClient`.
 *
 * **When to use**
 *
 * Use the modules of the vendors where there is one (`OpenAi`, `OpenRouter`, `DeepSeek`, `Together`, `Groq`, `Mistral`,
 * `Ai302`, `CloseAi`, `FireworksAi`, `Xmcp`), `Ollama` and `Anthropic` for the servers with protocols of their own, and
 * this one for every other server: vLLM, llama.cpp, a gateway.
 *
 * **Details**
 *
 * A request sends `model`, `temperature` (unless it is absent), `n`, `messages` (the `system` text, if any, and the
 * prompt as the user's) and the `parameters`. What comes of it:
 *
 * | answer | outcome |
 * | --- | --- |
 * | fewer choices than asked for | they are used, and the next draw asks for the rest |
 * | one choice where several were asked for | the server does not look at `n`: from then on each request asks for one, and up to `concurrency` are sent at once |
 * | more choices than asked for | all are used: a cache above keeps them |
 * | a choice without a text (`content: null`, no `message`, only tool calls) | is dropped, the others are used |
 * | a choice with an `error` | is dropped, the others are used |
 * | `content` in parts | a sample: the texts of its parts of type `text`, joined |
 * | `content: ""` | a sample like any other |
 * | a text that was cut short, with `length` or `content_filter` for a finish reason | a sample; its metadata say so |
 * | an escaped lone surrogate, a byte that is not UTF-8 | a sample with U+FFFD in its place |
 * | no `usage`, no `model` | fine: the sample's metadata do not have them |
 * | no choices; none with a text | `UnusableResponse` |
 * | none with a text, and a `refusal`, or `content_filter` for a finish reason | `ContentPolicy` |
 * | 200 with `{"error": …}`, with HTML, with what is not JSON | `UnusableResponse` that quotes it |
 * | more than 32 MiB, or no end | `UnusableResponse`; the rest is not read |
 * | no key, an empty key | `BadKey` that names what to set, before anything is sent |
 * | 401, 403 | `BadKey` |
 * | 400, 413, 422 that speaks of the context's length | `ContextTooLong` |
 * | 4xx that speaks of a content filter or policy | `ContentPolicy` |
 * | any other 4xx, 404 included | `BadRequest` |
 * | a redirect | `BadRequest` that says where it leads (see below) |
 * | 429 | `RateLimited`, retried, and the whole provider slows down (see `Limits`) |
 * | 408; no whole answer within `timeout`, headers or body | `Timeout`, retried |
 * | 409, 425, 5xx | `ServerFault`, retried |
 * | no connection; one cut before the headers or in the body | `Transport`, retried |
 *
 * Nothing that is not a text of the model becomes a sample.
 *
 * **Retries** follow `retry`, and wait at least as long as a `Retry-After` asks (seconds or a date). One that asks for
 * more than 5 minutes is not waited for: the error, with its `retryAfter`, is given at once. Nothing else is retried,
 * an unusable response neither: a program that wants another draw asks for one.
 *
 * **Keys** are looked up when a request is made, not when the layer is built: a program that draws everything from a
 * cache needs none. They are in no error, log or span: what a message quotes of a server's answer is cut short, and
 * the key in it is replaced by `<redacted>`. White space around a key is dropped.
 *
 * **Redirects** are not followed, so that the key and the prompt go nowhere else. `FetchHttpClient` follows them by
 * itself, with the prompt, and without the key where the origin changes; the answer it brings is refused all the same.
 *
 * **Gotchas**
 *
 * `FetchHttpClient` on Node gives up after 5 minutes without headers, or without a byte of the body, whatever `timeout`
 * says. For longer answers use `NodeHttpClient` of `@effect/platform-node`.
 *
 * @since 0.1.0
 */
import type * as Identity from "@llm-cache/core/Identity"
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import type { ProviderError } from "@llm-cache/core/SampleError"
import * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Schedule from "effect/Schedule"
import * as ApiKey from "./internal/apiKey.ts"
import { chatCompletions } from "./internal/chatCompletions.ts"
import * as Provider from "./internal/provider.ts"
import type * as Limits from "./Limits.ts"

/**
 * What is sampled, and how requests are made.
 *
 * **Details**
 *
 * `model` (or `alias`), `temperature`, `parameters` and `system` are the identity of the model. `system` is in it as a
 * parameter of that name: give it as one where only the identity is given, as in `Persistent.layerReplication`.
 *
 * @category options
 * @since 0.1.0
 */
export interface ModelOptions extends Identity.Options {
  /**
   * The most samples that one request may ask for. Give 1 for a provider that refuses more. One that merely brings
   * fewer needs nothing.
   *
   * @default no limit
   */
  readonly maxBatch?: number | undefined
  /**
   * How many requests are sent at once to a server that takes one sample per request: where `maxBatch` is 1, or where it
   * turns out that it does not look at `n`.
   *
   * @default 8
   */
  readonly concurrency?: number | undefined
  /**
   * The limits of the vendor, for this model alone.
   *
   * @default those of the `Limits` that the layer is built over, and without such no limit
   */
  readonly limits?: Limits.Options | undefined
  /**
   * A system message before the prompt.
   *
   * @default none is sent
   */
  readonly system?: string | undefined
  /**
   * How long a request may take, to the last byte of its answer. Each retry has as long again. Waiting for a limit does
   * not count.
   *
   * @default 10 minutes
   */
  readonly timeout?: Duration.Input | undefined
  /**
   * When to send a request again that failed for a reason that may pass. `Schedule.recurs(0)` turns retries off.
   *
   * @default after about 1, 2, 4, 8, 16 and 32 seconds, each up to a fifth shorter or longer
   */
  readonly retry?: Schedule.Schedule<unknown, ProviderError> | undefined
}

/**
 * A model, where its server is, and the key to it.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends ModelOptions {
  /** The URL before `/chat/completions`, such as `https://api.openai.com/v1`, with or without a slash at its end. */
  readonly baseUrl: string
  /** For a server that needs none, any text that is not empty. */
  readonly apiKey: Redacted.Redacted
}

/**
 * A model of a vendor, whose URL is known.
 *
 * @category options
 * @since 0.1.0
 */
export interface VendorOptions extends ModelOptions {
  /**
   * The key to the vendor.
   *
   * @default the configuration variable of the vendor
   */
  readonly apiKey?: Redacted.Redacted | undefined
}

/**
 * A model of which configuration tells what `options` do not.
 *
 * @category options
 * @since 0.1.0
 */
export interface ConfigOptions extends Omit<ModelOptions, "model" | "temperature"> {
  /** @default `LLM_BASE_URL` */
  readonly baseUrl?: string | Config.Config<string> | undefined
  /** @default `LLM_API_KEY` */
  readonly apiKey?: Redacted.Redacted | Config.Config<Redacted.Redacted> | undefined
  /** @default `LLM_MODEL` */
  readonly model?: string | Config.Config<string> | undefined
  /** @default `LLM_TEMPERATURE`, and the provider's default where that is not set */
  readonly temperature?: number | Config.Config<number | undefined> | undefined
}

/**
 * Makes a model. Fails with an `InvalidInput` for options that no request can be made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<LlmModel.Model, InvalidInput, HttpClient> =>
  Provider.make(chatCompletions, { ...options, apiKey: ApiKey.fromValue(options.apiKey) })

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
 * Provides a model as configuration says, so that a finished program can be pointed at another server or another model
 * from outside.
 *
 * **Details**
 *
 * Reads `LLM_BASE_URL`, `LLM_MODEL`, `LLM_TEMPERATURE` (where it is not set, none is sent) and `LLM_API_KEY`. Each can
 * be given in `options` instead, as it is or as a `Config`. The key is read when a request is made, and fails as
 * `BadKey`; the others are read when the layer is built, and fail as `ConfigError`.
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
    Effect.gen(function*() {
      const { apiKey } = options
      return yield* Provider.make(chatCompletions, {
        ...options,
        baseUrl: yield* resolve(options.baseUrl ?? Config.NonEmptyString("LLM_BASE_URL")),
        model: yield* resolve(options.model ?? Config.NonEmptyString("LLM_MODEL")),
        temperature: yield* resolve(
          options.temperature ?? Config.Finite("LLM_TEMPERATURE").pipe(Config.withDefault(undefined))
        ),
        apiKey: Redacted.isRedacted(apiKey)
          ? ApiKey.fromValue(apiKey)
          : yield* apiKey === undefined ? ApiKey.fromVariable("LLM_API_KEY") : ApiKey.fromConfig(apiKey)
      })
    })
  )

const resolve = <A>(value: A | Config.Config<A>): Effect.Effect<A, Config.ConfigError> =>
  Config.isConfig(value) ? value : Effect.succeed(value)
