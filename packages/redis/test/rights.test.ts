import { assert, it } from "@effect/vitest"
import { LlmModel, Persistent } from "@llm-cache/core"
import { RedisStore } from "@llm-cache/redis"
import { Effect } from "effect"
import {
  describeRedis,
  entry,
  keysOf,
  makeKey,
  makeProvider,
  makeUser,
  newPlace,
  open,
  prefixOfFile,
  put,
  urlOf,
  writing
} from "./support/server.ts"
import type { Place } from "./support/store.ts"

describeRedis("Redis with few rights", () => {
  it.live("recording needs the rights to read, to write and to run scripts on the prefix", () =>
    Effect.gen(function*() {
      const user = yield* makeUser(...writing)
      const source = yield* makeProvider
      const texts = yield* LlmModel.sampleMany("a", 4, { batch: 2 }).pipe(
        Effect.provide(Persistent.layer({ store: RedisStore.layer(newPlace(user)), lease: "1 minute" })),
        Effect.provide(source.layer)
      )
      assert.deepStrictEqual(texts, ["0 0", "0 1", "1 0", "1 1"])
      const other = { ...newPlace(user), prefix: `another-${prefixOfFile}` }
      assert.include((yield* Effect.flip(open(other))).message, "NOPERM")
    }))

  it.live("replication needs only the right to read, and an error of recording names the missing rights", () =>
    Effect.gen(function*() {
      const place = newPlace()
      const source = yield* makeProvider
      const sample = (n: number, place: Place, replication: boolean) =>
        LlmModel.sampleMany("a", n).pipe(
          Effect.provide(Persistent.layer({ store: RedisStore.layer(place), replication })),
          Effect.provide(source.layer)
        )
      const recorded = yield* sample(3, place, false)
      const before = yield* keysOf(place.prefix)
      const reading = { ...place, url: urlOf(yield* makeUser("+@read")) }
      assert.deepStrictEqual(yield* sample(3, reading, true), recorded)
      const miss = yield* Effect.flip(sample(4, reading, true))
      assert.strictEqual(miss._tag, "ReplicationCacheMiss")
      assert.include(miss.message, place.prefix)
      assert.deepStrictEqual(yield* keysOf(place.prefix), before)
      const requests = source.requests()
      const refused = yield* Effect.flip(sample(4, reading, false))
      assert.include(refused.message, "NOPERM")
      assert.include(refused.message, "+@read +@write +@scripting")
      assert.strictEqual(source.requests(), requests, "it requested samples that it cannot store")
    }))

  for (const mayWrite of [false, true]) {
    it.live(`replication of an empty Redis writes nothing${mayWrite ? ", although it may" : ""}`, () =>
      Effect.gen(function*() {
        const user = mayWrite ? undefined : yield* makeUser("+@read")
        const place = newPlace(user)
        const source = yield* makeProvider
        yield* Effect.gen(function*() {
          const miss = yield* Effect.flip(LlmModel.sampleOne("a"))
          assert.strictEqual(miss._tag, "ReplicationCacheMiss")
          assert.deepStrictEqual(yield* keysOf(place.prefix), [])
          yield* put(yield* open({ ...place, url: urlOf() }), yield* makeKey("a"), entry(0, "recorded"))
          assert.strictEqual(yield* LlmModel.sampleOne("a"), "recorded")
        }).pipe(
          Effect.provide(Persistent.layer({ store: RedisStore.layer(place), replication: true })),
          Effect.provide(source.layer)
        )
        assert.strictEqual(source.requests(), 0)
      }))
  }

  it.live("opening a store needs only the right to read", () =>
    Effect.gen(function*() {
      const place = newPlace(yield* makeUser("+@read"))
      const store = yield* open(place)
      assert.deepStrictEqual(yield* store.positions(yield* makeKey()), [])
      assert.deepStrictEqual(yield* keysOf(place.prefix), [])
    }))

  it.live("layerWithClient shares the client of the program", () =>
    Effect.gen(function*() {
      const { prefix, url } = newPlace()
      const source = yield* makeProvider
      const client = RedisStore.layerClient({ url })
      const draw = LlmModel.sampleMany("a", 2)
      const first = yield* draw.pipe(
        Effect.provide(Persistent.layer({ store: RedisStore.layerWithClient({ prefix }) })),
        Effect.provide([source.layer, client])
      )
      const second = yield* draw.pipe(
        Effect.provide(Persistent.layer({ store: RedisStore.layer({ prefix, url }) })),
        Effect.provide(source.layer)
      )
      assert.deepStrictEqual(second, first)
      const replicated = yield* draw.pipe(
        Effect.provide(Persistent.layer({ store: RedisStore.layerWithClient({ prefix }), replication: true })),
        Effect.provide([source.layer, client])
      )
      assert.deepStrictEqual(replicated, first)
      assert.strictEqual(source.requests(), 1)
    }))
})
