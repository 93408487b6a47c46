import { SampleStore } from "@llm-cache/core"
import { SampleStoreTest } from "@llm-cache/testing"
import { Effect, Layer } from "effect"
import { execFileSync } from "node:child_process"
import { RedisStore } from "../../src/index.ts"
const url = process.env["LLM_CACHE_TEST_REDIS"]!
const l = RedisStore.layer({ prefix: "t" }).pipe(Layer.provide(RedisStore.layerClient({ url })))
SampleStoreTest.suite("redis", l, {
  hasLeases: true,
  damage: (key, position) =>
    Effect.gen(function*() {
      const store = yield* SampleStore.SampleStore
      const hash = store.describe(key).slice(6)
      const v = JSON.parse(execFileSync("redis-cli", ["-u", url, "HGET", hash, `${position}`]).toString())
      v.text += "x"
      execFileSync("redis-cli", ["-u", url, "HSET", hash, `${position}`, JSON.stringify(v)])
    }).pipe(Effect.provide(l), Effect.orDie)
})
