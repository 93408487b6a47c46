import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Identifier, Statement } from "effect/sql/Statement"
import { type Dialect, isMissingTable } from "./dialect.ts"
import { inTransaction } from "./transactions.ts"

/** The tables of a store. */
export interface Tables {
  /** One row: the version of the tables, and a name that no other store has. */
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

/** What there is of a store in a database. */
export interface Found {
  readonly version: number
  readonly id: string
  /** The name of the database. */
  readonly place: string
}

// Each brings the tables from the version that is its index to the next one. One that was released is never changed.
const migrations: ReadonlyArray<
  (sql: SqlClient, tables: Tables, dialect: Dialect) => Arr.NonEmptyReadonlyArray<Statement<object>>
> = [
  (sql, tables, dialect) => {
    const hash = sql.literal(dialect.hash)
    const text = sql.literal(dialect.text)
    return [
      sql`create table ${tables.keys} (
        key_sha256 ${hash} not null primary key,
        identity_sha256 ${hash} not null,
        prompt_sha256 ${hash} not null,
        identity_id ${text} not null,
        fork_path ${text} not null,
        prompt ${text} not null,
        encoding varchar(5) not null,
        unique (identity_sha256, prompt_sha256, key_sha256)
      )`,
      sql`create table ${tables.samples} (
        key_sha256 ${hash} not null,
        position bigint not null,
        sample ${text} not null,
        encoding varchar(5) not null,
        bytes bigint not null,
        crc32 bigint not null,
        origins ${text} not null,
        entry_id ${text},
        request ${text},
        request_index double precision,
        model ${text},
        finish_reason ${text},
        created_at double precision,
        elapsed double precision,
        request_samples double precision,
        input_tokens double precision,
        output_tokens double precision,
        primary key (key_sha256, position),
        foreign key (key_sha256) references ${tables.keys} (key_sha256)
      )`,
      sql`create table ${tables.leases} (
        key_sha256 ${hash} not null,
        position bigint not null,
        holder varchar(255) not null,
        expires bigint not null,
        primary key (key_sha256, position)
      )`
    ]
  }
]

/** The version of the tables that this library writes. */
export const version = migrations.length

/** What is in the database, `undefined` where there are no tables. */
export const find = (sql: SqlClient, tables: Tables, dialect: Dialect): Effect.Effect<Found | undefined, SqlError> =>
  sql<Found>`select version, id, ${sql.literal(dialect.database)} as place from ${tables.store}`.pipe(
    Effect.map((rows) => rows[0]),
    Effect.catchIf(isMissingTable, () => Effect.undefined)
  )

/** Makes the tables, or brings them to this version. Who comes second at the same time waits, and has nothing to do. */
export const migrate = (
  sql: SqlClient,
  tables: Tables,
  dialect: Dialect
): Effect.Effect<Found | undefined, SqlError> => {
  const found = find(sql, tables, dialect)
  return inTransaction(
    sql,
    Effect.gen(function*() {
      yield* dialect.lock
      yield* sql`create table if not exists ${tables.store} (
        version integer not null,
        id varchar(36) not null primary key
      )`
      const before = yield* found
      for (const migration of migrations.slice(before?.version ?? 0)) {
        yield* Effect.forEach(migration(sql, tables, dialect), (statement) => statement, { discard: true })
      }
      yield* before === undefined
        ? sql`insert into ${tables.store} ${sql.insert({ version, id: crypto.randomUUID() })}`
        : sql`update ${tables.store} set version = ${version}`
    })
  ).pipe(
    // A dialect without the lock, or whose transactions see the past: someone else has done it.
    Effect.catch((error) =>
      Effect.flatMap(found, (now) => now?.version === version ? Effect.void : Effect.fail(error))
    ),
    Effect.andThen(found)
  )
}
