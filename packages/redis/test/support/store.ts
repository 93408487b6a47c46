import { RedisStore } from "@llm-cache/redis"
import * as Layer from "effect/Layer"

/** The place of a store, for another process. */
export interface Place {
  readonly url: string
  readonly prefix: string
}

const { prefix, url }: Place = JSON.parse(process.env["LLM_CACHE_TEST_PLACE"]!)

export const layer = Layer.provide(RedisStore.layer({ prefix }), RedisStore.layerClient({ url }))
