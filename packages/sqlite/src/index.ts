/**
 * SQLite as a store for `@llm-cache/core`.
 *
 * @since 0.1.0
 */
export * as SqliteStore from "./SqliteStore.ts"
