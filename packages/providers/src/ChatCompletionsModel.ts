/**
 * Effect's `LanguageModel` over OpenAI's protocol of chat completions, which most providers and local servers speak: texts, files,
 * tools, objects, reasoning and streams.
 *
 * **When to use**
 *
 * Use it in programs of `effect/ai`: chats, toolkits, `generateObject`, `streamText`. For samples of one prompt, which the layers of
 * `@llm-cache/core` record, use `OpenAiCompatible` and `Vendors`.
 *
 * **Details**
 *
 * The connection is that of `OpenAiCompatible`, by the same code: retries and `Retry-After`, `Limits`, keys that are looked up for
 * each request and are in no error, redirects that are not followed, packed answers, the bound of 32 MiB.
 *
 * | answer | outcome |
 * | --- | --- |
 * | `content`, as a text or in parts | a `text` part |
 * | `reasoning_content`, `reasoning`, `reasoning_details`, parts of type `thinking` | a `reasoning` part; it goes back to the server with a call of a tool, and details of it always |
 * | `tool_calls` | `tool-call` parts; a call without an id gets one, and empty arguments are `{}` |
 * | arguments that are no JSON | a `tool-call` with the text as `params`, which the tool rejects: `ToolParameterValidationError`, or a failure for the model |
 * | a tool that was not offered | `ToolNotFoundError` |
 * | `refusal` | an empty `text` part with the refusal in its metadata, and the finish reason `content-filter` |
 * | `images`, `annotations` | `file` and `source` parts |
 * | finish reasons | those of Effect; the server's own is in the metadata of the `finish` part |
 * | a whole answer to a request for a stream, or a stream to one for a whole answer | is read all the same |
 * | a stream with `[DONE]`, or a finish reason, and nothing behind it | whole |
 * | a stream that ends before, is cut or is silent for `idleTimeout` | `NetworkError` after its parts; if it had none, a retry |
 * | an `error` in a stream | its reason after its parts; if it had none, a retry of a transient one |
 *
 * | `reason` of the `AiError` | failures |
 * | --- | --- |
 * | `AuthenticationError` | no key (`MissingKey`), a wrong key, 403 |
 * | `RateLimitError`, `QuotaExhaustedError` | 429; an empty account |
 * | `ContentPolicyError` | a content filter refused the prompt |
 * | `InvalidRequestError` | any other 4xx, a context that is too long, a redirect, a wrong field of `Config` |
 * | `InvalidUserInputError`, `UnsupportedSchemaError` | a file, a tool or a schema that the protocol has no form for; nothing is sent |
 * | `InternalProviderError` | 5xx |
 * | `NetworkError` | no connection, a cut, a time limit |
 * | `InvalidResponseError` | an answer that breaks the protocol, or has more than 32 MiB |
 * | `UnknownError` | a certificate that is not trusted |
 *
 * `metadata.chatCompletions` of a reason has the `description` in whole sentences, the `status` and the `tries`.
 *
 * **Options of prompts**: fields of `options.chatCompletions` go into the message or the part as they are, such as
 * `{ chatCompletions: { cache_control: { type: "ephemeral" } } }`, and `detail` into an image.
 *
 * **Gotchas**
 *
 * The barrel of the package does not load this module, because `effect/ai` takes time at the start of a program. Import
 * `@llm-cache/providers/ChatCompletionsModel`.
 *
 * **Example** (A chat with a vendor)
 *
 * ```ts
 * import { OpenRouter } from "@llm-cache/providers"
 * import * as ChatCompletionsModel from "@llm-cache/providers/ChatCompletionsModel"
 * import { Effect, Layer } from "effect"
 * import { Chat } from "effect/ai"
 * import { FetchHttpClient } from "effect/http"
 *
 * // The key is in OPENROUTER_API_KEY.
 * const model = ChatCompletionsModel.layer({
 *   vendor: OpenRouter,
 *   model: "openai/gpt-4o",
 *   config: { temperature: 0.7 }
 * }).pipe(Layer.provide(FetchHttpClient.layer))
 *
 * const program = Effect.gen(function*() {
 *   const chat = yield* Chat.fromPrompt([{ role: "system", content: "Be brief." }])
 *   const { text } = yield* chat.generateText({ prompt: "A word for joy?" })
 *   return text
 * }).pipe(Effect.provide(model))
 * ```
 *
 * @since 0.1.0
 */
