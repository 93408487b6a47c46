// The store at `LLM_CACHE_TEST_PLACE`, which is the URL of a Redis with the prefix behind a `#`.
import { RedisStore } from "@llm-cache/redis"
import { Layer } from "effect"

const [url, prefix] = process.env["LLM_CACHE_TEST_PLACE"]!.split("#")

export const layer = RedisStore.layer({ prefix }).pipe(Layer.provide(RedisStore.layerClient({ url: url! })))
