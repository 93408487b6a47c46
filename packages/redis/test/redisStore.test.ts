import { afterAll, assert, describe, it } from "@effect/vitest"
import { RedisStore } from "@llm-cache/redis"
import { SampleStoreTest } from "@llm-cache/testing"
import { Effect, Layer, Redacted } from "effect"
import { defineFaults } from "./parts/faults.ts"
import { defineLimits } from "./parts/limits.ts"
import { definePlaces } from "./parts/places.ts"
import { defineProcesses } from "./parts/processes.ts"
import { defineRows } from "./parts/rows.ts"
import { deleteAll, isRequired, newPlace, open, send, server } from "./support/server.ts"

it.runIf(server === undefined && isRequired)("finds the server that LLM_CACHE_REQUIRE_SERVERS asks for", () => {
  assert.fail("LLM_CACHE_TEST_REDIS names none: start one by eval \"$(packages/scripts/servers.sh start DIR)\"")
})

const why = server === undefined ? " (skipped: LLM_CACHE_TEST_REDIS names no server)" : ""

describe.skipIf(server === undefined)(`RedisStore${why}`, () => {
  afterAll(() => Effect.runPromise(deleteAll))

  const place = server === undefined ? { url: "", prefix: "" } : newPlace()
  const layer = Layer.provide(
    RedisStore.layer({ prefix: place.prefix }),
    RedisStore.layerClient({ url: Redacted.make(place.url) })
  )
  SampleStoreTest.suite("Redis", layer, {
    hasLeases: true,
    damage: (key, position) =>
      Effect.gen(function*() {
        const samples = (yield* open(place)).describe(key).slice("redis ".length)
        const value = yield* send<string>("HGET", samples, `${position}`)
        yield* send("HSET", samples, `${position}`, value.replace(`{"text":"`, `{"text":"spoilt `))
      }).pipe(Effect.scoped, Effect.orDie)
  })

  defineRows()
  definePlaces()
  defineLimits()
  // These change what the server does, and stop it: they come last.
  defineFaults()
  defineProcesses()
})
