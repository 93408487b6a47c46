import { PgStore } from "@llm-cache/sql"
import { ProgramTest, SampleStoreTest } from "@llm-cache/testing"
import { Effect } from "effect"
import { describePostgres, execute, newPlace, prefixOf, server, tablesOf, urlOf } from "./support/database.ts"

describePostgres("PostgreSQL as a SampleStore", () => {
  SampleStoreTest.suite("PostgreSQL", PgStore.layer({ url: server === undefined ? "" : urlOf() }), {
    hasLeases: true,
    newPlaces: {
      "a prefix without tables": Effect.sync(() => {
        const place = newPlace()
        return { layer: PgStore.layer(place), traces: Effect.orDie(tablesOf(place.prefix)) }
      })
    },
    damage: (key, position) =>
      Effect.orDie(execute(
        `update llm_cache_samples set sample = sample || '.' where position = ${position} and key_sha256 =
        (select key_sha256 from llm_cache_keys where identity_id = '${key.identity.id}' and prompt_sha256 = '${key.promptHash}')`
      ))
  })
  ProgramTest.suite("PostgreSQL", {
    runs: Number(process.env["LLM_CACHE_PROGRAMS"] ?? 30),
    isSynchronous: false,
    store: (folder) => PgStore.layer({ url: urlOf(), prefix: prefixOf(folder) })
  })
})
