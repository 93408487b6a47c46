import { assert, it } from "@effect/vitest"
import { LlmModel } from "@llm-cache/core"
import { Cause, Effect, Redacted } from "effect"
import { inspect } from "node:util"
import { PgStore } from "../src/index.ts"
import {
  createRole,
  databaseIn,
  describePostgres,
  entry,
  execute,
  layerOf,
  makeKey,
  makeProvider,
  newPlace,
  open,
  put,
  tablesOf,
  textsOf,
  urlOf
} from "./support/database.ts"
import type { Place } from "./support/store.ts"

const failsToOpen = (place: Place, ...messages: ReadonlyArray<string>) =>
  Effect.map(Effect.flip(open(place)), (error) => {
    if (error._tag !== "StoreError") throw error
    assert.strictEqual(error.operation, "open")
    for (const message of messages) assert.include(error.message, message)
    return error
  })

describePostgres("PostgreSQL, opened as a store", () => {
  it.live("eight processes that open new tables at once get the same store", () =>
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

  it.live("tables of a later version fail when they are opened or written, and the error says to update", () =>
    Effect.gen(function*() {
      const place = newPlace()
      const before = yield* open(place)
      yield* put(yield* open(place), yield* makeKey(), entry(0, "a"))
      yield* execute(`update ${place.prefix}_store set version = 1000`)
      yield* failsToOpen(place, "version 1000", "update the library")
      assert.include((yield* Effect.flip(before.prepare(yield* makeKey()))).message, "update the library")
    }))

  it.live("tables of the first version are read as they are, and migrated by the first write", () =>
    Effect.gen(function*() {
      const place = newPlace()
      const key = yield* makeKey()
      yield* put(yield* open(place), key, entry(0, "a"))
      const old = `alter table ${place.prefix}_samples drop column metadata`
      yield* execute(old, `update ${place.prefix}_store set version = 1`)
      const [reader, writer] = [yield* open(place), yield* open(place)]
      assert.strictEqual((yield* reader.get(key, 0))?.text, "a")
      assert.deepStrictEqual(
        yield* execute(`select version from ${place.prefix}_store`),
        [{ version: 1 }]
      )
      const drawn = { text: "b", metadata: { refusal: "no" }, origins: [] }
      yield* put(writer, key, { position: 1, drawn })
      for (const store of [reader, writer]) assert.deepStrictEqual(yield* store.get(key, 1), drawn)
    }))

  it.live("tables of the first version are left to their owner, and the error says so before a request", () =>
    Effect.gen(function*() {
      const place = newPlace()
      const key = yield* makeKey()
      yield* put(yield* open(place), key, entry(0, "a"))
      const old = `alter table ${place.prefix}_samples drop column metadata`
      const role = yield* createRole("recorder")
      yield* execute(
        old,
        `update ${place.prefix}_store set version = 1`,
        `grant select, insert, delete on all tables in schema public to ${role}`
      )
      const store = yield* open({ ...place, url: urlOf(role, "hunter2") })
      const error = yield* Effect.flip(store.prepare(key))
      assert.deepInclude(error, { kind: "Unavailable", operation: "prepare" })
      assert.include(error.message, "an update of the tables is up to their owner")
      assert.strictEqual((yield* store.get(key, 0))?.text, "a")
      assert.deepStrictEqual(yield* execute(`select version from ${place.prefix}_store`), [{ version: 1 }])
    }))

  it.live("the first writes of many processes and fibers create the tables once", () =>
    Effect.gen(function*() {
      const place = newPlace()
      const stores = yield* Effect.forEach(Array.from({ length: 4 }, () => place), open)
      assert.deepStrictEqual(yield* tablesOf(place.prefix), [])
      const key = yield* makeKey()
      const acquire = (i: number) => stores[i % 4]!.leases!.acquire(key, [i], `${i}`, 60_000)
      const acquired = yield* Effect.forEach(Array.from({ length: 16 }, (_, i) => i), acquire, {
        concurrency: "unbounded"
      })
      assert.notInclude(acquired, false)
      assert.lengthOf(yield* tablesOf(place.prefix), 4)
    }))

  it.live("tables that are all deleted during use are created anew by the next write", () =>
    Effect.gen(function*() {
      const place = newPlace()
      const store = yield* open(place)
      const key = yield* makeKey()
      yield* put(store, key, entry(0, "a"))
      yield* execute(`drop table ${(yield* tablesOf(place.prefix)).join()} cascade`)
      assert.isUndefined(yield* store.get(key, 0))
      assert.include((yield* Effect.flip(put(store, key, entry(0, "b")))).message, "restore them")
      assert.deepStrictEqual(yield* put(store, key, entry(0, "b")), [0])
    }))

  it.live("each prefix has tables of its own", () =>
    Effect.gen(function*() {
      const [one, other] = [newPlace(), newPlace()]
      const key = yield* makeKey()
      yield* put(yield* open(one), key, entry(0, "a"))
      assert.deepStrictEqual(yield* (yield* open(other)).positions(key), [])
      yield* put(yield* open({ ...one, prefix: `Quoted_${one.prefix.slice(0, 30)}` }), key, entry(0, "b"))
      assert.deepStrictEqual(yield* textsOf(yield* open(one), key), ["a"])
      assert.deepStrictEqual(
        yield* tablesOf(one.prefix),
        ["keys", "leases", "samples", "store"].map((name) => `${one.prefix}_${name}`)
      )
    }))

  for (const prefix of ["", "1a", "a b", "a.b", `a";drop table x;--`, "\u00E9", "a".repeat(41)]) {
    it.live(`opening refuses the prefix ${JSON.stringify(prefix)}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(open({ ...newPlace(), prefix }))
        assert.strictEqual(error._tag, "InvalidInput")
        assert.include(error.message, "PgStore.make: `prefix`")
        assert.include(error.message, "at most 40 letters")
      }))
  }

  it.live("a database that cannot hold all texts fails before a request, and can be replayed", () =>
    Effect.gen(function*() {
      const source = yield* makeProvider
      const place = { ...newPlace(), url: urlOf().replace(/[^/]*$/, yield* databaseIn("LATIN1")) }
      const draw = (replication: boolean) =>
        LlmModel.sampleOne("a").pipe(
          Effect.provide(layerOf(place, { replication })),
          Effect.provide(source.layer),
          Effect.flip
        )
      const error = yield* draw(false)
      assert.include(error.message, "encoding LATIN1")
      assert.include(error.message, "encoding 'UTF8' template template0")
      assert.strictEqual(source.requests(), 0)
      assert.strictEqual((yield* draw(true))._tag, "ReplicationCacheMiss")
    }))

  it.live("a database in SQL_ASCII holds all texts", () =>
    Effect.gen(function*() {
      const place = { ...newPlace(), url: urlOf().replace(/[^/]*$/, yield* databaseIn("SQL_ASCII")) }
      const key = yield* makeKey("\u{1F600}")
      const store = yield* open(place)
      yield* put(store, key, entry(0, "\u{1F600} caf\u00E9"))
      assert.deepStrictEqual(yield* textsOf(store, key), ["\u{1F600} caf\u00E9"])
    }))

  it.live("the error of a failed opening says what to do", () =>
    Effect.gen(function*() {
      yield* failsToOpen({ ...newPlace("nobody_of_this_name") }, "nobody_of_this_name", "check the user's name")
      yield* failsToOpen({ ...newPlace(), url: urlOf().replace(/[^/]*$/, "missing") }, "Create the database")
      yield* failsToOpen({ ...newPlace(), url: "postgres://user@127.0.0.1:1/x" }, "ECONNREFUSED", "see that it runs")
      const role = yield* createRole("opener")
      const refused = yield* Effect.flip((yield* open(newPlace(role))).prepare(yield* makeKey()))
      assert.include(refused.message, "permission denied")
      assert.include(refused.message, "Grant this role")
    }))

  it.live("no error shows the password", () =>
    Effect.gen(function*() {
      const urls = [
        urlOf("nobody_of_this_name", "hunter2"),
        "postgres://user:hunter2@127.0.0.1:1/x",
        "postgres://user:hunter2@[/x",
        "postgres://user:hunter2@127.0.0.1:99999/x",
        "mysql://user:hunter2@127.0.0.1/x",
        "postgres://user:hunter2%@127.0.0.1:1/x",
        "postgres://127.0.0.1:1/x?user=user&password=hunter2&sslmode=x"
      ]
      for (const url of urls) {
        const error = yield* Effect.flip(open({ ...newPlace(), url }))
        const causes = [error, error.cause].flatMap((
          cause
        ) => [inspect(cause, { depth: 20 }), JSON.stringify(cause ?? null)])
        for (const text of [error.message, Cause.pretty(Cause.fail(error)), ...causes]) {
          assert.notInclude(text, "hunter2")
        }
      }
    }))
})

it.effect.each([
  "alice:hunter2@db.internal:5432/cache",
  "postgres:alice:hunter2@127.0.0.1/cache",
  "postgres://alice:123/hunter2@127.0.0.1/cache",
  "mysql://alice:hunter2@127.0.0.1/cache",
  "hunter2"
])("opening refuses a URL of another kind, and does not show it: %s", (url) =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(PgStore.make({ url: Redacted.make(url) }))
    assert.strictEqual(error._tag, "InvalidInput")
    assert.notInclude(inspect(error, { depth: 20 }), "hunter2")
  }))
