import type { StoreError } from "@llm-cache/core/SampleError"
import * as Predicate from "effect/Predicate"

/** What this library itself refuses: a file of another program, of a later version, … */
export class Refusal extends Error {
  readonly kind: StoreError["kind"]
  constructor(description: string, kind: StoreError["kind"] = "Unavailable") {
    super(description)
    this.kind = kind
  }
}

const kept = "What was bought is kept in memory, and the next draw stores it"

/** What to do about a result code of SQLite, without its extension. */
const advice: { readonly [code: number]: string } = {
  5: `Another process has held the file for too long: end it, or wait. ${kept}`,
  7: "There is no memory left",
  8: `The file cannot be written: give this user the right to it and to its folder, or use replication. ${kept}`,
  10: `The disk failed, or may not be written further: see to it. ${kept}`,
  11:
    `The file is spoilt: restore it, save what is in it with the command \`.recover\` of sqlite3, or move it away. ${kept}`,
  13: `The disk is full: make room. ${kept}`,
  14:
    "Give this user the right to the file and to its folder, where SQLite keeps the two files that it needs beside it",
  18: "A sample or a prompt is longer than SQLite takes (1 GB)",
  26: "It may have been overwritten: restore it, move it away, or give another file"
}

const adviceForFiles: { readonly [code: string]: string } = {
  EACCES: "Give this user the right to the file and to its folder, or use replication, which writes nothing",
  EPERM: "Give this user the right to the file and to its folder, or use replication, which writes nothing",
  EROFS: "The file system is read-only: give another file, or use replication, which writes nothing",
  ENOSPC: `The disk is full: make room. ${kept}`,
  ENOTDIR: "A file is where a folder should be: move it away, or give another file",
  EEXIST: "A file is where a folder should be: move it away, or give another file"
}

const codeOf = (cause: unknown): number | undefined =>
  Predicate.hasProperty(cause, "errcode") && typeof cause.errcode === "number" ? cause.errcode & 0xff : undefined

/** Whether another process has what is needed, and nothing is wrong with the file. */
export const isBusy = (cause: unknown): boolean => codeOf(cause) === 5

/** What was thrown, and what to do about it; `undefined` where it is a mistake in the program. */
export const explain = (cause: unknown): Pick<StoreError, "kind" | "description" | "cause"> | undefined => {
  if (cause instanceof Refusal) return { kind: cause.kind, description: cause.message }
  if (!(cause instanceof Error)) return undefined
  const code = codeOf(cause)
  if (code !== undefined) {
    return {
      kind: "Unavailable",
      description: `${cause.message}. ${advice[code] ?? "See to the file, or give another one"}`,
      cause
    }
  }
  // a number that none of ours is
  if (Predicate.hasProperty(cause, "code") && cause.code === "ERR_OUT_OF_RANGE") {
    return { kind: "Damaged", description: `${cause.message}: the row was altered. Restore the file`, cause }
  }
  // of the file system
  if (!Predicate.hasProperty(cause, "syscall")) return undefined
  const { code: name, message } = cause as NodeJS.ErrnoException
  return {
    kind: name === "ENAMETOOLONG" ? "InvalidName" : "Unavailable",
    description: `${message}. ${adviceForFiles[name ?? ""] ?? "See to the file system, or give another file"}`,
    cause
  }
}
