import { RedisStore } from "@llm-cache/redis"
import { SampleStoreTest } from "@llm-cache/testing"
import { Effect, Layer } from "effect"
import { describeRedis, newPlace, open, send, server } from "./support/server.ts"

describeRedis("Redis as a SampleStore", () => {
  const place = server === undefined ? { url: "", prefix: "" } : newPlace()
  const layer = Layer.provide(RedisStore.layer({ prefix: place.prefix }), RedisStore.layerClient({ url: place.url }))
  SampleStoreTest.suite("Redis", layer, {
    hasLeases: true,
    damage: (key, position) =>
      Effect.gen(function*() {
        const samples = (yield* open(place)).describe(key).slice("redis ".length)
        const value = yield* send<string>("HGET", samples, `${position}`)
        yield* send("HSET", samples, `${position}`, value.replace(`{"text":"`, `{"text":"spoilt `))
      }).pipe(Effect.scoped, Effect.orDie)
  })
})
