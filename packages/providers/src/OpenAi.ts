/**
 * Models of OpenAI, at `https://api.openai.com/v1`: https://platform.openai.com/docs/api-reference/chat/create
 *
 * @since 0.1.0
 */
import { vendor } from "./internal/vendor.ts"

const of = vendor({
  name: "OpenAI",
  id: "openai",
  baseUrl: "https://api.openai.com/v1",
  key: "OPENAI_API_KEY",
  maxBatch: 128
})

/**
 * Makes a model of OpenAI. Fails with an `InvalidInput` for options that no request can be made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = of.make

/**
 * Provides a model of OpenAI, with the key that configuration has as `OPENAI_API_KEY`.
 *
 * **Details**
 *
 * A request brings as many samples as it asks for, up to 128.
 * `options.apiKey` is taken instead where it is given. Everything else is as in `OpenAiCompatible`.
 *
 * **Example** (A model)
 *
 * ```ts
 * import { OpenAi } from "@llm-cache/providers"
 *
 * const model = OpenAi.layer({
 *   model: "gpt-4o",
 *   temperature: 1
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = of.layer
