import * as PgClient from "@effect/sql-pg/PgClient"
import { Persistent } from "@llm-cache/core"
import { PgStore } from "@llm-cache/sql"
import { Context, Effect, Layer, Redacted } from "effect"
import * as ChildProcess from "node:child_process"
import { createHash } from "node:crypto"
import * as Path from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import type { Place } from "./store.ts"

/** The server of the tests: `packages/scripts/servers.sh` starts one. */
export const server = process.env["LLM_CACHE_TEST_POSTGRES"]

/** The folder of the server, if the tests may stop and start it. */
export const serverFolder = process.env["LLM_CACHE_TEST_SERVERS"]

const isRequired = process.env["LLM_CACHE_REQUIRE_SERVERS"] === "1"

const file = crypto.randomUUID().slice(0, 8)

/** The database of this test file. */
const database = `llm_cache_test_${file}`

const roleOf = (name: string) => `llm_cache_test_${file}_${name}`

/** The URL of the database, for a role. */
export const urlOf = (user?: string, password?: string): string => {
  const url = new URL(server!)
  url.pathname = `/${database}`
  if (user !== undefined) url.username = user
  if (password !== undefined) url.password = password
  return url.href
}

export const makeClient = (url = urlOf()) =>
  Effect.map(
    Layer.build(PgClient.layer({ url: Redacted.make(url), maxConnections: 4 })),
    Context.get(PgClient.PgClient)
  )

/** Runs statements as the superuser. */
export const execute = (...statements: ReadonlyArray<string>) =>
  Effect.suspend(makeClient).pipe(
    Effect.flatMap((sql) =>
      Effect.forEach(statements, (statement) => sql.unsafe<{ readonly [column: string]: unknown }>(statement))
    ),
    Effect.scoped,
    Effect.map((results) => results.flat())
  )

const onServer = (statement: string) =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(makeClient(server), (sql) => sql.unsafe(statement))))

const createDatabase = () => onServer(`create database ${database}`)

/** A database with another encoding, until the scope closes. */
export const databaseIn = (encoding: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const name = `${database}_${encoding.toLowerCase()}`
      await onServer(
        `create database ${name} encoding '${encoding}' lc_collate 'C' lc_ctype 'C' template template0`
      )
      return name
    }),
    (name) => Effect.promise(() => onServer(`drop database ${name} with (force)`))
  )

const dropDatabase = async () => {
  await onServer(`drop database ${database} with (force)`)
  const roles = await onServer(`select rolname from pg_roles where rolname like '${roleOf("")}%'`)
  for (const { rolname } of roles as ReadonlyArray<{ readonly rolname: string }>) await onServer(`drop role ${rolname}`)
}

/** Creates a role without rights, or with the right to create tables. */
export const createRole = (name: string, mayCreate = false) =>
  Effect.as(
    execute(
      `create role ${roleOf(name)} login password 'hunter2'`,
      `${mayCreate ? "grant" : "revoke"} create on schema public ${mayCreate ? "to" : "from"} ${roleOf(name)}`
    ),
    roleOf(name)
  )

/** A prefix without tables. */
export const newPrefix = () => `t_${crypto.randomUUID().replaceAll("-", "")}`

/** A prefix for a name of any length. */
export const prefixOf = (name: string) => `t_${createHash("sha256").update(name).digest("hex").slice(0, 32)}`

export const newPlace = (user?: string): Place => ({ url: urlOf(user), prefix: newPrefix() })

export const open = (place: Place) => PgStore.make(place)

export const layerOf = (place: Place, options?: Persistent.StoreOptions) =>
  Persistent.layer({ store: PgStore.layer(place), ...options })

/** Stops the server, starts it, or restarts it. */
export const servers = (command: "pause" | "resume" | "restart") =>
  Effect.uninterruptible(Effect.callback<void>((resume) => {
    const script = Path.join(import.meta.dirname, "../../../scripts/servers.sh")
    ChildProcess.execFile(script, [command, serverFolder!, "postgres"], (error) => {
      resume(error === null ? Effect.void : Effect.die(error))
    })
  }))

/** Ends the connections of stores to the database. */
export const terminate = execute(
  "select pg_terminate_backend(pid) from pg_stat_activity " +
    `where datname = '${database}' and application_name = 'llm-cache'`
)

/** The tables of a prefix. */
export const tablesOf = (prefix: string) =>
  Effect.map(
    execute(`select table_name from information_schema.tables where table_name like '${prefix}\\_%' order by 1`),
    (rows) => rows.map((row) => row["table_name"])
  )

/** Describes tests with a database of their own. Without a server it skips them, or fails if one is required. */
export const describePostgres = (name: string, define: () => void): void => {
  it(`${name}: finds a server if LLM_CACHE_REQUIRE_SERVERS is set`, () => {
    assert.isFalse(
      isRequired && server === undefined,
      "LLM_CACHE_TEST_POSTGRES names no server: run eval \"$(packages/scripts/servers.sh start DIR)\""
    )
  })
  const why = server === undefined ? " (skipped: LLM_CACHE_TEST_POSTGRES names no server)" : ""
  describe.skipIf(server === undefined)(`${name}${why}`, () => {
    beforeAll(createDatabase)
    afterAll(dropDatabase)
    define()
  })
}

// -----------------------------------------------------------------------------
// samples
// -----------------------------------------------------------------------------

export { entry, makeKey, makeProvider, promptsOf, put, textsOf } from "../../../testing/test/support/samples.ts"
