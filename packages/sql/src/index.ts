/**
 * Stores of samples in SQL databases.
 *
 * @since 0.1.0
 */
export * as PgStore from "./PgStore.ts"
export * as SqlStore from "./SqlStore.ts"
