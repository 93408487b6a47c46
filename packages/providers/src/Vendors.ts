/**
 * A table of vendors with APIs compatible with OpenAI's. Each has a `make` and a `layer`.
 *
 * **Details**
 *
 * A vendor reads its key from the configuration variable in the table, unless `options.apiKey` is given. `maxBatch` is
 * the most samples that the vendor gives for one request. Vendors without it are sent the whole `n`. If one sample comes
 * back, the model sends single requests from then on, up to `concurrency` at once. Everything else is as in
 * `OpenAiCompatible`. Add a vendor of your own with `OpenAiCompatible.vendor`.
 *
 * `telemetryName` is the vendor's name in https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ if it has one.
 *
 * **Example** (A model)
 *
 * ```ts
 * import { OpenRouter } from "@llm-cache/providers"
 *
 * // The key is in OPENROUTER_API_KEY.
 * const model = OpenRouter.layer({
 *   model: "meta-llama/llama-3.1-8b-instruct",
 *   temperature: 1,
 *   alias: "llama-3.1-8b"
 * })
 * ```
 *
 * @since 0.1.0
 */
import { vendor } from "./OpenAiCompatible.ts"

/**
 * 302.ai, with models such as `deepseek-v3-huoshan`.
 *
 * @category vendors
 * @since 0.1.0
 */
export const Ai302 = vendor({
  name: "302.ai",
  telemetryName: "302.ai",
  baseUrl: "https://api.302.ai/v1",
  keyVariable: "AI302_API_KEY"
})

/**
 * CloseAI, with models such as `gpt-4o`.
 *
 * @category vendors
 * @since 0.1.0
 */
export const CloseAi = vendor({
  name: "CloseAI",
  telemetryName: "closeai",
  baseUrl: "https://api.openai-proxy.org/v1",
  keyVariable: "CLOSEAI_API_KEY"
})

/**
 * DeepSeek, with models such as `deepseek-chat`. It takes no `n`, and no JSON Schema for structured output.
 *
 * https://api-docs.deepseek.com/api/create-chat-completion
 *
 * @category vendors
 * @since 0.1.0
 */
export const DeepSeek = vendor({
  name: "DeepSeek",
  telemetryName: "deepseek",
  baseUrl: "https://api.deepseek.com",
  keyVariable: "DEEPSEEK_API_KEY",
  maxBatch: 1,
  structuredOutput: "json_object"
})

/**
 * Fireworks AI, with models such as `accounts/fireworks/models/llama-v3p1-8b-instruct`.
 *
 * @category vendors
 * @since 0.1.0
 */
export const FireworksAi = vendor({
  name: "Fireworks AI",
  telemetryName: "fireworks",
  baseUrl: "https://api.fireworks.ai/inference/v1",
  keyVariable: "FIREWORKS_API_KEY"
})

/**
 * Groq, with models such as `llama-3.1-8b-instant`. It rejects an `n` above 1, and only some of its models take a JSON Schema.
 *
 * https://console.groq.com/docs/openai
 *
 * @category vendors
 * @since 0.1.0
 */
export const Groq = vendor({
  name: "Groq",
  telemetryName: "groq",
  baseUrl: "https://api.groq.com/openai/v1",
  keyVariable: "GROQ_API_KEY",
  maxBatch: 1,
  structuredOutput: "json_object"
})

/**
 * Mistral, with models such as `mistral-small-latest`. It bills the prompt of a request once, for all its samples.
 *
 * https://docs.mistral.ai/api/endpoint/chat
 *
 * @category vendors
 * @since 0.1.0
 */
export const Mistral = vendor({
  name: "Mistral",
  telemetryName: "mistral_ai",
  baseUrl: "https://api.mistral.ai/v1",
  keyVariable: "MISTRAL_API_KEY",
  streamUsage: false
})

/**
 * OpenAI, with models such as `gpt-4o`.
 *
 * https://platform.openai.com/docs/api-reference/chat/create
 *
 * @category vendors
 * @since 0.1.0
 */
export const OpenAi = vendor({
  name: "OpenAI",
  telemetryName: "openai",
  baseUrl: "https://api.openai.com/v1",
  keyVariable: "OPENAI_API_KEY",
  maxBatch: 128
})

/**
 * OpenRouter, with models such as `meta-llama/llama-3.1-8b-instruct`. Its documentation has no `n`, and the provider
 * behind it decides how many samples come back.
 *
 * https://openrouter.ai/docs/api-reference/overview
 *
 * @category vendors
 * @since 0.1.0
 */
export const OpenRouter = vendor({
  name: "OpenRouter",
  telemetryName: "openrouter",
  baseUrl: "https://openrouter.ai/api/v1",
  keyVariable: "OPENROUTER_API_KEY"
})

/**
 * Together AI, with models such as `meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo`.
 *
 * https://docs.together.ai/reference/chat-completions
 *
 * @category vendors
 * @since 0.1.0
 */
export const Together = vendor({
  name: "Together AI",
  telemetryName: "together",
  baseUrl: "https://api.together.ai/v1",
  keyVariable: "TOGETHER_API_KEY",
  maxBatch: 128
})

/**
 * XMCP, with models such as `ali/qwen2.5-7b-instruct`.
 *
 * @category vendors
 * @since 0.1.0
 */
export const Xmcp = vendor({
  name: "XMCP",
  telemetryName: "xmcp",
  baseUrl: "https://llm.xmcp.ltd",
  keyVariable: "XMCP_API_KEY"
})
