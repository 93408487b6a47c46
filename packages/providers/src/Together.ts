/**
 * Models of Together AI, at `https://api.together.ai/v1`: https://docs.together.ai/reference/chat-completions
 *
 * @since 0.1.0
 */
import { vendor } from "./internal/vendor.ts"

const of = vendor({
  name: "Together AI",
  id: "together",
  baseUrl: "https://api.together.ai/v1",
  key: "TOGETHER_API_KEY",
  maxBatch: 128
})

/**
 * Makes a model of Together AI. Fails with an `InvalidInput` for options that no request can be made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = of.make

/**
 * Provides a model of Together AI, with the key that configuration has as `TOGETHER_API_KEY`.
 *
 * **Details**
 *
 * A request brings as many samples as it asks for, up to 128.
 * `options.apiKey` is taken instead where it is given. Everything else is as in `OpenAiCompatible`.
 *
 * **Example** (A model)
 *
 * ```ts
 * import { Together } from "@llm-cache/providers"
 *
 * const model = Together.layer({
 *   model: "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo",
 *   temperature: 1,
 *   alias: "llama-3.1-8b"
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = of.layer
