import { LlmModel } from "@llm-cache/core"
import { SqliteStore } from "@llm-cache/sqlite"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Path from "node:path"
import { atMost } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { lengthOf, persistent, run } from "../support/models.ts"
import { promptOf, sampleOf, sha256 } from "../support/payload.ts"
import { betterSqlite3, nodeSqlite } from "../support/rawSqlite.ts"

const length = 100

export const sqliteSequence: Row = {
  name: "sqlite-100-of-one",
  title: "SQLite, 100 of one prompt, warm",
  operation: "a sample",
  slack: 2,
  checks: [atMost(1.3, "node:sqlite")],
  setup: async ({ folder, onEnd, scope }) => {
    const prompt = promptOf(0)
    const store = await Effect.runPromise(
      Scope.provide(SqliteStore.make({ file: Path.join(folder, "ours.db") }), scope)
    )
    const ours = await persistent(store, scope)
    await run(ours, LlmModel.sampleMany(prompt, length))
    const raw = [nodeSqlite(Path.join(folder, "node.db")), betterSqlite3(Path.join(folder, "better.db"))] as const
    for (const db of raw) {
      for (let i = 0; i < length; i++) db.put(sha256(prompt), i, sampleOf(0))
      onEnd(() => db.close())
    }
    const getAll = (get: (key: string, position: number) => string) => () => {
      const key = sha256(prompt)
      let characters = 0
      for (let i = 0; i < length; i++) characters += get(key, i).length
      return characters
    }
    return [
      {
        name: "sampleMany",
        role: "ours",
        operations: length,
        run: () => run(ours, Effect.map(LlmModel.sampleMany(prompt, length), lengthOf))
      },
      { name: "node:sqlite", role: "floor", operations: length, run: getAll(raw[0].get) },
      { name: "better-sqlite3", role: "peer", operations: length, run: getAll(raw[1].get) },
      {
        name: "sample, as a Stream",
        role: "ours",
        operations: length,
        run: () => run(ours, Effect.map(LlmModel.sample(prompt).pipe(Stream.take(length), Stream.runCollect), lengthOf))
      }
    ]
  }
}
