import type { Key } from "@llm-cache/core/Key"
import type { StoreError } from "@llm-cache/core/SampleError"
import { advice, type Fault, fileSystemFault, storeError, unavailable } from "@llm-cache/core/StoreFault"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"

/** A fault that this library finds, and not SQLite: a file of another program, a damaged sample, … */
export class FaultError extends Error {
  readonly fault: Fault
  constructor(fault: Fault) {
    super(fault.description)
    this.fault = fault
  }
}

/** Advice by the primary result code of SQLite. */
const adviceByCode: { readonly [code: number]: string } = {
  5: `Another process has held the file for too long: end it, or wait. ${advice.kept}`,
  7: "The memory is used up: end other programs",
  8: `${advice.denied("The file cannot be written: give this user the right to it and to its folder")}. ${advice.kept}`,
  10: `The disk failed, or has a limit: check it. ${advice.kept}`,
  11:
    `The file is damaged: restore it, save its contents with \`.recover\` of sqlite3, or move it away. ${advice.kept}`,
  13: advice.diskFull,
  14: "Give this user the right to the file and to its folder, because SQLite keeps two more files there",
  18: "A sample or a prompt exceeds SQLite's limit of 1 GB",
  26: "Another program may have overwritten it: restore it, move it away, or give another file"
}

/** The fault of an error, `undefined` if the error is a bug in a program. */
export const explain = (cause: unknown): Fault | undefined => {
  if (cause instanceof FaultError) return cause.fault
  if (!(cause instanceof Error)) return undefined
  const code = codeOf(cause)
  if (code !== undefined) {
    return unavailable(cause.message, adviceByCode[code] ?? "Check the file, or give another one", cause)
  }
  if (isOutOfRange(cause)) {
    return { kind: "Damaged", description: `${cause.message}: the row was changed. Restore the file`, cause }
  }
  return Predicate.hasProperty(cause, "syscall") ? fileSystemFault(cause, "file") : undefined
}

/** Whether another process holds the file, and the file is intact. */
export const isBusy = (cause: unknown): boolean => codeOf(cause) === 5

/** Whether a row has a number that this library never stores. */
export const isOutOfRange = (cause: unknown): boolean =>
  Predicate.hasProperty(cause, "code") && cause.code === "ERR_OUT_OF_RANGE"

/** Fails with the `StoreError` of an error, and dies of a bug. */
export const fail = (
  store: string,
  operation: StoreError["operation"],
  cause: unknown,
  key?: Key,
  position?: number
): Effect.Effect<never, StoreError> => {
  const fault = explain(cause)
  return fault === undefined ? Effect.die(cause) : Effect.fail(storeError(store, operation, fault, key, position))
}

const codeOf = (cause: unknown): number | undefined =>
  Predicate.hasProperty(cause, "errcode") && typeof cause.errcode === "number" ? cause.errcode & 0xff : undefined
