import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { PgStore } from "@llm-cache/sql"
import { SampleStoreTest } from "@llm-cache/testing"
import { Effect, Redacted } from "effect"
import { defineFaults } from "./parts/faults.ts"
import { definePlaces } from "./parts/places.ts"
import { defineProcesses } from "./parts/processes.ts"
import { defineRows } from "./parts/rows.ts"
import { createDatabase, dropDatabase, execute, isRequired, server, urlOf } from "./support/database.ts"

it("finds a server, where LLM_CACHE_REQUIRE_SERVERS asks for one", () => {
  assert.isFalse(
    isRequired && server === undefined,
    "LLM_CACHE_TEST_POSTGRES names no server: start one by eval \"$(packages/scripts/servers.sh start DIR)\""
  )
})

const why = server === undefined ? " (skipped: LLM_CACHE_TEST_POSTGRES names no server)" : ""

describe.skipIf(server === undefined)(`SqlStore on PostgreSQL${why}`, () => {
  beforeAll(createDatabase)
  afterAll(dropDatabase)

  SampleStoreTest.suite("PostgreSQL", PgStore.layer({ url: Redacted.make(server === undefined ? "" : urlOf()) }), {
    hasLeases: true,
    damage: (key, position) =>
      Effect.orDie(execute(
        `update llm_cache_samples set sample = sample || '.' where position = ${position} and key_sha256 =
        (select key_sha256 from llm_cache_keys where identity_id = '${key.identity.id}' and prompt_sha256 = '${key.promptHash}')`
      ))
  })

  defineRows()
  definePlaces()
  defineFaults()
  // These stop the server: they come last.
  defineProcesses()
})
