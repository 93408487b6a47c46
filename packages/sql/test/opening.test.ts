import { assert, it } from "@effect/vitest"
import { Cause, Effect, Redacted } from "effect"
import { inspect } from "node:util"
import { PgStore } from "../src/index.ts"
import {
  createRole,
  describePostgres,
  entry,
  execute,
  makeKey,
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

  it.live("opening migrates tables of an earlier version, and keeps their id", () =>
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

  it.live("opening tables of a later version fails, and says to update the library", () =>
    Effect.gen(function*() {
      const place = newPlace()
      yield* open(place)
      yield* execute(`update ${place.prefix}_store set version = 2`)
      yield* failsToOpen(place, "version 2", "version 1", "update the library")
    }))

  it.live("each prefix has tables of its own", () =>
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
    it.live(`opening refuses the prefix ${JSON.stringify(prefix)}`, () =>
      Effect.gen(function*() {
        const error = yield* failsToOpen({ ...newPlace(), prefix }, "at most 40 letters")
        assert.strictEqual(error.kind, "InvalidName")
      }))
  }

  it.live("the error of a failed opening says what to do", () =>
    Effect.gen(function*() {
      yield* failsToOpen({ ...newPlace("nobody_of_this_name") }, "nobody_of_this_name", "check the user's name")
      yield* failsToOpen({ ...newPlace(), url: urlOf().replace(/[^/]*$/, "missing") }, "Create the database")
      yield* failsToOpen({ ...newPlace(), url: "postgres://user@127.0.0.1:1/x" }, "ECONNREFUSED", "see that it runs")
      const role = yield* createRole("opener")
      yield* failsToOpen(newPlace(role), "permission denied", "Grant this role")
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
    assert.strictEqual(error.kind, "InvalidName")
    assert.notInclude(inspect(error, { depth: 20 }), "hunter2")
  }))
