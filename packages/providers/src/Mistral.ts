/**
 * Models of Mistral, at `https://api.mistral.ai/v1`: https://docs.mistral.ai/api/endpoint/chat
 *
 * @since 0.1.0
 */
import { vendor } from "./internal/vendor.ts"

const of = vendor({
  name: "Mistral",
  id: "mistral_ai",
  baseUrl: "https://api.mistral.ai/v1",
  key: "MISTRAL_API_KEY"
})

/**
 * Makes a model of Mistral. Fails with an `InvalidInput` for options that no request can be made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = of.make

/**
 * Provides a model of Mistral, with the key that configuration has as `MISTRAL_API_KEY`.
 *
 * **Details**
 *
 * A request brings as many samples as it asks for, and its prompt is billed once.
 * `options.apiKey` is taken instead where it is given. Everything else is as in `OpenAiCompatible`.
 *
 * **Example** (A model)
 *
 * ```ts
 * import { Mistral } from "@llm-cache/providers"
 *
 * const model = Mistral.layer({
 *   model: "mistral-small-latest",
 *   temperature: 1
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = of.layer
