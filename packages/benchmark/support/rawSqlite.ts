/**
 * SQLite without the library: a table, prepared statements, WAL.
 */
import BetterSqlite3 from "better-sqlite3"
import { DatabaseSync } from "node:sqlite"

export const setUp = [
  "pragma page_size = 8192",
  "pragma journal_mode = wal",
  "pragma synchronous = normal",
  "pragma wal_autocheckpoint = 4000",
  "pragma cache_size = -16384",
  "create table samples (key text not null, position integer not null, text text not null, primary key (key, position))",
  "create table prompts (key text primary key, prompt text not null)"
]

export const insert = "insert into samples (key, position, text) values (?, ?, ?)"
export const insertPrompt = "insert into prompts (key, prompt) values (?, ?)"
export const select = "select text from samples where key = ? and position = ?"

export interface RawSqlite {
  readonly put: (key: string, position: number, text: string) => unknown
  readonly putPrompt: (key: string, prompt: string) => unknown
  readonly get: (key: string, position: number) => string
  readonly exec: (sql: string) => unknown
  readonly close: () => void
}

export const nodeSqlite = (file: string): RawSqlite => {
  const db = new DatabaseSync(file)
  for (const sql of setUp) db.exec(sql)
  const [putting, puttingPrompt, getting] = [db.prepare(insert), db.prepare(insertPrompt), db.prepare(select)]
  return {
    put: (key, position, text) => putting.run(key, position, text),
    putPrompt: (key, prompt) => puttingPrompt.run(key, prompt),
    get: (key, position) => getting.get(key, position)!["text"] as string,
    exec: (sql) => db.exec(sql),
    close: () => db.close()
  }
}

export const betterSqlite3 = (file: string): RawSqlite => {
  const db = new BetterSqlite3(file)
  for (const sql of setUp) db.exec(sql)
  const putting = db.prepare<[string, number, string]>(insert)
  const puttingPrompt = db.prepare<[string, string]>(insertPrompt)
  const getting = db.prepare<[string, number], { readonly text: string }>(select)
  return {
    put: (key, position, text) => putting.run(key, position, text),
    putPrompt: (key, prompt) => puttingPrompt.run(key, prompt),
    get: (key, position) => getting.get(key, position)!.text,
    exec: (sql) => db.exec(sql),
    close: () => db.close()
  }
}
