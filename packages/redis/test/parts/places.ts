import { assert, describe, it } from "@effect/vitest"
import { LlmModel } from "@llm-cache/core"
import { RedisStore } from "@llm-cache/redis"
import { Effect, Layer, Redacted, String } from "effect"
import { inspect } from "node:util"
import {
  configure,
  entry,
  keysOf,
  makeKey,
  makeProvider,
  makeUser,
  newPlace,
  open,
  put,
  run,
  send,
  textsOf,
  urlOf,
  writing
} from "../support/server.ts"
import type { Place } from "../support/store.ts"

const failsToOpen = (place: Place, ...messages: ReadonlyArray<string>) =>
  Effect.map(Effect.flip(open(place)), (error) => {
    assert.strictEqual(error._tag, "StoreError")
    assert.strictEqual(error.operation, "open")
    for (const message of messages) assert.include(error.message, message)
    return error
  })

export const definePlaces = () => {
  describe("is opened", () => {
    it.live("by eight at once where there is nothing yet, and all have the same store", () =>
      Effect.gen(function*() {
        const place = newPlace()
        const stores = yield* Effect.forEach(Array.from({ length: 8 }, () => place), open, { concurrency: "unbounded" })
        assert.strictEqual(new Set(stores.map(({ id }) => id)).size, 1)
        const key = yield* makeKey()
        yield* Effect.forEach(stores, (store, i) => put(store, key, entry(0, `${i}`)), { concurrency: "unbounded" })
        assert.sameMembers([...(yield* textsOf(stores[0]!, key))], ["0", "1", "2", "3", "4", "5", "6", "7"])
      }))

    it.live("by one id, whatever the server is called", () =>
      Effect.gen(function*() {
        const { prefix, url } = newPlace()
        const [one, other] = [url, url.replace("127.0.0.1", "localhost")]
        assert.notStrictEqual(one, other)
        assert.strictEqual((yield* open({ prefix, url: one })).id, (yield* open({ prefix, url: other })).id)
        assert.notStrictEqual((yield* open({ prefix, url: one })).id, (yield* open(newPlace())).id)
      }))

    it.live("and says that the library is to be updated where the samples are of a newer one", () =>
      Effect.gen(function*() {
        const place = newPlace()
        yield* open(place)
        yield* send("HSET", `${place.prefix}:meta`, "format", "2")
        const error = yield* failsToOpen(place, "format 2", "update the library")
        assert.strictEqual(error.kind, "Unavailable")
      }))

    it.live("and writes nothing more when a newer library begins to use it", () =>
      Effect.gen(function*() {
        const place = newPlace()
        const store = yield* open(place)
        const key = yield* makeKey()
        yield* put(store, key, entry(0, "a"))
        yield* send("HSET", `${place.prefix}:meta`, "format", "2")
        for (const operation of [store.prepare(key), put(store, key, entry(1, "b"))]) {
          assert.include((yield* Effect.flip(operation)).message, "update the library")
        }
        assert.deepStrictEqual(yield* textsOf(store, key), ["a"])
      }))

    it.live("with samples of its own for each prefix", () =>
      Effect.gen(function*() {
        const [one, other] = [newPlace(), newPlace()]
        const key = yield* makeKey()
        yield* put(yield* open(one), key, entry(0, "a"))
        assert.deepStrictEqual(yield* (yield* open(other)).positions(key), [])
        for (const name of yield* keysOf(one.prefix)) assert.isTrue(name.startsWith(`${one.prefix}:`), name)
      }))

    it.live("and the message says what to do where it cannot be", () =>
      Effect.gen(function*() {
        yield* failsToOpen(newPlace("nobody"), "WRONGPASS", "Put the right user and password into the URL")
        yield* failsToOpen({ ...newPlace(), url: "redis://127.0.0.1:1" }, "ECONNREFUSED", "start Redis")
        yield* failsToOpen({ ...newPlace(), url: "redis://localhost:1" }, "ECONNREFUSED", "start Redis")
        yield* failsToOpen({ ...newPlace(), url: "unix:///nowhere/socket" }, "ENOENT", "start Redis")
        const user = yield* makeUser("+@all", "resetkeys", "~another-prefix*")
        yield* failsToOpen(newPlace(user), "NOPERM", "the keys of the prefix")
        for (
          const url of ["", "127.0.0.1:6379", "http://127.0.0.1", "redis://127.0.0.1/x", "redis://127.0.0.1:99999"]
        ) {
          const error = yield* failsToOpen({ ...newPlace(), url }, "redis://user:password@host:6379/0")
          assert.strictEqual(error.kind, "InvalidName")
        }
      }))

    it.live("without its password in any error", () =>
      Effect.gen(function*() {
        const urls = [
          urlOf("nobody"),
          "redis://user:hunter2@127.0.0.1:1",
          "redis://user:hunter2@[",
          "redis://user:hunter2@127.0.0.1:99999",
          "mysql://user:hunter2@127.0.0.1",
          "redis://user:hunter2%@127.0.0.1",
          "redis://user:hunter2@127.0.0.1:1/x",
          "unix://user:hunter2@/nowhere"
        ]
        for (const url of urls) {
          const model = RedisStore.layerPersistent({ url: Redacted.make(url) })
          const source = LlmModel.layer({ model: "mock", generate: () => Effect.succeed({ samples: ["a"] }) })
          const error = yield* Effect.flip(Effect.scoped(Layer.build(Layer.provide(model, source))))
          assert.strictEqual(error._tag, "StoreError", url)
          for (
            const text of [error.message, String.String(error), JSON.stringify(error), inspect(error, { depth: 20 })]
          ) {
            assert.notInclude(text, "hunter2")
          }
        }
      }))
  })

  describe("asks for a server that keeps samples", () => {
    it.live("and not for one that drops any key when its memory is full", () =>
      Effect.gen(function*() {
        yield* configure("maxmemory-policy", "allkeys-lru", "noeviction")
        yield* failsToOpen(newPlace(), "allkeys-lru", "set `maxmemory-policy noeviction`")
        // by whichever way the server tells
        yield* failsToOpen(newPlace(yield* makeUser(...writing, "+info")), "allkeys-lru")
        yield* failsToOpen(newPlace(yield* makeUser(...writing, "+config|get")), "allkeys-lru")
        // it does not tell
        yield* open(newPlace(yield* makeUser(...writing)))
      }))

    it.live("which one that drops keys that expire does", () =>
      Effect.gen(function*() {
        yield* configure("maxmemory-policy", "volatile-lru", "noeviction")
        yield* open(newPlace())
      }))
  })

  describe("needs of its user", () => {
    it.live("no more than to read, to write and to run scripts on the prefix", () =>
      Effect.gen(function*() {
        const user = yield* makeUser(...writing)
        const source = yield* makeProvider
        const texts = yield* LlmModel.sampleMany("a", 4, { batch: 2 }).pipe(
          Effect.provide(RedisStore.layerPersistent({ ...newPlace(user), lease: "1 minute" })),
          Effect.provide(source.layer)
        )
        assert.deepStrictEqual(texts, ["0 0", "0 1", "1 0", "1 1"])
        const other = { ...newPlace(user), prefix: `another-${run}` }
        yield* failsToOpen(other, "NOPERM")
      }))

    it.live("in replication no more than to read, and says what is missing to record", () =>
      Effect.gen(function*() {
        const place = newPlace()
        const source = yield* makeProvider
        const sample = (n: number, place: Place, replication: boolean) =>
          LlmModel.sampleMany("a", n).pipe(
            Effect.provide(RedisStore.layerPersistent({ ...place, replication })),
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
        assert.strictEqual(source.requests(), requests, "it paid for what it cannot store")
      }))

    for (const mayWrite of [false, true]) {
      it.live(`in replication of an empty Redis, writes nothing${mayWrite ? ", also if it may" : ""}`, () =>
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
            Effect.provide(RedisStore.layerPersistent({ ...place, replication: true })),
            Effect.provide(source.layer)
          )
          assert.strictEqual(source.requests(), 0)
        }))
    }

    it.live("as a store to read from, no more than to read", () =>
      Effect.gen(function*() {
        const place = newPlace(yield* makeUser("+@read"))
        const store = yield* open(place)
        assert.deepStrictEqual(yield* store.positions(yield* makeKey()), [])
        assert.deepStrictEqual(yield* keysOf(place.prefix), [])
      }))
  })

  it.live("shares a client with the rest of the program", () =>
    Effect.gen(function*() {
      const { prefix, url } = newPlace()
      const source = yield* makeProvider
      const client = RedisStore.layerClient({ url })
      const draw = LlmModel.sampleMany("a", 2)
      const first = yield* draw.pipe(
        Effect.provide(RedisStore.layerPersistentRedis({ prefix })),
        Effect.provide([source.layer, client])
      )
      const second = yield* draw.pipe(
        Effect.provide(RedisStore.layerPersistent({ prefix, url })),
        Effect.provide(source.layer)
      )
      assert.deepStrictEqual(second, first)
      const replicated = yield* draw.pipe(
        Effect.provide(RedisStore.layerPersistentRedis({ prefix, replication: true })),
        Effect.provide([source.layer, client])
      )
      assert.deepStrictEqual(replicated, first)
      assert.strictEqual(source.requests(), 1)
    }))
}
