import type { Key } from "@llm-cache/core/Key"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Leases } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { inTransaction } from "./connection.ts"
import { isConflict, isMissingTable, isTaken } from "./errors.ts"
import { now, type Tables } from "./schema.ts"

/** Runs statements as an operation on a key. */
type Run = <A>(
  operation: StoreError["operation"],
  effect: Effect.Effect<A, SqlError>,
  key: Key,
  position: number
) => Effect.Effect<A, StoreError>

// Rows, because an advisory lock occupies a connection for as long as a holder has it.
export const makeLeases = (
  sql: SqlClient,
  tables: Tables,
  { run, write }: { readonly run: Run; readonly write: Run },
  digestOf: (key: Key) => string
): Leases => ({
  acquire: (key, positions, holder, expiry) =>
    Effect.suspend(() => {
      const digest = digestOf(key)
      const ours = sql`key_sha256 = ${digest} and ${sql.in("position", positions)}`
      const ofAnother = sql`select 1 as held from ${tables.leases}
        where ${ours} and holder <> ${holder} and expires > ${now(sql)} limit 1`
      const expire = sql`delete from ${tables.leases}
        where key_sha256 = ${digest} and expires <= ${now(sql)} or ${ours} and holder = ${holder}`
      const values = sql.csv(
        positions.toSorted((a, b) => a - b).map((position) =>
          sql`(${digest}, ${position}, ${holder}, ${now(sql)} + ${expiry})`
        )
      )
      const put = sql`insert into ${tables.leases} (key_sha256, position, holder, expires) values ${values}`
      const take = inTransaction(sql, Effect.andThen(expire, put)).pipe(
        Effect.as(true),
        Effect.retry({ while: isConflict }),
        Effect.catchIf(isTaken, () => Effect.succeed(false))
      )
      return write(
        "lease",
        Effect.flatMap(ofAnother, (rows) => rows.length > 0 ? Effect.succeed(false) : take),
        key,
        positions[0]
      )
    }),
  release: (key, positions, holder) =>
    Effect.suspend(() =>
      run(
        "lease",
        sql`delete from ${tables.leases}
          where key_sha256 = ${digestOf(key)} and ${sql.in("position", positions)} and holder = ${holder}`.pipe(
          Effect.asVoid,
          Effect.catchIf(isMissingTable, () => Effect.void)
        ),
        key,
        positions[0]
      )
    )
})
