import { KeyvSqlite } from "@keyv/sqlite"
import { SqliteStore } from "@llm-cache/sqlite"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { Keyv } from "keyv"
import * as Lmdb from "lmdb"
import * as Path from "node:path"
import { atMost, type Check } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { persistent, run, sampleEach } from "../support/models.ts"
import { longSampleLength, promptsOf, sampleLength, sampleOf, sha256 } from "../support/payload.ts"
import { askEach } from "../support/peers.ts"
import { betterSqlite3, nodeSqlite } from "../support/rawSqlite.ts"

const row = (name: string, title: string, length: number, checks: ReadonlyArray<Check>): Row => ({
  name,
  title,
  operation: "a sample",
  characters: length,
  once: true,
  rounds: 9,
  checks,
  setup: async ({ folder, onEnd, quick, scope }) => {
    const count = quick ? 2000 : 10_000
    const prompts = promptsOf(count)

    const store = await Effect.runPromise(
      Scope.provide(SqliteStore.make({ file: Path.join(folder, "ours.db") }), scope)
    )
    const ours = await persistent(store, scope, length)
    await run(ours, sampleEach(prompts, 64))

    const raw = [nodeSqlite(Path.join(folder, "node.db")), betterSqlite3(Path.join(folder, "better.db"))] as const
    for (const db of raw) {
      db.exec("begin")
      for (const [i, prompt] of prompts.entries()) db.put(sha256(prompt), 0, sampleOf(i, length))
      db.exec("commit")
      onEnd(() => db.close())
    }

    const keyv = new Keyv({
      store: new KeyvSqlite({ uri: `sqlite://${Path.join(folder, "keyv.db")}`, wal: true, driver: "node:sqlite" })
    })
    onEnd(() => keyv.disconnect())
    const lmdb = Lmdb.open<string, string>({ path: Path.join(folder, "lmdb") })
    onEnd(() => lmdb.close())
    for (const [i, prompt] of prompts.entries()) {
      await keyv.set(sha256(prompt), sampleOf(i, length))
      void lmdb.put(sha256(prompt), sampleOf(i, length))
    }
    await lmdb.flushed

    const getAll = (get: (key: string) => string) => () => {
      let characters = 0
      for (const prompt of prompts) characters += get(sha256(prompt)).length
      return characters
    }
    return [
      { name: "sampleOne", role: "ours", operations: count, run: () => run(ours, sampleEach(prompts)) },
      { name: "node:sqlite + sha256", role: "floor", operations: count, run: getAll((key) => raw[0].get(key, 0)) },
      { name: "better-sqlite3 + sha256", role: "peer", operations: count, run: getAll((key) => raw[1].get(key, 0)) },
      { name: "lmdb + sha256", role: "peer", operations: count, run: getAll((key) => lmdb.get(key)!) },
      {
        name: "keyv over SQLite",
        role: "peer",
        operations: count,
        run: () => askEach(prompts, async (prompt) => (await keyv.get<string>(sha256(prompt)))!)
      }
    ]
  }
})

export const sqlitePrompts = row(
  "sqlite-prompts",
  "SQLite, 10,000 prompts x 1, warm",
  sampleLength,
  [atMost(2, "node:sqlite + sha256"), atMost(1, "keyv over SQLite")]
)

export const sqlitePromptsLong = row(
  "sqlite-prompts-10k",
  "SQLite, 10,000 prompts x 1 of 10 KB, warm",
  longSampleLength,
  [atMost(2, "node:sqlite + sha256"), atMost(1, "keyv over SQLite")]
)