import type { Json } from "@llm-cache/core/Identity"
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import { LanguageModel } from "effect/ai/LanguageModel"
import type * as EffectConfig from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ApiKey from "./internal/apiKey.ts"
import { checkTimeout } from "./internal/checkOptions.ts"
import type { Server } from "./internal/connection.ts"
import { fromConfig } from "./internal/fromConfig.ts"
import { checkConfig, checkOptions } from "./internal/languageModel/checkConfig.ts"
import { makeLanguageModel, protocol } from "./internal/languageModel/makeLanguageModel.ts"
import { makeSchemas } from "./internal/languageModel/outputSchema.ts"
import type { ApiKey as Key, ModelOptions } from "./ModelOptions.ts"
import type { Vendor, VendorFacts } from "./OpenAiCompatible.ts"

/**
 * The fields of a request beside the model: its sampling parameters, and any other field that the server takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestFields {
  readonly temperature?: number | undefined
  readonly top_p?: number | undefined
  readonly max_tokens?: number | undefined
  readonly max_completion_tokens?: number | undefined
  readonly stop?: string | ReadonlyArray<string> | undefined
  readonly seed?: number | undefined
  readonly frequency_penalty?: number | undefined
  readonly presence_penalty?: number | undefined
  readonly reasoning_effort?: string | undefined
  readonly parallel_tool_calls?: boolean | undefined
  readonly [field: string]: Json | undefined
}

/**
 * The fields of a request, the model included.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigFields extends RequestFields {
  readonly model?: string | undefined
}

/**
 * The fields of the requests in a part of a program. They go over those of the layer.
 *
 * @category services
 * @since 0.1.0
 */
export class Config extends Context.Service<Config, ConfigFields>()(
  "@llm-cache/providers/ChatCompletionsModel/Config"
) {}

/**
 * The options of a model at any server.
 *
 * @category options
 * @since 0.1.0
 */
export interface CommonOptions extends Pick<ModelOptions, "headers" | "limits" | "query" | "retry" | "timeout"> {
  /** The fields of each request, beside the model. */
  readonly config?: RequestFields | undefined
  /**
   * How long a stream may be silent: before its first byte, and between two pieces of it. `timeout` is for whole answers.
   *
   * @default 5 minutes
   */
  readonly idleTimeout?: Duration.Input | undefined
  /**
   * How the model is asked for an object:
   *
   * - `json_schema`: the server makes the model keep to the JSON Schema.
   * - `json_object`: the server makes the model write JSON, and a system message has the JSON Schema.
   * - `tool`: the model has to call a tool, whose parameters are the object.
   * - `prompt`: a system message asks for it, and the server knows nothing.
   *
   * @default that of the vendor, mostly `json_schema`
   */
  readonly structuredOutput?: VendorFacts["structuredOutput"]
  /**
   * Whether JSON Schemas of objects keep to the subset that OpenAI enforces. Then tuples and records have another form in JSON,
   * and optional fields may be `null`, which Effect decodes.
   *
   * @default true for `json_schema`, else false
   */
  readonly strictJsonSchema?: boolean | undefined
  /**
   * Whether requests of streams ask for the usage by `stream_options`, which a few servers refuse.
   *
   * @default that of the vendor, mostly true
   */
  readonly streamUsage?: boolean | undefined
}

/**
 * A model of a vendor, or of any other server.
 *
 * @category options
 * @since 0.1.0
 */
export type Options =
  & CommonOptions
  & { readonly model: string }
  & (
    | {
      /** A vendor, such as `OpenRouter`. */
      readonly vendor: Vendor
      /**
       * The API key.
       *
       * @default the vendor's configuration variable
       */
      readonly apiKey?: Key | undefined
      readonly baseUrl?: undefined
    }
    | {
      /** The URL before `/chat/completions`, such as `https://api.openai.com/v1`, with or without a slash at its end. */
      readonly baseUrl: string
      /** The API key. For a server without keys, give any text but an empty one. */
      readonly apiKey: Key
      readonly vendor?: undefined
    }
  )

/**
 * A model with options from configuration.
 *
 * @category options
 * @since 0.1.0
 */
