import { RedisStore } from "@llm-cache/redis"
import { ProgramTest, SampleStoreTest } from "@llm-cache/testing"
import { Effect } from "effect"
import { describeRedis, keysOf, newPlace, open, prefixOfFile, send, server, urlOf } from "./support/server.ts"

describeRedis("Redis as a SampleStore", () => {
  const place = server === undefined ? { url: "", prefix: "" } : newPlace()
  const layer = RedisStore.layer(place)
  SampleStoreTest.suite("Redis", layer, {
    hasLeases: true,
    newPlaces: {
      "a prefix without keys": Effect.sync(() => {
        const place = newPlace()
        return { layer: RedisStore.layer(place), traces: keysOf(place.prefix) }
      })
    },
    damage: (key, position) =>
      Effect.gen(function*() {
        const samples = (yield* open(place)).describe(key).slice("redis ".length)
        const value = yield* send<string>("HGET", samples, `${position}`)
        yield* send("HSET", samples, `${position}`, value.replace(`{"text":"`, `{"text":"spoilt `))
      }).pipe(Effect.scoped, Effect.orDie)
  })
  ProgramTest.suite("Redis", {
    runs: Number(process.env["LLM_CACHE_PROGRAMS"] ?? 30),
    isSynchronous: false,
    store: (folder) => RedisStore.layer({ url: urlOf(), prefix: `${prefixOfFile}${folder}` })
  })
})
