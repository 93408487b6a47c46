import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { explain } from "../src/internal/errors.ts"

const faultOf = (fields: object) => explain(Object.assign(new Error("the words of SQLite"), fields))

describe("An error of SQLite", () => {
  // https://www.sqlite.org/rescode.html
  const advices: ReadonlyArray<readonly [name: string, errcode: number, advice: string]> = [
    ["SQLITE_BUSY", 5, "held the file for too long"],
    ["SQLITE_BUSY_SNAPSHOT", 517, "held the file for too long"],
    ["SQLITE_NOMEM", 7, "end other programs"],
    ["SQLITE_READONLY", 8, "The file cannot be written"],
    ["SQLITE_READONLY_DIRECTORY", 1544, "The file cannot be written"],
    ["SQLITE_IOERR_WRITE", 778, "The disk failed"],
    ["SQLITE_CORRUPT", 11, ".recover"],
    ["SQLITE_FULL", 13, "The disk is full"],
    ["SQLITE_CANTOPEN", 14, "SQLite keeps two more files there"],
    ["SQLITE_TOOBIG", 18, "limit of 1 GB"],
    ["SQLITE_NOTADB", 26, "Another program may have overwritten it"],
    ["SQLITE_ERROR", 1, "Check the file"]
  ]
  it.effect.each(advices)("%s (%i) comes with advice", ([, errcode, advice]) =>
    Effect.sync(() => {
      const fault = faultOf({ errcode })
      assert(fault !== undefined)
      assert.strictEqual(fault.kind, "Unavailable")
      assert.include(fault.description, "the words of SQLite")
      assert.include(fault.description, advice)
    }))

  it.effect("that is none is a bug, unless a number or a file is at fault", () =>
    Effect.sync(() => {
      assert.isUndefined(faultOf({}))
      assert.isUndefined(explain("text"))
      assert.strictEqual(faultOf({ code: "ERR_OUT_OF_RANGE" })?.kind, "Damaged")
      assert.strictEqual(faultOf({ code: "EACCES", syscall: "mkdir" })?.kind, "Unavailable")
    }))
})
