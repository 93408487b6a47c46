/**
 * Models of Fireworks AI, at `https://api.fireworks.ai/inference/v1`.
 *
 * @since 0.1.0
 */
import { vendor } from "./internal/vendor.ts"

const of = vendor({
  name: "Fireworks AI",
  id: "fireworks",
  baseUrl: "https://api.fireworks.ai/inference/v1",
  key: "FIREWORKS_API_KEY"
})

/**
 * Makes a model of Fireworks AI. Fails with an `InvalidInput` for options that no request can be made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = of.make

/**
 * Provides a model of Fireworks AI, with the key that configuration has as `FIREWORKS_API_KEY`.
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
 * import { FireworksAi } from "@llm-cache/providers"
 *
 * const model = FireworksAi.layer({
 *   model: "accounts/fireworks/models/llama-v3p1-8b-instruct",
 *   temperature: 1,
 *   alias: "llama-3.1-8b"
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = of.layer
