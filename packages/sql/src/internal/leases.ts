import type { Key } from "@llm-cache/core/Key"
import type { Leases } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Dialect } from "./dialect.ts"
import type { Tables } from "./schema.ts"
import { isDisturbed, isTaken } from "./sqlErrors.ts"
import { inTransaction } from "./transactions.ts"

// Rows, and not advisory locks: such a lock needs a connection of its own for as long as it is held.

/** Leases, with the errors that SQL has. */
type InSql<F> = F extends (...args: infer A) => Effect.Effect<infer B, infer _E> ?
  (...args: A) => Effect.Effect<B, SqlError>
  : never

export const makeLeases = (
  sql: SqlClient,
  tables: Tables,
  dialect: Dialect,
  hashOf: (key: Key) => string
): { readonly [K in keyof Leases]: InSql<Leases[K]> } => {
  const now = sql.literal(dialect.now)
  return {
    acquire: (key, positions, holder, expiry) =>
      Effect.suspend(() => {
        const hash = hashOf(key)
        const ours = sql`key_sha256 = ${hash} and ${sql.in("position", positions)}`
        const someoneElses = sql`select 1 as held from ${tables.leases}
          where ${ours} and holder <> ${holder} and expires > ${now} limit 1`
        const free = sql`delete from ${tables.leases}
          where key_sha256 = ${hash} and expires <= ${now} or ${ours} and holder = ${holder}`
        const values = sql.csv(
          positions.toSorted((a, b) => a - b).map((position) =>
            sql`(${hash}, ${position}, ${holder}, ${now} + ${expiry})`
          )
        )
        const take = sql`insert into ${tables.leases} (key_sha256, position, holder, expires) values ${values}`
        return Effect.flatMap(someoneElses, (rows) =>
          rows.length > 0 ? Effect.succeed(false) : inTransaction(sql, Effect.andThen(free, take)).pipe(
            Effect.as(true),
            Effect.retry({ while: isDisturbed }),
            Effect.catchIf(isTaken, () =>
              Effect.succeed(false))
          ))
      }),
    release: (key, positions, holder) =>
      Effect.asVoid(sql`delete from ${tables.leases}
        where key_sha256 = ${hashOf(key)} and ${sql.in("position", positions)} and holder = ${holder}`)
  }
}
