import { assert, it } from "@effect/vitest"
import { RedisStore } from "@llm-cache/redis"
import { Effect, Layer, Redacted, String } from "effect"
import { inspect } from "node:util"
import {
  configure,
  describeRedis,
  entry,
  keysOf,
  makeKey,
  makeUser,
  newPlace,
  open,
  put,
  send,
  textsOf,
  urlOf,
  writing
} from "./support/server.ts"
import type { Place } from "./support/store.ts"

const failsToOpen = (place: Place, ...messages: ReadonlyArray<string>) =>
  Effect.map(Effect.flip(open(place)), (error) => {
    if (error._tag !== "StoreError") throw error
    assert.strictEqual(error.operation, "open")
    for (const message of messages) assert.include(error.message, message)
    return error
  })

describeRedis("Redis, opened as a store", () => {
  it.live("eight processes that open a new prefix at once get the same store", () =>
    Effect.gen(function*() {
      const place = newPlace()
      const stores = yield* Effect.forEach(Array.from({ length: 8 }, () => place), open, { concurrency: "unbounded" })
      assert.strictEqual(new Set(stores.map(({ id }) => id)).size, 1)
      const key = yield* makeKey()
      yield* Effect.forEach(stores, (store, i) => put(store, key, entry(0, `${i}`)), { concurrency: "unbounded" })
      assert.sameMembers([...(yield* textsOf(stores[0]!, key))], ["0", "1", "2", "3", "4", "5", "6", "7"])
    }))

  it.live("a store has one id, whatever the name of its server", () =>
    Effect.gen(function*() {
      const { prefix, url } = newPlace()
      const [one, other] = [url, url.replace("127.0.0.1", "localhost")]
      assert.notStrictEqual(one, other)
      assert.strictEqual((yield* open({ prefix, url: one })).id, (yield* open({ prefix, url: other })).id)
      assert.notStrictEqual((yield* open({ prefix, url: one })).id, (yield* open(newPlace())).id)
    }))

  it.live("opening samples of a later version fails, and says to update the library", () =>
    Effect.gen(function*() {
      const place = newPlace()
      yield* open(place)
      yield* send("HSET", `${place.prefix}:meta`, "format", "2")
      const error = yield* failsToOpen(place, "version 2", "version 1", "update the library")
      assert.strictEqual(error.kind, "Unavailable")
    }))

  it.live("an open store stops writing when a later version of the library takes over", () =>
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

  it.live("each prefix has samples of its own", () =>
    Effect.gen(function*() {
      const [one, other] = [newPlace(), newPlace()]
      const key = yield* makeKey()
      yield* put(yield* open(one), key, entry(0, "a"))
      assert.deepStrictEqual(yield* (yield* open(other)).positions(key), [])
      for (const name of yield* keysOf(one.prefix)) assert.isTrue(name.startsWith(`${one.prefix}:`), name)
    }))

  it.live("the error of a failed opening says what to do", () =>
    Effect.gen(function*() {
      yield* failsToOpen(newPlace("nobody"), "WRONGPASS", "check the user's name and password in the URL")
      yield* failsToOpen({ ...newPlace(), url: "redis://127.0.0.1:1" }, "ECONNREFUSED", "start Redis")
      yield* failsToOpen({ ...newPlace(), url: "redis://localhost:1" }, "ECONNREFUSED", "start Redis")
      yield* failsToOpen({ ...newPlace(), url: "unix:///nowhere/socket" }, "ENOENT", "start Redis")
      const user = yield* makeUser("+@all", "resetkeys", "~another-prefix*")
      yield* failsToOpen(newPlace(user), "NOPERM", "the keys of the prefix")
      for (
        const url of ["", "127.0.0.1:6379", "http://127.0.0.1", "redis://127.0.0.1/x", "redis://127.0.0.1:99999"]
      ) {
        const error = yield* Effect.flip(open({ ...newPlace(), url }))
        assert.strictEqual(error._tag, "InvalidInput")
        assert.include(error.message, "redis://user:password@host:6379/0")
      }
    }))

  it.live("no error shows the password", () =>
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
        const store = RedisStore.layer({ url: Redacted.make(url) })
        const error = yield* Effect.flip(Effect.scoped(Layer.build(store)))
        assert.include(["InvalidInput", "StoreError"], error._tag, url)
        for (
          const text of [error.message, String.String(error), JSON.stringify(error), inspect(error, { depth: 20 })]
        ) {
          assert.notInclude(text, "hunter2")
        }
      }
    }))

  it.live("a server that may drop any key is refused", () =>
    Effect.gen(function*() {
      yield* configure("maxmemory-policy", "allkeys-lru", "noeviction")
      yield* failsToOpen(newPlace(), "allkeys-lru", "set `maxmemory-policy noeviction`")
      // INFO and CONFIG GET both tell.
      yield* failsToOpen(newPlace(yield* makeUser(...writing, "+info")), "allkeys-lru")
      yield* failsToOpen(newPlace(yield* makeUser(...writing, "+config|get")), "allkeys-lru")
      // This user may ask neither.
      yield* open(newPlace(yield* makeUser(...writing)))
    }))

  it.live("a server that drops only keys with a time to live is accepted", () =>
    Effect.gen(function*() {
      yield* configure("maxmemory-policy", "volatile-lru", "noeviction")
      yield* open(newPlace())
    }))
})
