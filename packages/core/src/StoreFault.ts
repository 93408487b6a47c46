/**
 * The faults of stores and their advice, for authors of stores.
 *
 * **When to use**
 *
 * Use it in a store of your own: the store then advises its users as the other stores do.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Key } from "./Key.ts"
import { StoreError } from "./SampleError.ts"

/**
 * The part of a `StoreError` that its cause decides.
 *
 * @category faults
 * @since 0.1.0
 */
export type Fault = Pick<StoreError, "kind" | "description" | "cause">

/**
 * The `StoreError` of an operation.
 *
 * @category faults
 * @since 0.1.0
 */
export const storeError = (
  store: string,
  operation: StoreError["operation"],
  fault: Fault,
  key?: Key,
  position?: number
): StoreError => new StoreError({ store, operation, key, position, ...fault })

/**
 * Runs an effect as an operation of a store: its errors become `StoreError`s, with the faults that `explain` finds.
 *
 * @category faults
 * @since 0.1.0
 */
export const makeRun = <E>(store: string, explain: (error: E) => Fault) =>
<A, R>(
  operation: StoreError["operation"],
  effect: Effect.Effect<A, E, R>,
  key?: Key,
  position?: number
): Effect.Effect<A, StoreError, R> =>
  Effect.mapError(effect, (error) => storeError(store, operation, explain(error), key, position))

/**
 * The fault of an error that the engine reported.
 *
 * @category faults
 * @since 0.1.0
 */
export const unavailable = (message: string, advice: string, cause?: unknown): Fault => ({
  kind: "Unavailable",
  description: `${message}. ${advice}`,
  cause
})

/**
 * The fault of a sample that differs from the sample that was put. `row` names its place.
 *
 * @category faults
 * @since 0.1.0
 */
export const damagedSample = (row: string): Fault => ({
  kind: "Damaged",
  description: `${row} is not the sample that was stored. Restore it, or delete it to have the position drawn again`
})

/**
 * The fault of a key that differs from the key that was put. `row` names its place.
 *
 * @category faults
 * @since 0.1.0
 */
export const damagedKey = (row: string): Fault => ({
  kind: "Damaged",
  description: `${row} is not the key that was stored. Restore it, or delete it and its samples`
})

/**
 * The fault of a store that a later version of this library wrote.
 *
 * @category faults
 * @since 0.1.0
 */
export const laterVersion = (found: number | string, known: number | string): Fault => ({
  kind: "Unavailable",
  description: `the store has version ${found}, and this library writes version ${known}: update the library`
})

const kept = "The samples of the request are kept in memory, and the next draw stores them"

const writesNothing = "or use replication, which writes nothing"

/**
 * Advice for the faults that engines have in common.
 *
 * @category faults
 * @since 0.1.0
 */
export const advice = {
  /** Ends the advice for a fault that can occur after a request was paid for. */
  kept,
  diskFull: `The disk is full: make room. ${kept}`,
  outOfMemory: `The memory is full: make room. ${kept}`,
  readOnly: `This server is read-only: connect to the primary, ${writesNothing}`,
  unreachable: `The server was not reached, or the connection broke: see that it runs, and try again. ${kept}`,
  starting: "The server is starting: try again",
  login: "The server refuses this user: check the user's name and password",
  tooManyConnections: "The server has too many connections: use fewer processes, or raise its limit",
  tryAgain: "Try again",
  /** For a missing right, which `grant` tells how to give. */
  denied: (grant: string): string => `${grant}, ${writesNothing}`
} as const

/**
 * The fault of an error of the file system. `place` is the kind of place that the store has, and `path` names the file if
 * the error does not.
 *
 * @category faults
 * @since 0.1.0
 */
export const fileSystemFault = (cause: unknown, place: "directory" | "file", path?: string): Fault => {
  const { code = "", message, path: named } = cause as NodeJS.ErrnoException
  const known: { readonly [code: string]: string } = {
    EACCES: advice.denied(`Give this user the right to it, use another ${place}`),
    EPERM: advice.denied(`Give this user the right to it, use another ${place} (a directory needs hard links)`),
    EROFS: advice.denied(`The file system is read-only: use another ${place}`),
    ENOSPC: advice.diskFull,
    EDQUOT: `The quota is used up: make room. ${kept}`,
    ENOTDIR: `A file has the name of a folder: move it away, or use another ${place}`,
    EEXIST: `A file has the name of a folder: move it away, or use another ${place}`,
    EISDIR: "A folder has the name of a file: move it away"
  }
  return {
    kind: code === "EISDIR" ? "Damaged" : code === "ENAMETOOLONG" ? "InvalidName" : "Unavailable",
    description: `${message}${named === undefined && path !== undefined ? ` '${path}'` : ""}. ${
      known[code] ?? `Check the file system, or use another ${place}`
    }`,
    cause
  }
}
