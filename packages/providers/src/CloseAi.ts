/**
 * Models of [CloseAI](https://www.closeai-asia.com).
 *
 * @since 0.1.0
 */
import { vendor } from "./internal/vendor.ts"

/**
 * Provides a model of [CloseAI](https://www.closeai-asia.com), with the key in `CLOSEAI_API_KEY`. Everything else is as in `OpenAiCompatible`.
 *
 * **Example**
 *
 * ```ts
 * import { CloseAi } from "@llm-cache/providers"
 *
 * const model = CloseAi.layer({ model: "gpt-4o", temperature: 1, maxBatch: 10 })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = vendor({ name: "CloseAI", baseUrl: "https://api.openai-proxy.org/v1", key: "CLOSEAI_API_KEY" })
