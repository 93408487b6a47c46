import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Key } from "../../Key.ts"
import { StoreError } from "../../SampleError.ts"

type Fields = Pick<StoreError, "kind" | "description" | "cause">

/** Fails with a `StoreError` of an operation. */
export type Fail = (fields: Fields) => Effect.Effect<never, StoreError>

export const failure =
  (store: string, operation: StoreError["operation"], key?: Key, position?: number): Fail => (fields) =>
    Effect.fail(new StoreError({ store, operation, key, position, ...fields }))

/** What the file system gives, with what it throws as a `StoreError`. */
export const attempt = <A>(failed: Fail, evaluate: () => A): Effect.Effect<A, StoreError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(evaluate())
    } catch (cause) {
      if (!isFault(cause)) throw cause
      return failed(explain(cause))
    }
  })

/** What to do about a name that can be no folder. */
export const advise = (why: string): string =>
  `${why}, which can be no folder here: give another name, as with \`alias\``

const advice: { readonly [code: string]: string } = {
  EACCES: "Give this user the right to it, or use another directory",
  EPERM: "Give this user the right to it, or use another directory (one on a file system with hard links)",
  EROFS: "The file system is read-only: use another directory, or replication, which writes nothing",
  ENOSPC: "The disk is full: make room. What was bought is kept in memory, and the next draw stores it",
  EDQUOT: "The quota is used up: make room. What was bought is kept in memory, and the next draw stores it",
  ENOTDIR: "A file is where a folder should be: move it away, or use another directory",
  EEXIST: "A file is where a folder should be: move it away, or use another directory",
  EISDIR: "A folder is where a file should be: move it away"
}

/** Whether it is the system that threw this, and not a mistake of ours. */
export const isFault = (cause: unknown): boolean => Predicate.hasProperty(cause, "code")

/** What the file system threw, and what to do about it. */
export const explain = (cause: unknown, file?: string): Fields => {
  const { code, message, path } = cause as NodeJS.ErrnoException
  return {
    kind: code === "EISDIR" ? "Damaged" : code === "ENAMETOOLONG" ? "InvalidName" : "Unavailable",
    description: `${message}${path === undefined && file !== undefined ? ` '${file}'` : ""}. ${
      advice[code ?? ""] ?? "See to the file system, or use another directory"
    }`,
    cause
  }
}
