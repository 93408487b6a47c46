import { advice, type Fault, unavailable } from "@llm-cache/core/StoreFault"
import * as Predicate from "effect/Predicate"
import type { SqlError } from "effect/sql/SqlError"

const adviceByTag: { readonly [tag in SqlError["reason"]["_tag"]]?: string } = {
  ConnectionError: advice.unreachable,
  AuthenticationError: advice.login,
  AuthorizationError: advice.denied(
    "Grant this role select, insert and delete on the tables of the cache (and create on their schema, for the first run; an update of the tables is up to their owner)"
  ),
  DeadlockError: advice.tryAgain,
  SerializationError: advice.tryAgain,
  LockTimeoutError: "Another session holds a lock on the tables of the cache: try again when it is released",
  StatementTimeoutError: "The database took too long, or a user canceled the statement: try again, or give it more time"
}

/** The fault of a database whose encoding cannot hold every text. */
export const narrow = (encoding: string): Fault => unavailable(`the database has the encoding ${encoding}`, utf8)

/** The fault of a server that accepts the connection and answers no statement. */
export const silent: Fault = unavailable("the server answers no statement", advice.unreachable)

const utf8 = "It cannot hold all characters: use one with the encoding UTF8 " +
  "(`create database … encoding 'UTF8' template template0`)"

const adviceByCode: { readonly [code: string]: string } = {
  "22P05": utf8,
  "25006": advice.readOnly,
  "3D000": "Create the database, or use another one",
  "42P01":
    "The tables of the cache are gone, or not on the search path: restore them. When all are gone, `_store` too, the next request creates them anew",
  "53100": advice.diskFull,
  "53300": advice.tooManyConnections,
  "57P01": advice.unreachable,
  "57P02": advice.unreachable,
  "57P03": advice.starting
}

/** The fault of an error of the database. */
export const explain = (error: SqlError): Fault => {
  const { _tag, cause } = error.reason
  const message = Predicate.hasProperty(cause, "message") ? String(cause.message) : ""
  const code = codeOf(error)
  const known = adviceByCode[code] ?? adviceByTag[_tag] ?? "Check the database, or use another one"
  return unavailable(message || code || error.message, known, error)
}

/** Whether a statement failed because its table is missing. */
export const isMissingTable = (error: SqlError): boolean => codeOf(error) === "42P01"

/** Whether a statement inserted nothing because its row exists. */
export const isTaken = ({ reason }: SqlError): boolean => reason._tag === "UniqueViolation"

/** Whether a statement did nothing because it conflicted with others, which succeeded. */
export const isConflict = ({ reason }: SqlError): boolean =>
  reason._tag === "DeadlockError" || reason._tag === "SerializationError"

const codeOf = ({ reason: { cause } }: SqlError): string =>
  Predicate.hasProperty(cause, "code") ? String(cause.code) : ""
