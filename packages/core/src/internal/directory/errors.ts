import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Key } from "../../Key.ts"
import { StoreError } from "../../SampleError.ts"

type Fields = Pick<StoreError, "kind" | "description" | "cause">

/** Fails with a `StoreError` of an operation. */
export type Fail = (fields: Fields) => Effect.Effect<never, StoreError>

/** Names the operation that fails. */
export const failure =
  (store: string, operation: StoreError["operation"], key?: Key, position?: number): Fail => (fields) =>
    Effect.fail(new StoreError({ store, operation, key, position, ...fields }))

/** Runs calls to the file system. A fault of the file system becomes a `StoreError`. */
export const attempt = <A>(failed: Fail, evaluate: () => A): Effect.Effect<A, StoreError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(evaluate())
    } catch (cause) {
      if (!isFault(cause)) throw cause
      return failed(explain(cause))
    }
  })

/** Adds advice to the reason why a name cannot be a folder. */
export const advise = (why: string): string =>
  `${why}, which can be no folder here: give another name, as with \`alias\``

const advice: { readonly [code: string]: string } = {
  EACCES: "Give this user the right to it, or use another directory",
  EPERM: "Give this user the right to it, or use another directory (one on a file system with hard links)",
  EROFS: "The file system is read-only: use another directory, or replication, which writes nothing",
  ENOSPC: "The disk is full: make room. Samples that were paid for are kept in memory, and the next draw stores them",
  EDQUOT:
    "The quota is used up: make room. Samples that were paid for are kept in memory, and the next draw stores them",
  ENOTDIR: "A file is where a folder should be: move it away, or use another directory",
  EEXIST: "A file is where a folder should be: move it away, or use another directory",
  EISDIR: "A folder is where a file should be: move it away"
}

/** Whether the file system threw this: bugs have no code. */
export const isFault = (cause: unknown): boolean => Predicate.hasProperty(cause, "code")

/** Describes a fault of the file system, with advice. */
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
