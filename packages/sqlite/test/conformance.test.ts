import type { Key } from "@llm-cache/core"
import { ProgramTest, SampleStoreTest } from "@llm-cache/testing"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { afterAll } from "vitest"
import { SqliteStore } from "../src/index.ts"

const root = Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-sqlite-"))
afterAll(() => Fs.rmSync(root, { recursive: true }))
const file = Path.join(root, "suite.db")

const newPlace = (name: string) => {
  const folder = Fs.mkdtempSync(Path.join(root, "new-"))
  return {
    root: folder,
    layer: SqliteStore.layer({ file: Path.join(folder, name) }),
    traces: Effect.sync(() =>
      Fs.readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => [
        entry.name,
        entry.isFile() && Fs.statSync(Path.join(entry.parentPath, entry.name)).size
      ])
    )
  }
}

SampleStoreTest.suite("SQLite", SqliteStore.layer({ file }), {
  hasLeases: true,
  hasPeek: true,
  newPlaces: {
    "a missing folder": Effect.sync(() => newPlace("folder/samples.db")),
    "an empty file": Effect.sync(() => {
      const { root, ...place } = newPlace("samples.db")
      Fs.writeFileSync(Path.join(root, "samples.db"), "")
      return place
    })
  },
  damage: (key: Key.Key, position: number) =>
    Effect.sync(() => {
      const db = new DatabaseSync(file)
      db.prepare(
        `update samples set text = text || 'spoilt' where position = ? and key = (
          select keys.id from keys join identities on identities.id = keys.identity where identities.identity = ?)`
      ).run(position, key.identity.id)
      db.close()
    })
})

ProgramTest.suite("SQLite", {
  runs: 30,
  store: (folder) => SqliteStore.layer({ file: Path.join(folder, "cache.db"), durability: "process" })
})
