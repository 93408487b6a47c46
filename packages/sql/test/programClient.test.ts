import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, it } from "@effect/vitest"
import { LlmModel, Persistent, SampleStore } from "@llm-cache/core"
import { SqlStore } from "@llm-cache/sql"
import { Context, Effect, Layer, Redacted, String } from "effect"
import { SqlClient } from "effect/sql"
import {
  describePostgres,
  entry,
  makeClient,
  makeKey,
  makeProvider,
  newPrefix,
  promptsOf,
  put,
  textsOf,
  urlOf
} from "./support/database.ts"

describePostgres("SqlStore on a client of the program", () => {
  it.live("a transaction that rolls back keeps the samples", () =>
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

  it.live("the client may rename columns", () =>
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
      assert.deepStrictEqual(yield* promptsOf(store, key.identity), [key.prompt])
    }))

  it.live("Persistent over it records and replays", () =>
    Effect.gen(function*() {
      const source = yield* makeProvider
      const prefix = newPrefix()
      const run = LlmModel.sampleMany("a", 2).pipe(
        Effect.provide(Persistent.layer({ store: SqlStore.layer({ prefix }), lease: "1 minute" })),
        Effect.provide(source.layer),
        Effect.provide(PgClient.layer({ url: Redacted.make(urlOf()) }))
      )
      assert.deepStrictEqual(yield* run, yield* run)
      assert.strictEqual(source.requests(), 1)
    }))
})