export interface ConfigOptions extends CommonOptions {
  /** @default `LLM_BASE_URL` */
  readonly baseUrl?: string | EffectConfig.Config<string> | undefined
  /** @default `LLM_API_KEY` */
  readonly apiKey?: Key | undefined
  /** @default `LLM_MODEL` */
  readonly model?: string | EffectConfig.Config<string> | undefined
  /** @default `LLM_TEMPERATURE`, and the provider's default if that is not set */
  readonly temperature?: number | EffectConfig.Config<number | undefined> | undefined
}

/**
 * Makes a language model. Fails with an `InvalidInput` for invalid options.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<LanguageModel, InvalidInput, HttpClient> {
  yield* checkOptions(options)
  const { apiKey, model, vendor } = options
  if (vendor === undefined) {
    return yield* makeAt(options, model, { baseUrl: options.baseUrl, apiKey: yield* ApiKey.fromOption(options.apiKey) })
  }
  const { facts } = vendor
  const { baseUrl, name, telemetryName } = facts
  const key = yield* ApiKey.fromOptionOrVariable(apiKey, facts.keyVariable)
  return yield* makeAt(options, model, { name, telemetryName, baseUrl, apiKey: key }, facts)
})

/**
 * Provides a language model.
 *
 * **Example** (A local server)
 *
 * ```ts
 * import * as ChatCompletionsModel from "@llm-cache/providers/ChatCompletionsModel"
 * import { Redacted } from "effect"
 *
 * const model = ChatCompletionsModel.layer({
 *   baseUrl: "http://127.0.0.1:8000/v1",
 *   apiKey: Redacted.make("none"),
 *   model: "qwen2.5:7b",
 *   structuredOutput: "json_object"
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<LanguageModel, InvalidInput, HttpClient> =>
  Layer.effect(LanguageModel, make(options))

/**
 * Provides a language model from configuration, so that users can choose the server and the model of a finished program.
 *
 * **Details**
 *
 * Reads `LLM_BASE_URL`, `LLM_MODEL`, `LLM_TEMPERATURE` (if it is not set, none is sent) and `LLM_API_KEY`, as
 * `OpenAiCompatible.layerConfig` does. Give an option to replace a variable.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: ConfigOptions = {}
): Layer.Layer<LanguageModel, InvalidInput | EffectConfig.ConfigError, HttpClient> =>
  Layer.effect(
    LanguageModel,
    Effect.gen(function*() {
      yield* checkOptions(options)
      const { apiKey, baseUrl, model, temperature } = yield* fromConfig(options)
      const config = temperature === undefined ? options.config : { ...options.config, temperature }
      return yield* makeAt({ ...options, config }, model, { baseUrl, apiKey })
    })
  )

/**
 * Gives other fields to the requests of an effect, over those of the layer.
 *
 * **Details**
 *
 * Overrides nest. For a stream, use `Stream.provideService(Config, { … })`.
 *
 * @category configuration
 * @since 0.1.0
 */
export const withConfigOverride: {
  (overrides: ConfigFields): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Config>>
  <A, E, R>(self: Effect.Effect<A, E, R>, overrides: ConfigFields): Effect.Effect<A, E, Exclude<R, Config>>
} = dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, overrides: ConfigFields): Effect.Effect<A, E, Exclude<R, Config>> =>
    Effect.flatMap(
      Effect.serviceOption(Config),
      (config) => Effect.provideService(self, Config, { ...Option.getOrUndefined(config), ...overrides })
    )
)

const makeAt = Effect.fnUntraced(function*(
  options: CommonOptions,
  model: string,
  server: Server,
  facts?: VendorFacts
): Effect.fn.Return<LanguageModel, InvalidInput, HttpClient> {
  const ofLayer = { ...options.config, model }
  yield* checkConfig(ofLayer)
  const structuredOutput = options.structuredOutput ?? facts?.structuredOutput ?? "json_schema"
  const isStrict = options.strictJsonSchema ?? structuredOutput === "json_schema"
  return yield* makeLanguageModel(
    {
      structuredOutput,
      isStrict,
      schemas: makeSchemas(isStrict),
      streamUsage: options.streamUsage ?? facts?.streamUsage ?? true,
      idleTimeout: yield* checkTimeout(protocol, "idleTimeout", options.idleTimeout ?? "5 minutes"),
      config: Effect.map(Effect.serviceOption(Config), (config) => {
        const overrides = Option.getOrUndefined(config)
        return { ...ofLayer, ...overrides, model: overrides?.model ?? model }
      })
    },
    options,
    server
  )
})
