/**
 * Models of OpenRouter, at `https://openrouter.ai/api/v1`: https://openrouter.ai/docs/api-reference/overview
 *
 * @since 0.1.0
 */
import { vendor } from "./internal/vendor.ts"

const of = vendor({
  name: "OpenRouter",
  id: "openrouter",
  baseUrl: "https://openrouter.ai/api/v1",
  key: "OPENROUTER_API_KEY"
})

/**
 * Makes a model of OpenRouter. Fails with an `InvalidInput` for options that no request can be made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = of.make

/**
 * Provides a model of OpenRouter, with the key that configuration has as `OPENROUTER_API_KEY`.
 *
 * **Details**
 *
 * The documentation of its requests has no `n`, and what becomes of it depends on whom OpenRouter asks. It is sent; where one
 * sample comes back, the model asks for one at a time from then on, by up to `concurrency` requests at once.
 * `options.apiKey` is taken instead where it is given. Everything else is as in `OpenAiCompatible`.
 *
 * **Example** (A model)
 *
 * ```ts
 * import { OpenRouter } from "@llm-cache/providers"
 *
 * const model = OpenRouter.layer({
 *   model: "meta-llama/llama-3.1-8b-instruct",
 *   temperature: 1,
 *   alias: "llama-3.1-8b"
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = of.layer
