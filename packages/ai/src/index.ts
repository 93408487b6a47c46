/**
 * Effect's `LanguageModel` under the caches, forks and attempts of `@llm-cache/core`.
 *
 * @since 0.1.0
 */
export * as CachedEmbeddings from "./CachedEmbeddings.ts"
export * as CachedModel from "./CachedModel.ts"
export * as CacheErrors from "./CacheErrors.ts"
export * as ModelAnswer from "./ModelAnswer.ts"
export * as ModelRequest from "./ModelRequest.ts"
export * as RequestModel from "./RequestModel.ts"
export * as TextModel from "./TextModel.ts"
