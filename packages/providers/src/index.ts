/**
 * Providers of language models over HTTP, as layers.
 *
 * @since 0.1.0
 */
export * as Ai302 from "./Ai302.ts"
export * as CloseAi from "./CloseAi.ts"
export * as FireworksAi from "./FireworksAi.ts"
export * as OpenAiCompatible from "./OpenAiCompatible.ts"
export * as Xmcp from "./Xmcp.ts"
