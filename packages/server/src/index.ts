/**
 * The replaying server: caches of language models for programs in any language.
 *
 * @since 0.1.0
 */
export * as ChatCompletions from "./ChatCompletions.ts"
export * as Completions from "./Completions.ts"
export * as Embeddings from "./Embeddings.ts"
export * as Messages from "./Messages.ts"
export * as Place from "./Place.ts"
export * as Protocol from "./Protocol.ts"
export * as Responses from "./Responses.ts"
export * as Runs from "./Runs.ts"
export * as Server from "./Server.ts"
export * as Upstream from "./Upstream.ts"
