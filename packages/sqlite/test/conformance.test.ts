import type { Key } from "@llm-cache/core"
import { SampleStoreTest } from "@llm-cache/testing"
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

SampleStoreTest.suite("SQLite", SqliteStore.layer({ file }), {
  hasLeases: true,
  hasPeek: true,
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
