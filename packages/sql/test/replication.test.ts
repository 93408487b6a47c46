import { assert, it } from "@effect/vitest"
import { LlmModel } from "@llm-cache/core"
import { Effect } from "effect"
import {
  createRole,
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
  urlOf
} from "./support/database.ts"

describePostgres("PostgreSQL in replication", () => {
  it.live("replication needs only select, and an error of recording names the missing right", () =>
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
        assert.strictEqual(source.requests(), requests, "it requested samples that it cannot store")
        yield* execute(`grant insert on ${place.prefix}_${table} to ${role}`)
      }
      assert.deepStrictEqual((yield* replay(4, false)).slice(0, 3), recorded)
    }))

  it.live("replication of an empty database creates no tables, and sees later samples of others", () =>
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
