import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import { LlmModel, SampleStore } from "@llm-cache/core"
import { SqlStore } from "@llm-cache/sql"
import { Cause, Context, Effect, Layer, Redacted, String } from "effect"
import { SqlClient } from "effect/sql"
import { inspect } from "node:util"
import {
  createRole,
  entry,
  execute,
  layerOf,
  makeClient,
  makeKey,
  newPlace,
  newPrefix,
  open,
  put,
  textsOf,
  urlOf
} from "../support/database.ts"
import type { Place } from "../support/store.ts"

/** A provider that counts what is asked of it. */
export const makeProvider = Effect.sync(() => {
  let requests = 0
  const layer = LlmModel.layer({
    model: "mock",
    generate: ({ n }) => Effect.sync(() => ({ samples: Array.from({ length: n }, (_, i) => `${++requests} ${i}`) }))
  })
  return { layer, requests: () => requests }
})

const tablesOf = (prefix: string) =>
  Effect.map(
    execute(`select table_name from information_schema.tables where table_name like '${prefix}\\_%' order by 1`),
    (rows) => rows.map((row) => row["table_name"])
  )

const failsToOpen = (place: Place, ...messages: ReadonlyArray<string>) =>
  Effect.map(Effect.flip(open(place)), (error) => {
    assert.strictEqual(error.operation, "open")
    for (const message of messages) assert.include(error.message, message)
    return error
  })

