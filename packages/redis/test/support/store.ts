import { RedisStore } from "@llm-cache/redis"

/** The place of a store, for another process. */
export interface Place {
  readonly url: string
  readonly prefix: string
}

const place: Place = JSON.parse(process.env["LLM_CACHE_TEST_PLACE"]!)

export const layer = RedisStore.layer(place)
