import { SampleStore } from "@llm-cache/core"

export const layer = SampleStore.layerDirectory(process.env["LLM_CACHE_TEST_PLACE"]!)
