import { DirectoryStore, type Key, MemoryStore } from "@llm-cache/core"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { afterAll } from "vitest"
import { SampleStoreTest } from "../src/index.ts"

SampleStoreTest.suite("memory", MemoryStore.layer, { isDurable: false, hasPeek: true })

const root = Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-"))
// The write-ahead log may still remove a file of its own.
const remove = (folder: string) => Fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
afterAll(() => remove(root), 60_000)

const newPlace = (name: string) => {
  const folder = Fs.mkdtempSync(Path.join(root, "..", "llm-cache-new-"))
  afterAll(() => remove(folder))
  return {
    layer: DirectoryStore.layer(Path.join(folder, name)),
    traces: Effect.sync(() => Fs.readdirSync(folder, { recursive: true }))
  }
}

SampleStoreTest.suite("directory", DirectoryStore.layer(root), {
  hasPeek: true,
  newPlaces: {
    "a missing folder": Effect.sync(() => newPlace("folder/cache")),
    "an empty folder": Effect.sync(() => newPlace("."))
  },
  damage: (key: Key.Key, position: number) =>
    Effect.gen(function*() {
      const store = yield* Effect.orDie(DirectoryStore.make(root))
      Fs.appendFileSync(Path.join(store.describe(key), `${position}.md`), "spoilt")
    })
})
