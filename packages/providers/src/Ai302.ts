/**
 * Models of 302.ai, at `https://api.302.ai/v1`.
 *
 * @since 0.1.0
 */
import { vendor } from "./internal/vendor.ts"

const of = vendor({ name: "302.ai", id: "302.ai", baseUrl: "https://api.302.ai/v1", key: "AI302_API_KEY" })

/**
 * Makes a model of 302.ai. Fails with an `InvalidInput` for options that no request can be made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = of.make

/**
 * Provides a model of 302.ai, with the key that configuration has as `AI302_API_KEY`.
 *
 * **Details**
 *
 * An `n` is sent; where one sample comes back, the model asks for one at a time from then on, by up to `concurrency` requests
 * at once.
 * `options.apiKey` is taken instead where it is given. Everything else is as in `OpenAiCompatible`.
 *
 * **Example** (A model)
 *
 * ```ts
 * import { Ai302 } from "@llm-cache/providers"
 *
 * const model = Ai302.layer({
 *   model: "deepseek-v3-huoshan",
 *   temperature: 0.5,
 *   alias: "deepseek-v3"
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = of.layer
