/**
 * A provider of your own, from two functions: one makes the body of a request, the other reads the samples of an answer.
 *
 * **When to use**
 *
 * Use it for a server with a protocol of its own. For a server that speaks OpenAI's protocol use `OpenAiCompatible`, and for a
 * model that is no server use `LlmModel.make`.
 *
 * **Details**
 *
 * A request is `POST {url}` with a body in JSON, and with the API key, if there is one, as a bearer token. Everything else is as
 * in `OpenAiCompatible`, by the same code: the outcome of each status and of a broken connection, retries and `Retry-After`,
 * `Limits`, the time limit, packed answers, the bound of 32 MiB, redirects that are not followed, and messages without the
 * key.
 *
 * | answer | outcome |
 * | --- | --- |
 * | `decode` gives samples | these samples; the text may be empty |
 * | `decode` gives one sample for an `n` above 1 | a sample; each later request asks for one, and up to `concurrency` are sent at once |
 * | `decode` gives no sample, throws, or fails with an error of its own | the reason of an error in the answer, else `UnusableResponse` that quotes it |
 * | `decode` fails with a reason of a `ProviderError`, or with a `ProviderError` | that reason, and a retry if it is retryable |
 * | no JSON, unless `format` is `"text"` | `UnusableResponse`; `Transport`, retried, for JSON that ends early |
 *
 * **Gotchas**
 *
 * `model`, `temperature`, `system` and `parameters` are part of the cache key. Send each of them in `request`: a parameter that
 * the server does not get names another cache, and changes no sample.
 *
 * **Example** (A server of one's own)
 *
 * ```ts
 * import { HttpProvider } from "@llm-cache/providers"
 * import { Config, Schema } from "effect"
 *
 * const Answer = Schema.Struct({ samples: Schema.Array(Schema.Struct({ text: Schema.String })) })
 *
 * const model = HttpProvider.layer({
 *   url: "https://llm.example.com/generate",
 *   apiKey: Config.Redacted("EXAMPLE_API_KEY"),
 *   model: "in-house-7b",
 *   temperature: 1,
 *   maxBatch: 16,
 *   request: ({ model, n, prompt, temperature }) => ({ model, prompt, temperature, count: n }),
 *   decode: Schema.decodeUnknownEffect(Answer)
 * })
 * ```
 *
 * @since 0.1.0
 */
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as ApiKey from "./internal/apiKey.ts"
import { failInvalid } from "./internal/checkOptions.ts"
import { makeModel } from "./internal/makeModel.ts"
import { ownProtocol } from "./internal/protocol/ownProtocol.ts"
import type { SamplingOptions } from "./internal/protocol/protocol.ts"
import type { ApiKey as Key, ModelOptions } from "./ModelOptions.ts"

/**
 * The input of a request: the prompt, the number of samples, and the sampling parameters of the options.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestInput extends SamplingOptions {
  readonly prompt: string
  /** The number of samples to ask for, at most `maxBatch`. */
  readonly n: number
}

/**
 * The samples of an answer, alone or with the counts of tokens and other metadata.
 *
 * @category models
 * @since 0.1.0
 */
export type Decoded = LlmModel.Generation["samples"] | LlmModel.Generation

/**
 * A model, its server, and the form of requests and answers.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends Omit<ModelOptions, "request" | "maxBatch"> {
  /** The URL that requests are sent to. */
  readonly url: string
  /**
   * The API key. It is sent as a bearer token. For another header, give `headers`, and no `apiKey`.
   *
   * @default none is sent
   */
  readonly apiKey?: Key | undefined
  /**
   * The name of the provider, for error messages, spans and metrics.
   *
   * @default the host of `url`
   */
  readonly name?: string | undefined
  /**
   * The most samples that one request may ask for.
   *
   * @default 1
   */
  readonly maxBatch?: number | undefined
  /** Makes the body of a request, which is sent as JSON. */
  readonly request: (input: RequestInput) => object
  /**
   * Reads the samples of an answer with a success status: from its JSON or, with `format: "text"`, from its text. It may return an
   * effect, such as that of `Schema.decodeUnknownEffect`.
   */
  readonly decode: (answer: unknown) => Decoded | Effect.Effect<Decoded, Error>
  /**
   * What `decode` gets: the parsed JSON of an answer, or its text.
   *
   * @default "json"
   */
  readonly format?: "json" | "text" | undefined
}

/**
 * Makes a model. Fails with an `InvalidInput` for invalid options.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<LlmModel.Model, InvalidInput, HttpClient> =>
  Effect.suspend(() => {
    const { apiKey, decode, format, maxBatch = 1, name, request, url, ...model } = options
    const protocol = ownProtocol({ decode, format, request })
    // Programs in JavaScript have no type check, and an answer is paid for before it is decoded.
    for (const [option, value] of Object.entries({ decode, request })) {
      if (typeof value !== "function") return failInvalid(protocol, `\`${option}\` is no function: give one`)
    }
    if (format !== undefined && format !== "json" && format !== "text") {
      return failInvalid(protocol, "`format` is unknown: give \"json\" or \"text\"")
    }
    if ("baseUrl" in model && model.baseUrl !== undefined) {
      return failInvalid(protocol, "there is no option `baseUrl`: write `url`, the whole URL of a request")
    }
    return Effect.flatMap(
      apiKey === undefined ? Effect.succeed(ApiKey.none) : ApiKey.fromOption(apiKey),
      (apiKey) =>
        makeModel(protocol, model, {
          name,
          telemetryName: name,
          baseUrl: url,
          maxBatch,
          apiKey
        })
    )
  })

/**
 * Provides a model.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<LlmModel.LlmModel, InvalidInput, HttpClient> =>
  Layer.effect(LlmModel.LlmModel, make(options))
