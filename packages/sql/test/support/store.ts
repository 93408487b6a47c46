import { PgStore } from "@llm-cache/sql"

/** The place of a store, for another process. */
export interface Place {
  readonly url: string
  readonly prefix: string
}

const { prefix, url }: Place = JSON.parse(process.env["LLM_CACHE_TEST_PLACE"]!)

export const layer = PgStore.layer({ url, prefix })
