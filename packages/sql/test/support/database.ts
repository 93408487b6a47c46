import * as PgClient from "@effect/sql-pg/PgClient"
import { PgStore } from "@llm-cache/sql"
import { Context, Effect, Layer, Redacted } from "effect"
import * as ChildProcess from "node:child_process"
import * as Path from "node:path"
import type { Place } from "./store.ts"

/** The server that the tests may use, which `packages/scripts/servers.sh` starts. */
export const server = process.env["LLM_CACHE_TEST_POSTGRES"]

/** Its folder, where the tests may stop and start it. */
export const serverFolder = process.env["LLM_CACHE_TEST_SERVERS"]

export const isRequired = process.env["LLM_CACHE_REQUIRE_SERVERS"] === "1"

const run = crypto.randomUUID().slice(0, 8)

/** A database that this run of the tests has for itself. */
export const database = `llm_cache_test_${run}`

/** A role that has no rights but those that a test grants. */
export const roleOf = (name: string) => `llm_cache_test_${run}_${name}`

/** The database, as a role sees it. */
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

export const createDatabase = () => onServer(`create database ${database}`)

export const dropDatabase = async () => {
  await onServer(`drop database ${database} with (force)`)
  const roles = await onServer(`select rolname from pg_roles where rolname like '${roleOf("")}%'`)
  for (const { rolname } of roles as ReadonlyArray<{ readonly rolname: string }>) await onServer(`drop role ${rolname}`)
}

/** Makes a role, which may create tables where `mayCreate` is. */
export const createRole = (name: string, mayCreate = false) =>
  Effect.as(
    execute(
      `create role ${roleOf(name)} login password 'hunter2'`,
      `${mayCreate ? "grant" : "revoke"} create on schema public ${mayCreate ? "to" : "from"} ${roleOf(name)}`
    ),
    roleOf(name)
  )

let prefixes = 0

/** The start of names of tables that are not there yet. */
export const newPrefix = () => `t${prefixes++}`

export const newPlace = (user?: string): Place => ({ url: urlOf(user), prefix: newPrefix() })

export const open = ({ prefix, url }: Place) => PgStore.make({ url: Redacted.make(url), prefix })

export const layerOf = ({ prefix, url }: Place, options?: Omit<Parameters<typeof PgStore.layerPersistent>[0], "url">) =>
  PgStore.layerPersistent({ url: Redacted.make(url), prefix, ...options })

/** Stops the server, starts it, or both. */
export const servers = (command: "pause" | "resume" | "restart") =>
  Effect.uninterruptible(Effect.callback<void>((resume) => {
    const script = Path.join(import.meta.dirname, "../../../scripts/servers.sh")
    ChildProcess.execFile(script, [command, serverFolder!, "postgres"], (error) => {
      resume(error === null ? Effect.void : Effect.die(error))
    })
  }))

/** Ends the connections to the database but those of the tests' own statements. */
export const terminate = execute(
  "select pg_terminate_backend(pid) from pg_stat_activity " +
    `where datname = '${database}' and application_name = 'llm-cache'`
)

// -----------------------------------------------------------------------------
// samples
// -----------------------------------------------------------------------------

export { entry, makeKey, put, textsOf } from "../../../testing/test/support/samples.ts"
