import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment, Identifier, Statement } from "effect/sql/Statement"
import { inTransaction } from "./connection.ts"
import { isMissingTable } from "./errors.ts"

/** The tables of a store. */
export interface Tables {
  /** One row: the version of the tables, and an id. */
  readonly store: Identifier
  readonly keys: Identifier
  readonly samples: Identifier
  readonly leases: Identifier
}

export const tablesOf = (sql: SqlClient, prefix: string): Tables => ({
  store: sql(`${prefix}_store`),
  keys: sql(`${prefix}_keys`),
  samples: sql(`${prefix}_samples`),
  leases: sql(`${prefix}_leases`)
})

/** The database's own time, in milliseconds since the epoch. */
export const now = (sql: SqlClient): Fragment => sql`(extract(epoch from clock_timestamp()) * 1000)::bigint`

/** The name of a database, which no other database has. It stays when the host of the server gets another name. */
export const nameOfDatabase = (sql: SqlClient): Effect.Effect<string, SqlError> => {
  const name = (server: Fragment) =>
    sql<{ readonly name: string }>`select concat_ws(' ', ${server}, current_database(), current_schema()) as name`
  return name(sql`(select system_identifier from pg_control_system())`).pipe(
    // An administrator may have restricted that function.
    Effect.catch(() => name(sql`extract(epoch from pg_postmaster_start_time())`)),
    Effect.map(([row]) => row!.name)
  )
}

// Each step leads from the version that is its index to the next one. A released step never changes.
const migrations: ReadonlyArray<(sql: SqlClient, tables: Tables) => Arr.NonEmptyReadonlyArray<Statement<object>>> = [
  (sql, tables) => [
    sql`create table ${tables.keys} (
      key_sha256 varchar(64) collate "C" not null primary key,
      identity_sha256 varchar(64) collate "C" not null,
      prompt_sha256 varchar(64) collate "C" not null,
      identity_id text not null,
      fork_path text not null,
      prompt text not null,
      encoding varchar(5) not null,
      unique (identity_sha256, prompt_sha256, key_sha256)
    )`,
    sql`create table ${tables.samples} (
      key_sha256 varchar(64) collate "C" not null,
      position bigint not null,
      sample text not null,
      encoding varchar(5) not null,
      bytes bigint not null,
      crc32 bigint not null,
      origins text not null,
      entry_id text,
      request text,
      request_index double precision,
      model text,
      finish_reason text,
      created_at double precision,
      elapsed double precision,
      request_samples double precision,
      input_tokens double precision,
      output_tokens double precision,
      primary key (key_sha256, position),
      foreign key (key_sha256) references ${tables.keys} (key_sha256)
    )`,
    sql`create table ${tables.leases} (
      key_sha256 varchar(64) collate "C" not null,
      position bigint not null,
      holder varchar(255) not null,
      expires bigint not null,
      primary key (key_sha256, position)
    )`
  ],
  (sql, tables) => [sql`alter table ${tables.samples} add column metadata text`]
]

/** The version of the tables that this library writes. */
export const version = migrations.length

/** The encoding of the database if it cannot hold every text. */
export const narrowEncoding = (sql: SqlClient): Effect.Effect<string | undefined, SqlError> =>
  Effect.map(
    sql<{ readonly encoding: string }>`select current_setting('server_encoding') as encoding`,
    // SQL_ASCII holds any bytes.
    ([row]) => ["UTF8", "SQL_ASCII"].includes(row!.encoding) ? undefined : row!.encoding
  )

/** The version of the tables, 0 if there are none. */
export const versionOf = (sql: SqlClient, tables: Tables): Effect.Effect<number, SqlError> =>
  sql<{ readonly version: number }>`select version from ${tables.store}`.pipe(
    Effect.map((rows) => rows[0]?.version ?? 0),
    Effect.catchIf(isMissingTable, () => Effect.succeed(0))
  )

/** Creates the tables, or brings them to this version. A second process waits, and then has nothing to do. */
export const migrate = (sql: SqlClient, tables: Tables): Effect.Effect<void, SqlError> =>
  inTransaction(
    sql,
    Effect.gen(function*() {
      yield* sql`select pg_advisory_xact_lock(7238102334)`
      yield* sql`create table if not exists ${tables.store} (
        version integer not null,
        id varchar(36) not null primary key
      )`
      const before = yield* versionOf(sql, tables)
      for (const migration of migrations.slice(before)) {
        yield* Effect.forEach(migration(sql, tables), (statement) => statement, { discard: true })
      }
      yield* before === 0
        ? sql`insert into ${tables.store} ${sql.insert({ version, id: crypto.randomUUID() })}`
        : sql`update ${tables.store} set version = ${version} where version < ${version}`
    })
  ).pipe(
    // A repeatable read sees no tables of a process that it waited for.
    Effect.catch((error) =>
      Effect.flatMap(versionOf(sql, tables), (now) => now === version ? Effect.void : Effect.fail(error))
    )
  )
