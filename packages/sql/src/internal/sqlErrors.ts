import { StoreError } from "@llm-cache/core/SampleError"
import * as Predicate from "effect/Predicate"
import type { SqlError } from "effect/sql/SqlError"

type Fields = Pick<StoreError, "store" | "operation" | "key" | "position">

const kept = "What was bought is kept in memory, and the next draw stores it"

const adviceByTag: { readonly [tag in SqlError["reason"]["_tag"]]?: string } = {
  ConnectionError: `The database was not reached, or the connection broke: see that it runs, and try again. ${kept}`,
  AuthenticationError: "The database refuses this user: check the user's name and password",
  AuthorizationError: "Grant this role select, insert and delete on the tables of the cache (and create on their " +
    "schema, for the first run), or use replication, which needs only select",
  DeadlockError: "Try again",
  SerializationError: "Try again",
  LockTimeoutError: "Someone holds a lock on the tables of the cache: try again when it is released",
  StatementTimeoutError: "The database took too long, or the statement was canceled: try again, or give it more time"
}

const adviceByCode: { readonly [code: string]: string } = {
  "22P05": "The database cannot hold all characters: use one whose encoding is UTF8",
  "25006": "The database is read-only: connect to the primary, or use replication, which writes nothing",
  "3D000": "Create the database, or use another one",
  "42P01": "The tables of the cache are not there any more, or not on the search path: open the store again",
  "53100": `The database's disk is full: make room. ${kept}`,
  "53300": "The database has too many connections: use fewer processes, or a connection pooler",
  "57P01": `The database is shutting down, or an administrator ended the connection: try again. ${kept}`,
  "57P02": `The database is restarting: try again. ${kept}`,
  "57P03": "The database is starting: try again"
}

/** What the database said, and what to do about it. */
export const unavailable = (fields: Fields, error: SqlError): StoreError => {
  const { _tag, cause } = error.reason
  const code = Predicate.hasProperty(cause, "code") ? String(cause.code) : ""
  const message = Predicate.hasProperty(cause, "message") ? String(cause.message) : ""
  const advice = adviceByCode[code] ?? adviceByTag[_tag] ?? "See to the database, or use another one"
  return new StoreError({
    ...fields,
    kind: "Unavailable",
    description: `${message || code || error.message}. ${advice}`,
    cause: error
  })
}

/** Whether a statement did nothing because there is a row already that it was to insert. */
export const isTaken = ({ reason }: SqlError): boolean => reason._tag === "UniqueViolation"

/** Whether a statement did nothing because it and others, which went on, were in each other's way. */
export const isDisturbed = ({ reason }: SqlError): boolean =>
  reason._tag === "DeadlockError" || reason._tag === "SerializationError"
