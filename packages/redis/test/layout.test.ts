import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Stream } from "effect"
import { callsOf, describeRedis, entry, keysOf, makeKey, newPlace, open, put, send, textsOf } from "./support/server.ts"

const listed = (elements: ReadonlyArray<Result.Result<unknown, { readonly message: string }>>) =>
  elements.map((element) => Result.isSuccess(element) ? "key" : element.failure.message)

describeRedis("Redis's keys", () => {
  it.live("positions beyond 10^15, which Lua would write as 1e+15, are exact", () =>
    Effect.gen(function*() {
      const store = yield* open(newPlace())
      const key = yield* makeKey()
      const start = 10 ** 15 - 2
      const entries = Array.from({ length: 4 }, (_, i) => entry(start, `${i}`, `id ${i}`))
      assert.deepStrictEqual(yield* put(store, key, ...entries), [start, start + 1, start + 2, start + 3])
      assert.deepStrictEqual(yield* put(store, key, ...entries), [start, start + 1, start + 2, start + 3])
      assert.deepStrictEqual(yield* put(store, key, entry(10 ** 15, "more")), [start + 4])
      assert.deepStrictEqual(yield* store.positions(key), [0, 1, 2, 3, 4].map((i) => start + i))
      assert.strictEqual((yield* store.get(key, 10 ** 15))?.text, "2")
      assert.isTrue(yield* store.leases!.acquire(key, [10 ** 15], "a", 60_000))
      assert.isFalse(yield* store.leases!.acquire(key, [10 ** 15], "b", 60_000))
      yield* store.remove(key, [10 ** 15])
      assert.deepStrictEqual(yield* put(store, key, entry(start, "again")), [10 ** 15])
    }))

  it.live("a sample without an id is stored each time", () =>
    Effect.gen(function*() {
      const store = yield* open(newPlace())
      const key = yield* makeKey()
      for (let i = 0; i < 5; i++) assert.deepStrictEqual(yield* put(store, key, entry(0, "a")), [i])
    }))

  it.live("one script stores a hundred samples of a request, in one round trip", () =>
    Effect.gen(function*() {
      const store = yield* open(newPlace())
      const key = yield* makeKey()
      yield* put(store, key, entry(0, "first"))
      const entries = Array.from({ length: 100 }, (_, i) => entry(i, `${i}`, `id ${i}`))
      const [, { evalsha, hget, hmget }] = yield* callsOf(put(store, key, ...entries))
      // The script reads the format.
      assert.deepStrictEqual([evalsha, hget, hmget], [1, 1, undefined])
    }))

  it.live("only leases expire, and a sequence without samples leaves nothing behind", () =>
    Effect.gen(function*() {
      const place = newPlace()
      const store = yield* open(place)
      const key = yield* makeKey()
      yield* store.prepare(key)
      assert.deepStrictEqual(yield* keysOf(place.prefix), [`${place.prefix}:meta`])
      yield* put(store, key, entry(0, "a"), entry(7, "b"))
      yield* store.leases!.acquire(key, [1], "a", 60_000)
      const keys = yield* keysOf(place.prefix)
      assert.strictEqual(keys.length, 6)
      for (const name of keys) {
        const time = yield* send<number>("PTTL", name)
        assert.strictEqual(time > 0, name.includes(":lease:"), name)
      }
      yield* store.leases!.release(key, [1], "a")
      yield* store.remove(key, [0, 7])
      assert.deepStrictEqual(
        yield* keysOf(place.prefix),
        ["identities", "meta"].map((name) => `${place.prefix}:${name}`)
      )
    }))

  it.live("a prefix with a hash tag puts all keys into one slot of a cluster", () =>
    Effect.gen(function*() {
      const prefix = `{${newPlace().prefix}}`
      const store = yield* open({ ...newPlace(), prefix })
      const key = yield* makeKey("a prompt with a {tag}", ["fork {x}"])
      yield* put(store, key, entry(0, "a"))
      yield* store.leases!.acquire(key, [0, 1], "a", 60_000)
      const keys = yield* keysOf(prefix)
      assert.strictEqual(keys.length, 7)
      for (const name of keys) assert.strictEqual(`{${name.split(/[{}]/)[1]}}`, prefix)
    }))

  it.live("put finds the next free position behind thousands of samples in a few steps", () =>
    Effect.gen(function*() {
      const store = yield* open(newPlace())
      const key = yield* makeKey()
      for (let from = 0; from < 3000; from += 1000) {
        yield* put(store, key, ...Array.from({ length: 1000 }, (_, i) => entry(from + i, "x", `${from + i}`)))
      }
      yield* put(store, key, entry(3001, "behind a gap"))
      const [places, calls] = yield* callsOf(put(store, key, entry(5, "y"), entry(5, "z"), entry(17, "x", "17")))
      assert.deepStrictEqual(places, [3000, 3002, 17])
      assert.isBelow((calls["hexists"] ?? 0) + (calls["zrange"] ?? 0), 60)
    }))

  it.live("put finds the next free position in any arrangement of samples", () =>
    Effect.gen(function*() {
      const store = yield* open(newPlace())
      for (let round = 0; round < 30; round++) {
        const key = yield* makeKey(`round ${round}`)
        const taken = new Set(Array.from({ length: 30 }, () => Math.floor(Math.random() * 50)))
        yield* put(store, key, ...[...taken].map((position) => entry(position, "taken")))
        for (let i = 0; i < 30; i++) {
          const position = Math.floor(Math.random() * 50)
          let free = position
          while (taken.has(free)) free++
          assert.deepStrictEqual(yield* put(store, key, entry(position, `${i}`)), [free])
          taken.add(free)
        }
        assert.deepStrictEqual(yield* store.positions(key), [...taken].toSorted((a, b) => a - b))
      }
    }), 30_000)

  describe("after a change by hand:", () => {
    const written = Effect.gen(function*() {
      const place = newPlace()
      const store = yield* open(place)
      const key = yield* makeKey()
      yield* put(store, key, entry(0, "a", "id a"), entry(1, "b", "id b"), entry(2, "c", "id c"))
      const samples = store.describe(key).slice("redis ".length)
      return { place, store, key, samples, index: samples.replace(":samples:", ":positions:") }
    })

    it.live("a deleted field is drawn again", () =>
      Effect.gen(function*() {
        const { key, samples, store } = yield* written
        yield* send("HDEL", samples, "1")
        assert.isUndefined(yield* store.get(key, 1))
        assert.deepStrictEqual(yield* put(store, key, entry(1, "B", "id B")), [1])
        assert.deepStrictEqual(yield* textsOf(store, key), ["a", "B", "c"])
        assert.deepStrictEqual(yield* put(store, key, entry(0, "d")), [3])
        yield* send("HDEL", samples, "1")
        assert.deepStrictEqual(yield* put(store, key, entry(1, "B", "id B")), [1])
        assert.strictEqual((yield* store.get(key, 1))?.text, "B")
      }))

    it.live("a deleted index costs no sample", () =>
      Effect.gen(function*() {
        const { index, key, samples, store } = yield* written
        yield* send("DEL", index)
        assert.deepStrictEqual(yield* put(store, key, entry(0, "d")), [3])
        assert.strictEqual((yield* store.get(key, 1))?.text, "b")
        assert.deepStrictEqual(yield* store.put(key, [entry(2, "e")], "drop"), [undefined])
        assert.strictEqual(yield* send("HLEN", samples), 5)
      }))

    for (
      const [what, change, message] of [
        ["another prompt", (samples: string) => send("HSET", samples, "key", `["another"]`), ":samples:"],
        ["broken JSON for a prompt", (samples: string) => send("HSET", samples, "key", `{`), ":samples:"],
        ["a deleted prompt", (samples: string) => send("HDEL", samples, "key"), ":samples:"],
        [
          "a broken identity",
          (samples: string) =>
            send("HSET", samples.replace(/:samples:.*/, ":identities"), samples.split(":").at(-2)!, `["x"]`),
          ":identities"
        ],
        [
          "deleted identities",
          (samples: string) => send("DEL", samples.replace(/:samples:.*/, ":identities")),
          ""
        ]
      ] as const
    ) {
      it.live(`keys reports ${what} as damaged`, () =>
        Effect.gen(function*() {
          const { samples, store } = yield* written
          yield* change(samples)
          const found = listed(yield* Stream.runCollect(store.keys()))
          assert.strictEqual(found.length, 1)
          assert.include(found[0], message)
          assert.include(found[0], "is not the key that was stored")
          const { identity } = yield* makeKey()
          assert.deepStrictEqual(listed(yield* Stream.runCollect(store.keys({ identity }))), found)
        }))
    }

    for (
      const [what, value] of [
        ["broken JSON", "{"],
        ["an array", "[]"],
        ["a row without a checksum", `{"text":"b","bytes":1}`],
        ["a row with another length", `{"text":"b","bytes":2,"crc32":1908338681}`],
        ["a row with another text", `{"text":"c","bytes":1,"crc32":1908338681}`],
        ["a row with origins other than positions", `{"text":"b","bytes":1,"crc32":1908338681,"origins":["1"]}`]
      ] as const
    ) {
      it.live(`${what} is a damaged sample`, () =>
        Effect.gen(function*() {
          const { key, samples, store } = yield* written
          yield* send("HSET", samples, "1", value)
          const error = yield* Effect.flip(store.get(key, 1))
          assert.strictEqual(error.kind, "Damaged")
          assert.strictEqual(error.position, 1)
          assert.include(error.message, samples)
        }))
    }

    it.live("a key of another type is damaged", () =>
      Effect.gen(function*() {
        const { key, samples, store } = yield* written
        yield* send("DEL", samples)
        yield* send("SET", samples, "x")
        for (const operation of [Effect.asVoid(store.get(key, 0)), Effect.asVoid(put(store, key, entry(0, "a")))]) {
          const error = yield* Effect.flip(operation)
          assert.strictEqual(error.kind, "Damaged")
          assert.include(error.message, "use another prefix")
        }
        yield* put(store, yield* makeKey("another"), entry(0, "a"))
        assert.sameMembers(listed(yield* Stream.runCollect(store.keys())).map((found) => found === "key"), [
          true,
          false
        ])
      }))
  })
})
