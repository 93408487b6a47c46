/**
 * Models of CloseAI, at `https://api.openai-proxy.org/v1`.
 *
 * @since 0.1.0
 */
import { vendor } from "./internal/vendor.ts"

const of = vendor({
  name: "CloseAI",
  id: "closeai",
  baseUrl: "https://api.openai-proxy.org/v1",
  key: "CLOSEAI_API_KEY"
})

/**
 * Makes a model of CloseAI. Fails with an `InvalidInput` for options that no request can be made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = of.make

/**
 * Provides a model of CloseAI, with the key that configuration has as `CLOSEAI_API_KEY`.
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
 * import { CloseAi } from "@llm-cache/providers"
 *
 * const model = CloseAi.layer({
 *   model: "gpt-4o",
 *   temperature: 1
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = of.layer
