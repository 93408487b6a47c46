/**
 * Models of DeepSeek, at `https://api.deepseek.com`: https://api-docs.deepseek.com/api/create-chat-completion
 *
 * @since 0.1.0
 */
import { vendor } from "./internal/vendor.ts"

const of = vendor({
  name: "DeepSeek",
  id: "deepseek",
  baseUrl: "https://api.deepseek.com",
  key: "DEEPSEEK_API_KEY",
  maxBatch: 1
})

/**
 * Makes a model of DeepSeek. Fails with an `InvalidInput` for options that no request can be made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = of.make

/**
 * Provides a model of DeepSeek, with the key that configuration has as `DEEPSEEK_API_KEY`.
 *
 * **Details**
 *
 * It takes no `n`: each sample is a request of its own, up to `concurrency` at once.
 * `options.apiKey` is taken instead where it is given. Everything else is as in `OpenAiCompatible`.
 *
 * **Example** (A model)
 *
 * ```ts
 * import { DeepSeek } from "@llm-cache/providers"
 *
 * const model = DeepSeek.layer({
 *   model: "deepseek-chat",
 *   temperature: 1,
 *   alias: "deepseek-v3"
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = of.layer
