/**
 * Models of Groq, at `https://api.groq.com/openai/v1`: https://console.groq.com/docs/openai
 *
 * @since 0.1.0
 */
import { vendor } from "./internal/vendor.ts"

const of = vendor({
  name: "Groq",
  id: "groq",
  baseUrl: "https://api.groq.com/openai/v1",
  key: "GROQ_API_KEY",
  maxBatch: 1
})

/**
 * Makes a model of Groq. Fails with an `InvalidInput` for options that no request can be made of.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = of.make

/**
 * Provides a model of Groq, with the key that configuration has as `GROQ_API_KEY`.
 *
 * **Details**
 *
 * It refuses an `n` above 1: each sample is a request of its own, up to `concurrency` at once.
 * `options.apiKey` is taken instead where it is given. Everything else is as in `OpenAiCompatible`.
 *
 * **Example** (A model)
 *
 * ```ts
 * import { Groq } from "@llm-cache/providers"
 *
 * const model = Groq.layer({
 *   model: "llama-3.1-8b-instant",
 *   temperature: 1,
 *   alias: "llama-3.1-8b"
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = of.layer
