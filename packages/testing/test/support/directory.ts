import { DirectoryStore } from "@llm-cache/core"

export const layer = DirectoryStore.layer(process.env["LLM_CACHE_TEST_PLACE"]!)
