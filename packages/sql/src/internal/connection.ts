import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"

/** Runs statements outside the program's own transaction: a rollback of the program leaves the samples. */
export const onItsOwn = <A, E>(sql: SqlClient, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.withFiber(({ context }) =>
    Context.getOrUndefined(context, sql.transactionService) === undefined
      ? effect
      : Effect.updateContext(effect, Context.omit(sql.transactionService))
  )

/** Runs statements in a transaction. If its connection breaks, `SqlClient` dies of the failed rollback. */
export const inTransaction = <A, E>(sql: SqlClient, effect: Effect.Effect<A, E>): Effect.Effect<A, E | SqlError> =>
  Effect.catchDefect(
    sql.withTransaction(effect),
    (defect) => isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect)
  )
