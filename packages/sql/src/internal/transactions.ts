import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"

/** Runs statements outside the transaction that the program may be in: what it rolls back are not the samples. */
export const onItsOwn = <A, E>(sql: SqlClient, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.withFiber(({ context }) =>
    Context.getOrUndefined(context, sql.transactionService) === undefined
      ? effect
      : Effect.updateContext(effect, Context.omit(sql.transactionService))
  )

/** Runs statements in a transaction. Where its connection breaks, `SqlClient` dies of the rollback that fails. */
export const inTransaction = <A, E>(sql: SqlClient, effect: Effect.Effect<A, E>): Effect.Effect<A, E | SqlError> =>
  Effect.catchDefect(
    sql.withTransaction(effect),
    (defect) => isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect)
  )
