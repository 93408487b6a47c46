/**
 * Providers of language models over HTTP, as layers.
 *
 * @since 0.1.0
 */
export * as Ai302 from "./Ai302.ts"
export * as Anthropic from "./Anthropic.ts"
export * as CloseAi from "./CloseAi.ts"
export * as DeepSeek from "./DeepSeek.ts"
export * as FireworksAi from "./FireworksAi.ts"
export * as Groq from "./Groq.ts"
export * as Limits from "./Limits.ts"
export * as Mistral from "./Mistral.ts"
export * as Ollama from "./Ollama.ts"
export * as OpenAi from "./OpenAi.ts"
export * as OpenAiCompatible from "./OpenAiCompatible.ts"
export * as OpenRouter from "./OpenRouter.ts"
export * as Together from "./Together.ts"
export * as Xmcp from "./Xmcp.ts"
