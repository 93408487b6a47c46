import { PgStore } from "@llm-cache/sql"
import { SampleStoreTest } from "@llm-cache/testing"
import { Effect } from "effect"
import { describePostgres, execute, server, urlOf } from "./support/database.ts"

describePostgres("PostgreSQL as a SampleStore", () => {
  SampleStoreTest.suite("PostgreSQL", PgStore.layer({ url: server === undefined ? "" : urlOf() }), {
    hasLeases: true,
    damage: (key, position) =>
      Effect.orDie(execute(
        `update llm_cache_samples set sample = sample || '.' where position = ${position} and key_sha256 =
        (select key_sha256 from llm_cache_keys where identity_id = '${key.identity.id}' and prompt_sha256 = '${key.promptHash}')`
      ))
  })
})
