import { assert, describe, it } from "@effect/vitest"
import type { Key, SampleError, SampleStore } from "@llm-cache/core"
import { Effect, Fiber } from "effect"
import { DatabaseSync } from "node:sqlite"
import { SqliteStore } from "../src/index.ts"
import { keyOf, newFile, put } from "./support/file.ts"

/** Another tool holds the file, until the returned effect has run. */
const hold = (file: string, ...statements: ReadonlyArray<string>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const db = new DatabaseSync(file)
        for (const statement of statements) db.exec(statement)
        return db
      }),
      (db) => Effect.sync(() => db.isOpen && db.close())
    ),
    (db) => Effect.sync(() => db.close())
  )

const writes = ["begin immediate"]
const excludes = ["pragma locking_mode = exclusive", "begin immediate", "delete from leases", "commit"]

describe("while another tool holds the file, other fibers run, and", () => {
  it.live.each(
    [
      ["a put", writes, (store, key) => put(store, key, 1)],
      ["a removal", writes, (store, key) => store.remove(key, [0])],
      ["a lease", writes, (store, key) => store.leases!.acquire(key, [0], "holder", 60_000)],
      ["a read", excludes, (store, key) => store.getMany(key, 0, 1)],
      ["the first request", excludes, (store, key) => store.prepare(key)]
    ] satisfies ReadonlyArray<readonly [string, ReadonlyArray<string>, Use]>
  )("%s waits", ([, statements, use]) =>
    Effect.gen(function*() {
      const file = yield* newFile
      const key = yield* keyOf("p")
      yield* Effect.scoped(Effect.flatMap(SqliteStore.make({ file }), (store) => put(store, key, 0)))
      const open = SqliteStore.make({ file })
      // The tool cannot exclude a store that has the file open.
      const store = statements === writes ? yield* Effect.tap(open, (store) => store.prepare(key)) : undefined
      const free = yield* hold(file, ...statements)
      const start = performance.now()
      const using = yield* Effect.forkChild(
        Effect.flatMap(store === undefined ? open : Effect.succeed(store), (store) => use(store, key)),
        { startImmediately: true }
      )
      for (let i = 0; i < 5; i++) yield* Effect.sleep("10 millis")
      assert.isUndefined(using.pollUnsafe())
      yield* free
      yield* Fiber.join(using)
      assert.isBelow(performance.now() - start, 3000)
    }))
})

type Use = (store: SampleStore.Store, key: Key.Key) => Effect.Effect<unknown, SampleError.StoreError>