export const definePlaces = () => {
  describe("is opened", () => {
    it.live("by eight at once where there are no tables, and all have the same store", () =>
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

    it.live("and its tables are brought to this version, with what is in them", () =>
      Effect.gen(function*() {
        const place = newPlace()
        const { id } = yield* open(place)
        yield* execute(
          `drop table ${place.prefix}_leases, ${place.prefix}_samples, ${place.prefix}_keys`,
          `update ${place.prefix}_store set version = 0`
        )
        const stores = yield* Effect.forEach([place, place, place], open, { concurrency: "unbounded" })
        for (const store of stores) assert.strictEqual(store.id, id)
        assert.deepStrictEqual(yield* put(stores[0]!, yield* makeKey(), entry(0, "a")), [0])
      }))

    it.live("and says that the library is to be updated where the tables are of a newer one", () =>
      Effect.gen(function*() {
        const place = newPlace()
        yield* open(place)
        yield* execute(`update ${place.prefix}_store set version = 2`)
        yield* failsToOpen(place, "version 2", "version 1", "update the library")
      }))

    it.live("with tables of its own for each prefix", () =>
      Effect.gen(function*() {
        const [one, other] = [newPlace(), newPlace()]
        const key = yield* makeKey()
        yield* put(yield* open(one), key, entry(0, "a"))
        assert.deepStrictEqual(yield* (yield* open(other)).positions(key), [])
        assert.deepStrictEqual(
          yield* tablesOf(one.prefix),
          ["keys", "leases", "samples", "store"].map((name) => `${one.prefix}_${name}`)
        )
        assert.deepStrictEqual(
          yield* Effect.map(open({ ...one, prefix: "Quoted" }), ({ id }) => /Quoted/.test(id)),
          true
        )
      }))

    for (const prefix of ["", "1a", "a b", "a.b", `a";drop table x;--`, "\u00E9", "a".repeat(41)]) {
      it.live(`never with the prefix ${JSON.stringify(prefix)}`, () =>
        Effect.gen(function*() {
          const error = yield* failsToOpen({ ...newPlace(), prefix }, "at most 40 letters")
          assert.strictEqual(error.kind, "InvalidName")
        }))
    }

    it.live("and the message says what to do where it cannot be", () =>
      Effect.gen(function*() {
        yield* failsToOpen({ ...newPlace("nobody_of_this_name") }, "nobody_of_this_name", "check the user's name")
        yield* failsToOpen({ ...newPlace(), url: urlOf().replace(/[^/]*$/, "missing") }, "Create the database")
        yield* failsToOpen({ ...newPlace(), url: "postgres://user@127.0.0.1:1/x" }, "ECONNREFUSED", "see that it runs")
        const role = yield* createRole("opener")
        yield* failsToOpen(newPlace(role), "permission denied", "Grant this role")
      }))

    it.live("without its password in any error", () =>
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

  describe("in replication", () => {
    it.live("needs no more than select, and says what is missing to record", () =>
      Effect.gen(function*() {
        const place = newPlace()
        const source = yield* makeProvider
        const recorded = yield* LlmModel.sampleMany("a", 3).pipe(
          Effect.provide(layerOf(place)),
          Effect.provide(source.layer)
        )
        const role = yield* createRole("reader")
        yield* execute(`grant select on all tables in schema public to ${role}`)
        const reading = { ...place, url: urlOf(role) }
        const replay = (n: number, replication: boolean) =>
          LlmModel.sampleMany("a", n).pipe(
            Effect.provide(layerOf(reading, { replication })),
            Effect.provide(source.layer)
          )
        assert.deepStrictEqual(yield* replay(3, true), recorded)
        const miss = yield* Effect.flip(replay(4, true))
        assert.strictEqual(miss._tag, "ReplicationCacheMiss")
        assert.include(miss.message, place.prefix)
        const requests = source.requests()
        for (const table of ["keys", "samples"]) {
          const refused = yield* Effect.flip(replay(4, false))
          assert.include(refused.message, `permission denied for table ${place.prefix}_${table}`)
          assert.include(refused.message, "Grant this role")
          assert.strictEqual(source.requests(), requests, "it paid for what it cannot store")
          yield* execute(`grant insert on ${place.prefix}_${table} to ${role}`)
        }
        assert.deepStrictEqual((yield* replay(4, false)).slice(0, 3), recorded)
      }))

    it.live("of an empty database finds nothing, makes no tables, and sees what others record", () =>
      Effect.gen(function*() {
        const role = yield* createRole("newcomer")
        const place = newPlace()
        const source = yield* makeProvider
        yield* Effect.gen(function*() {
          const miss = yield* Effect.flip(LlmModel.sampleOne("a"))
          assert.strictEqual(miss._tag, "ReplicationCacheMiss")
          assert.deepStrictEqual(yield* tablesOf(place.prefix), [])
          const store = yield* open(place)
          yield* put(store, yield* makeKey("a"), entry(0, "recorded"))
          yield* execute(`grant select on all tables in schema public to ${role}`)
          assert.strictEqual(yield* LlmModel.sampleOne("a"), "recorded")
        }).pipe(
          Effect.provide(layerOf({ ...place, url: urlOf(role) }, { replication: true })),
          Effect.provide(source.layer)
        )
        assert.strictEqual(source.requests(), 0)
      }))
  })

  describe("on a client of the program", () => {
    it.live("keeps samples that were stored in a transaction that is rolled back", () =>
      Effect.gen(function*() {
        const prefix = newPrefix()
        const sql = yield* makeClient()
        const store = yield* Effect.provideService(SqlStore.make({ prefix }), SqlClient.SqlClient, sql)
        const key = yield* makeKey()
        yield* sql`create table ${sql(`${prefix}_other`)} (x int)`
        const work = Effect.gen(function*() {
          yield* sql`insert into ${sql(`${prefix}_other`)} values (1)`
          yield* put(store, key, entry(0, "a"), entry(1, "b"))
          return yield* Effect.fail("changed its mind")
        })
        assert.strictEqual(yield* Effect.flip(sql.withTransaction(work)), "changed its mind")
        assert.deepStrictEqual(yield* sql`select * from ${sql(`${prefix}_other`)}`, [])
        assert.deepStrictEqual(yield* textsOf(store, key), ["a", "b"])
      }))

    it.live("that calls its columns otherwise", () =>
      Effect.gen(function*() {
        const client = PgClient.layer({
          url: Redacted.make(urlOf()),
          transformQueryNames: String.camelToSnake,
          transformResultNames: String.snakeToCamel
        })
        const prefix = newPrefix()
        const layer = Layer.provide(SqlStore.layer({ prefix }), client)
        const store = Context.get(yield* Layer.build(layer), SampleStore.SampleStore)
        const key = yield* makeKey()
        yield* put(store, key, entry(0, "a", "id"))
        assert.deepStrictEqual(yield* put(store, key, entry(0, "a", "id"), entry(0, "b")), [0, 1])
        assert.deepStrictEqual(yield* textsOf(store, key), ["a", "b"])
        assert.deepStrictEqual(yield* store.prompts(key.identity, 9), [key.prompt])
      }))

    it.live("records and replays in one line", () =>
      Effect.gen(function*() {
        const source = yield* makeProvider
        const prefix = newPrefix()
        const run = LlmModel.sampleMany("a", 2).pipe(
          Effect.provide(SqlStore.layerPersistent({ prefix, lease: "1 minute" })),
          Effect.provide(source.layer),
          Effect.provide(PgClient.layer({ url: Redacted.make(urlOf()) }))
        )
        assert.deepStrictEqual(yield* run, yield* run)
        assert.strictEqual(source.requests(), 2)
      }))
  })
}
