import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** What the dialects of SQL say each in its own way. Only PostgreSQL's is tested. */
export interface Dialect {
  /** The type of hashes in hex, compared byte by byte. */
  readonly hash: string
  /** The type of texts of any length. */
  readonly text: string
  /** The database's own time, in milliseconds since the epoch. */
  readonly now: string
  /** The database that is connected to. */
  readonly database: string
  /** Keeps others who ask for it waiting until the transaction ends. */
  readonly lock: Effect.Effect<unknown, SqlError>
}

/** `undefined` for a dialect that does not take the statements of this store. */
export const dialectOf = (sql: SqlClient): Dialect | undefined =>
  sql.onDialectOrElse({
    pg: (): Dialect => ({
      hash: "varchar(64) collate \"C\"",
      text: "text",
      now: "(extract(epoch from clock_timestamp()) * 1000)::bigint",
      database: "current_database()",
      lock: sql`select pg_advisory_xact_lock(7238102334)`
    }),
    mysql: (): Dialect => ({
      hash: "varchar(64) character set ascii collate ascii_bin",
      text: "longtext",
      now: "cast(unix_timestamp(sysdate(3)) * 1000 as signed)",
      database: "database()",
      lock: Effect.void
    }),
    sqlite: (): Dialect => ({
      hash: "varchar(64)",
      text: "text",
      now: "cast((julianday('now') - 2440587.5) * 86400000 as integer)",
      database: "'main'",
      lock: Effect.void
    }),
    orElse: () => undefined
  })

/** Whether a statement failed because there is no such table. */
export const isMissingTable = ({ reason: { cause } }: SqlError): boolean =>
  Predicate.hasProperty(cause, "code") && (cause.code === "42P01" || cause.code === "ER_NO_SUCH_TABLE") ||
  Predicate.hasProperty(cause, "message") && String(cause.message).startsWith("no such table")
