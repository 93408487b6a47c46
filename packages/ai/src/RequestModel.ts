/**
 * A model of requests: an `LlmModel` with requests to a `LanguageModel` as prompts, and its answers as samples.
 *
 * **When to use**
 *
 * Use it between a provider's `LanguageModel` and the layers of `@llm-cache/core`: `Persistent`, `Repeatable`, `Independent`.
 * Above them, `CachedModel` is a `LanguageModel` again.
 *
 * **Details**
 *
 * The prompts are those of `ModelRequest`, and only `CachedModel` can write them. A draw for another prompt fails with a
 * `BadRequest`. Each draw is one request of one sample. The inner model runs in the context of the program that asks.
 *
 * @since 0.1.0
 */
import type * as Identity from "@llm-cache/core/Identity"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ask } from "./internal/ask.ts"
import type { Check } from "./internal/checkSettings.ts"
import * as ModelRequest from "./ModelRequest.ts"

export type { Check } from "./internal/checkSettings.ts"

/**
 * How a model of requests is named and asked.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends Identity.Options {
  /**
   * The provider's name, for spans and metrics.
   *
   * @default none
   */
  readonly provider?: string | undefined
  /**
   * How many requests are sent at once for one draw of several samples.
   *
   * @default 1
   */
  readonly concurrency?: number | undefined
  /**
   * Whether the provider gives each response an id of its own, see `LlmModel.make`.
   *
   * @default true
   */
  readonly uniqueResponseIds?: boolean | undefined
  /**
   * The reaction if the model and the settings on the provider's span (`gen_ai.request.*`) are not those
   * of the identity and of the call: the request fails and nothing is recorded, or the log has a warning, or nothing.
   *
   * @default "fail"
   */
  readonly check?: Check | undefined
}

/**
 * The settings of a provider's layer.
 *
 * @category options
 * @since 0.1.0
 */
export interface ProviderConfig {
  readonly temperature?: number | undefined
  readonly [name: string]: Identity.Json | undefined
}

/**
 * A distribution as `from` names it: by the settings of the provider's layer.
 *
 * @category options
 * @since 0.1.0
 */
export interface ConfiguredOptions extends Pick<Identity.Options, "alias" | "model"> {
  readonly config: ProviderConfig
}

/**
 * The identity of a model of requests, for replication without a model. It takes the options of `layer`, or the value with `model`
 * and `config` that `from` takes.
 *
 * **Example** (Replay without a provider)
 *
 * ```ts
 * import { CachedModel, RequestModel } from "@llm-cache/ai"
 * import { Persistent } from "@llm-cache/core"
 * import { Layer } from "effect"
 *
 * const model = CachedModel.layer().pipe(
 *   Layer.provideMerge(Persistent.layerReplication({
 *     directory: "cache",
 *     ...RequestModel.identity({ model: "gpt-4o", temperature: 0.7 })
 *   }))
 * )
 * ```
 *
 * @category options
 * @since 0.1.0
 */
export const identity = (options: Identity.Options | ConfiguredOptions): Identity.Options => {
  const { alias, model, parameters, temperature } = "config" in options ? configured(options) : options
  return {
    model,
    temperature,
    ...alias === undefined ? {} : { alias },
    parameters: { ...parameters, request: ModelRequest.version }
  }
}

const configured = ({ config, ...rest }: ConfiguredOptions): Identity.Options => {
  const { temperature, ...parameters } = config
  return { ...rest, temperature, parameters }
}

/**
 * Makes a model of requests from a `LanguageModel`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  inner: LanguageModel.LanguageModel,
  options: Options
): Effect.fn.Return<LlmModel.Model, InvalidInput> {
  const { check = "fail", concurrency, provider, uniqueResponseIds } = options
  if (check !== "fail" && check !== "warn" && check !== "off") {
    return yield* new InvalidInput({
      module: "RequestModel",
      description: `\`check\` ${JSON.stringify(check)} is unknown: give "fail", "warn" or "off"`
    })
  }
  if (options.parameters !== undefined && "request" in options.parameters) {
    return yield* new InvalidInput({
      module: "RequestModel",
      description: "`parameters` has a `request`, which is the name of the encoding's version: give it another name"
    })
  }
  return yield* LlmModel.make({
    ...identity(options),
    provider,
    concurrency,
    uniqueResponseIds,
    maxBatch: 1,
    generate: ask(inner, options, check)
  })
})

/**
 * Provides a model of requests over the `LanguageModel` that is provided.
 *
 * **Example** (A provider, a cache, and a `LanguageModel` again)
 *
 * ```ts
 * import { CachedModel, RequestModel } from "@llm-cache/ai"
 * import { Persistent } from "@llm-cache/core"
 * import { Layer } from "effect"
 * import type { LanguageModel } from "effect/ai"
 *
 * declare const provider: Layer.Layer<LanguageModel.LanguageModel>
 *
 * const model = CachedModel.layer().pipe(
 *   Layer.provideMerge(Persistent.layer({ directory: "~/.llm_cache" })),
 *   Layer.provide(RequestModel.layer({ model: "gpt-4o", temperature: 0.7 })),
 *   Layer.provide(provider)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<LlmModel.LlmModel, InvalidInput, LanguageModel.LanguageModel> =>
  // Fresh: one constant over two models is two models.
  Layer.fresh(
    Layer.effect(LlmModel.LlmModel, Effect.flatMap(LanguageModel.LanguageModel, (inner) => make(inner, options)))
  )

/**
 * Provides a model of requests and the provider beneath it from one value, so that the identity has the settings that are
 * sent.
 *
 * **Details**
 *
 * `provider` is the layer of a provider in Effect's form, a function of `model` and `config`. Every setting of `config` is
 * part of the identity.
 *
 * @category layers
 * @since 0.1.0
 */
export const from = <const Model extends string, Config extends ProviderConfig, E, R>(
  provider: (
    options: { readonly model: Model; readonly config: Config }
  ) => Layer.Layer<LanguageModel.LanguageModel, E, R>,
  options: Omit<Options, "model" | "parameters" | "temperature"> & { readonly model: Model; readonly config: Config }
): Layer.Layer<LlmModel.LlmModel, InvalidInput | E, R> => {
  const { config, model, ...rest } = options
  return Layer.provide(layer({ ...rest, ...configured({ model, config }) }), provider({ model, config }))
}
