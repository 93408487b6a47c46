/**
 * PostgreSQL as a store for `@llm-cache/core`: the cache that a team or a cluster shares.
 *
 * @since 0.1.0
 */
export * as PgStore from "./PgStore.ts"
export * as SqlStore from "./SqlStore.ts"
