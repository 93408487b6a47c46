import { assert, it } from "@effect/vitest"
import { Identity, Key, LlmModel, Persistent } from "@llm-cache/core"
import { RedisStore } from "@llm-cache/redis"
import { Effect, Result, Stream } from "effect"
import { callsOf, describeRedis, entry, makeKey, makeProvider, newPlace, open, put } from "./support/server.ts"

describeRedis("Redis's commands", () => {
  it.live("no command of sampling reads all keys", () =>
    Effect.gen(function*() {
      const place = newPlace()
      const provider = yield* makeProvider
      const sampling = Effect.gen(function*() {
        yield* LlmModel.sampleMany("a", 3)
        yield* LlmModel.sampleMany("a", 10, { batch: 4 })
        yield* LlmModel.sampleOne("b")
      })
      const using = (replication: boolean) =>
        Effect.provide(
          Persistent.layer({ store: RedisStore.layer(place), replication, lease: replication ? undefined : "1 minute" })
        )
      const [, calls] = yield* callsOf(
        Effect.gen(function*() {
          yield* sampling.pipe(using(false))
          yield* sampling.pipe(using(false))
          yield* sampling.pipe(using(true))
          const miss = yield* Effect.flip(Effect.andThen(LlmModel.sampleMany("a", 20), Effect.void).pipe(using(true)))
          assert.strictEqual(miss._tag, "ReplicationCacheMiss")
        }).pipe(Effect.provide(provider.layer))
      )
      assert.isAbove(calls["hmget"] ?? 0, 0)
      for (
        const command of ["keys", "scan", "sscan", "hscan", "zscan", "hgetall", "hkeys", "hvals", "smembers", "sort"]
      ) {
        assert.isUndefined(calls[command], command)
      }
      // A stored sample takes one command.
      const [, again] = yield* callsOf(sampling.pipe(using(true), Effect.provide(provider.layer)))
      assert.deepStrictEqual(
        [again["hget"], again["hmget"], again["zrange"], again["zrangebylex"]],
        [undefined, 4, undefined, undefined]
      )
    }))

  it.live("keys lists each key once, while others come and go", () =>
    Effect.gen(function*() {
      const store = yield* open(newPlace())
      const keys = yield* Effect.forEach(Array.from({ length: 350 }, (_, i) => `${i}`), (prompt) => makeKey(prompt))
      yield* Effect.forEach(keys, (key) => put(store, key, entry(0, "a")), { concurrency: 50 })
      const gone = new Set<string>()
      const seen: Array<string> = []
      yield* Stream.runForEach(store.keys(), (element) =>
        Effect.gen(function*() {
          const { key } = Result.getOrThrow(element)
          seen.push(key.prompt)
          if (seen.length % 10 !== 0) return
          const victim = keys.find(({ prompt }) => !gone.has(prompt))!
          gone.add(victim.prompt)
          yield* store.remove(victim, [0])
          yield* put(store, yield* makeKey(`new ${seen.length}`), entry(0, "a"))
        }))
      assert.strictEqual(new Set(seen).size, seen.length)
      for (const { prompt } of keys) assert.isTrue(gone.has(prompt) || seen.includes(prompt), prompt)
    }))

  it.live("keys of an identity reads no other identity", () =>
    Effect.gen(function*() {
      const store = yield* open(newPlace())
      const keys = yield* Effect.forEach(Array.from({ length: 250 }, (_, i) => `${i}`), (fork) => makeKey("a", [fork]))
      yield* Effect.forEach(keys, (key) => put(store, key, entry(0, "x")), { concurrency: 50 })
      const other = new Key.Key(yield* Identity.make({ model: "another" }), "b", [])
      yield* put(store, other, entry(0, "x"))
      const [listed, { hget, zrangebylex }] = yield* callsOf(
        Stream.runCollect(store.keys({ identity: other.identity }))
      )
      assert.deepStrictEqual(listed.map((element) => Result.getOrThrow(element).key.prompt), ["b"])
      assert.deepStrictEqual([hget, zrangebylex], [1, 1])
      const { identity } = keys[0]!
      assert.strictEqual((yield* Stream.runCollect(store.keys({ identity }))).length, 250)
    }))
})
