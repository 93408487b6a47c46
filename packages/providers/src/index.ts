/**
 * Providers of language models over HTTP, as layers.
 *
 * @since 0.1.0
 */
export * as Anthropic from "./Anthropic.ts"
export * as HttpProvider from "./HttpProvider.ts"
export * as Limits from "./Limits.ts"
export * as ModelOptions from "./ModelOptions.ts"
export * as Ollama from "./Ollama.ts"
export * as OpenAiCompatible from "./OpenAiCompatible.ts"
export * from "./Vendors.ts"
