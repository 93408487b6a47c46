import { SqliteStore } from "../../src/index.ts"

/** The store that a process of a test uses. */
export const layer = SqliteStore.layer({ file: process.env["LLM_CACHE_TEST_PLACE"] ?? "" })
