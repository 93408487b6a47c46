/**
 * Redis as a store for `@llm-cache/core`: one cache for many machines.
 *
 * @since 0.1.0
 */
export * as RedisStore from "./RedisStore.ts"
