import { assert, describe, it } from "@effect/vitest"
import { LlmModel, Persistent } from "@llm-cache/core"
import { RedisStore } from "@llm-cache/redis"
import { Effect, type Scope } from "effect"
import { lossyProxy } from "../../testing/test/support/lossyProxy.ts"
import { cannotSave, isReplica } from "./support/faults.ts"
import {
  configure,
  describeRedis,
  entry,
  killConnections,
  makeKey,
  makeProvider,
  makeUser,
  newPlace,
  open,
  put,
  send,
  serverFolder,
  textsOf,
  urlOf,
  writing
} from "./support/server.ts"

/** Loses the answer to a script. The client sends a missing script again, so NOSCRIPT passes. */
const lossy = (text: string) => lossyProxy(urlOf(), text, (data) => data.includes("NOSCRIPT") ? "pass" : "break")

describeRedis("Redis with faults", () => {
  describe("stores once, although the answer was lost:", () => {
    for (const [what, count] of [["one sample", 1], ["a hundred samples of a request", 100]] as const) {
      it.live(what, () =>
        Effect.gen(function*() {
          const { prefix, url } = newPlace()
          yield* put(yield* open({ prefix, url }), yield* makeKey(), entry(1, "taken"))
          const way = yield* lossy("the last")
          const store = yield* open({ prefix, url: way.url })
          const key = yield* makeKey()
          const entries = Array.from(
            { length: count },
            (_, i) => entry(i, i === count - 1 ? "the last" : `${i}`, `id ${i}`)
          )
          const error = yield* Effect.flip(put(store, key, ...entries))
          assert.strictEqual(error.kind, "Unavailable")
          assert.strictEqual(way.broken(), 1)
          assert.strictEqual((yield* store.positions(key)).length, count + 1)
          const places = yield* put(store, key, ...entries)
          assert.strictEqual(new Set(places).size, count)
          assert.strictEqual((yield* store.positions(key)).length, count + 1)
        }))
    }
  })

  describe("says what to do, and goes on after the fault:", () => {
    const faults: Readonly<Record<string, readonly [Effect.Effect<unknown, never, Scope.Scope>, ...Array<string>]>> = {
      "the memory is used up": [configure("maxmemory", "1", "0"), "OOM", "`maxmemory`", "kept in memory"],
      "the server is a replica": [isReplica, "READONLY", "connect to the primary"],
      ...(serverFolder === undefined
        ? {}
        : { "the server cannot write its disk": [cannotSave, "MISCONF", "make room", "kept in memory"] })
    }
    for (const [what, [fault, ...messages]] of Object.entries(faults)) {
      it.live(what, () =>
        Effect.gen(function*() {
          const store = yield* open(newPlace())
          const key = yield* makeKey()
          yield* put(store, key, entry(0, "a"))
          yield* Effect.scoped(Effect.gen(function*() {
            yield* fault
            for (
              const operation of [
                store.prepare(key),
                put(store, key, entry(1, "b", "id b"), entry(2, "c", "id c")),
                put(store, yield* makeKey("another"), entry(0, "d"))
              ]
            ) {
              const error = yield* Effect.flip(operation)
              assert.strictEqual(error.kind, "Unavailable")
              for (const message of messages) assert.include(error.message, message)
            }
            assert.deepStrictEqual(yield* textsOf(store, key), ["a"])
          }))
          assert.deepStrictEqual(yield* put(store, key, entry(1, "b", "id b"), entry(2, "c", "id c")), [1, 2])
          assert.deepStrictEqual(yield* textsOf(store, key), ["a", "b", "c"])
        }), 20_000)
    }

    for (const right of ["-hsetnx", "-zadd", "-evalsha", "-@write"]) {
      it.live(`the user loses a right: ${right}`, () =>
        Effect.gen(function*() {
          const user = yield* makeUser(...writing)
          const store = yield* open(newPlace(user))
          const key = yield* makeKey()
          yield* put(store, key, entry(0, "a"))
          yield* send("ACL", "SETUSER", user, right)
          const error = yield* Effect.flip(put(store, key, entry(1, "b", "id b"), entry(2, "c", "id c")))
          assert.include(error.message, "Give the user the right to it")
          assert.deepStrictEqual(yield* textsOf(store, key), ["a"])
          yield* send("ACL", "SETUSER", user, right.replace("-", "+"))
          assert.deepStrictEqual(yield* put(store, key, entry(1, "b", "id b"), entry(2, "c", "id c")), [1, 2])
        }))
    }
  })

  it.live("goes on after it lost connections and scripts between two draws", () =>
    Effect.gen(function*() {
      const source = yield* makeProvider
      const place = newPlace()
      const texts = yield* Effect.forEach(Array.from({ length: 12 }, (_, i) => i), (i) =>
        Effect.andThen(
          i % 2 === 0 ? killConnections : send("SCRIPT", "FLUSH"),
          LlmModel.sampleMany("a", i + 1).pipe(Effect.retry({ times: 3 }))
        )).pipe(Effect.provide(Persistent.layer({ store: RedisStore.layer(place) })), Effect.provide(source.layer))
      assert.deepStrictEqual(texts.at(-1), Array.from({ length: 12 }, (_, i) => `${i} 0`))
      assert.deepStrictEqual(yield* textsOf(yield* open(place), yield* makeKey("a")), texts.at(-1))
    }))
})
