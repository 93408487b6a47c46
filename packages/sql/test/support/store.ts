import { PgStore } from "@llm-cache/sql"
import * as Redacted from "effect/Redacted"

/** Where a store is, as another process is told. */
export interface Place {
  readonly url: string
  readonly prefix: string
}

const { prefix, url }: Place = JSON.parse(process.env["LLM_CACHE_TEST_PLACE"]!)

export const layer = PgStore.layer({ url: Redacted.make(url), prefix })
