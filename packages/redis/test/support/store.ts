import { RedisStore } from "@llm-cache/redis"
import * as Layer from "effect/Layer"

/** Where a store is, as another process is told. */
export interface Place {
  readonly url: string
  readonly prefix: string
}

const { prefix, url }: Place = JSON.parse(process.env["LLM_CACHE_TEST_PLACE"]!)

export const layer = Layer.provide(RedisStore.layer({ prefix }), RedisStore.layerClient({ url }))
