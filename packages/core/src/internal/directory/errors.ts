import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Key } from "../../Key.ts"
import type { StoreError } from "../../SampleError.ts"
import { type Fault, fileSystemFault, storeError } from "../../StoreFault.ts"

/** Fails with a `StoreError` of an operation. */
export type Fail = (fault: Fault) => Effect.Effect<never, StoreError>

/** Names the operation that fails. */
export const failure =
  (store: string, operation: StoreError["operation"], key?: Key, position?: number): Fail => (fault) =>
    Effect.fail(storeError(store, operation, fault, key, position))

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

/** Whether the file system threw this: bugs have no code. */
export const isFault = (cause: unknown): boolean => Predicate.hasProperty(cause, "code")

/** Describes a fault of the file system, with advice. */
export const explain = (cause: unknown, file?: string): Fault => {
  const { code = "", message, syscall } = cause as NodeJS.ErrnoException
  // As for a `:` or a letter that the file system has not. The folder above exists where `mkdir` says `ENOENT`.
  return syscall === "mkdir" && ["EINVAL", "EILSEQ", "ENAMETOOLONG", "ENOENT"].includes(code)
    ? { kind: "InvalidName", description: advise(`${message}: this file system refuses the name`), cause }
    : fileSystemFault(cause, "directory", file)
}

/** Whether the process or the system has no descriptor left for another file. */
export const isOutOfFiles = (cause: unknown): boolean =>
  Predicate.hasProperty(cause, "code") && (cause.code === "EMFILE" || cause.code === "ENFILE")
