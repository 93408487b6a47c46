import { assert, describe, it } from "@effect/vitest"
import { LlmModel, Persistent } from "@llm-cache/core"
import { TestModel } from "@llm-cache/testing"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { vi } from "vitest"
import { patched } from "../../core/test/support/patched.ts"
import { SqliteStore } from "../src/index.ts"
import { keyOf, newFile, put } from "./support/file.ts"

/** How many transactions the write-ahead log has: the last frame of each has the size of the database. */
const commitsOf = (file: string): number => {
  const log = Fs.readFileSync(`${file}-wal`)
  const frame = 24 + log.readUInt32BE(8)
  let commits = 0
  for (let at = 32; at + frame <= log.length; at += frame) if (log.readUInt32BE(at + 4) > 0) commits++
  return commits
}

/** The connections that a test opens, and how durable the last transaction of each was. */
const watched = Effect.acquireRelease(
  Effect.sync(() => {
    const spy = vi.spyOn(DatabaseSync.prototype, "exec")
    const levelOf = (db: DatabaseSync) => {
      const [level] = Object.values(db.prepare("pragma synchronous").get()!)
      return level === 2 ? "full" : level === 1 ? "normal" : level
    }
    return {
      spy,
      level: () => [...new Set(spy.mock.contexts as Array<DatabaseSync>)].filter((db) => db.isOpen).map(levelOf).join()
    }
  }),
  ({ spy }) => Effect.sync(() => spy.mockRestore())
)

describe("a stored sample survives", () => {
  it.effect("a power failure: samples are forced to the disk, leases are not", () =>
    Effect.gen(function*() {
      const { level } = yield* watched
      const store = yield* SqliteStore.make({ file: yield* newFile })
      const key = yield* keyOf("p")
      yield* store.prepare(key)
      for (let position = 0; position < 2; position++) {
        yield* store.leases!.acquire(key, [0], "holder", 60_000)
        assert.strictEqual(level(), "normal")
        yield* put(store, key, position)
        assert.strictEqual(level(), "full")
        yield* store.leases!.release(key, [0], "holder")
        assert.strictEqual(level(), "normal")
      }
      yield* store.remove(key, [0])
      assert.strictEqual(level(), "full")
    }))

  it.effect.runIf(process.platform === "linux")(
    "a power failure: new folders are forced to the disk",
    () =>
      Effect.gen(function*() {
        const file = yield* newFile
        const root = Path.dirname(file)
        const forced: Array<string> = []
        const store = yield* SqliteStore.make({ file: Path.join(root, "a", "b", "samples.db") })
        yield* store.prepare(yield* keyOf("p")).pipe(
          patched(
            ["fsyncSync"],
            () => (descriptor: number) => forced.push(Fs.readlinkSync(`/proc/self/fd/${descriptor}`))
          )
        )
        assert.deepStrictEqual(forced, [Path.join(root, "a", "b"), Path.join(root, "a"), root])
      })
  )

  it.effect("the end of the process, with the durability of a process", () =>
    Effect.gen(function*() {
      const { level } = yield* watched
      const store = yield* SqliteStore.make({ file: yield* newFile, durability: "process" })
      yield* put(store, yield* keyOf("p"), 0)
      assert.strictEqual(level(), "normal")
    }))

  it.effect("nothing that is not known", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(SqliteStore.make({ file: yield* newFile, durability: "disk" as never }))
      assert.include(error.message, `give "power" or "process"`)
    }))
})

describe("a forced write", () => {
  it.effect("is one for all samples of a request", () =>
    Effect.gen(function*() {
      const file = yield* newFile
      const { model } = yield* TestModel.make({ model: "m" })
      const persistent = yield* Persistent.make(model, yield* SqliteStore.make({ file }))
      const draw = (prompt: string) =>
        Effect.provideService(LlmModel.sampleMany(prompt, 20), LlmModel.LlmModel, persistent)
      yield* draw("p")
      const before = commitsOf(file)
      yield* draw("q")
      assert.strictEqual(commitsOf(file) - before, 1)
    }))

  it.live.each<readonly [string, Effect.Effect<unknown>]>([
    ["of 64 fibers", Effect.void],
    ["that arrive by callbacks of their own", Effect.promise(() => Fs.promises.stat("."))]
  ])("is shared by requests %s", ([, arrival]) =>
    Effect.gen(function*() {
      const file = yield* newFile
      const store = yield* SqliteStore.make({ file })
      yield* put(store, yield* keyOf("first"), 0)
      const before = commitsOf(file)
      const keys = yield* Effect.forEach(Array.from({ length: 64 }, (_, i) => `p${i}`), keyOf)
      yield* Effect.forEach(keys, (key) => Effect.andThen(arrival, put(store, key, 0)), { concurrency: "unbounded" })
      assert.isAtMost(commitsOf(file) - before, 16)
    }))
})
