import { KeyvSqlite } from "@keyv/sqlite"
import { LocalFileCache } from "@langchain/classic/cache/file_system"
import { DirectoryStore } from "@llm-cache/core"
import { SqliteStore } from "@llm-cache/sqlite"
import * as cacache from "cacache"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { Keyv } from "keyv"
import * as Lmdb from "lmdb"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { atMost, fasterThan, fasterThanOriginal } from "../harness/checks.ts"
import type { Row } from "../harness/row.ts"
import { ahead } from "../support/ahead.ts"
import { persistent, run, sampleEach } from "../support/models.ts"
import { promptOf, sampleLength, sampleOf, sha256 } from "../support/payload.ts"
import { askEach, langchainCached } from "../support/peers.ts"
import { betterSqlite3, nodeSqlite } from "../support/rawSqlite.ts"

/** The prompts of a call. */
const count = 500

// New prompts in each call.
const freshPrompts = () => {
  let next = 0
  return () => Array.from({ length: count }, () => promptOf(next++))
}

export const recordSqlite: Row = {
  name: "record-sqlite",
  title: "recording in SQLite, one at a time",
  operation: "a sample",
  once: true,
  checks: [
    atMost(1.3, "node:sqlite, an insert each"),
    fasterThan("sampleOne, durable", 4, "sampleOne, durable, 64 fibers"),
    fasterThanOriginal(700)
  ],
  note:
    "Prompt and sample in a transaction by hand take twice as long as the insert, since SQLite writes to four trees in place of two. " +
    "In a profile of ours, one at a time, the transaction is 44 % of the time (28 % its begin and commit, 14 % its inserts), the two " +
    "reads before the request are 10 %, and the rest is the fibers of the request, which over an empty store take up to twice as " +
    "long as the insert. Durable samples wait for the disk, and 64 fibers share that wait.",
  setup: async ({ folder, onEnd, scope }) => {
    const open = async (name: string, durability?: "process") =>
      persistent(
        await Effect.runPromise(Scope.provide(SqliteStore.make({ file: Path.join(folder, name), durability }), scope)),
        scope
      )
    // Like the floors, which wait for no disk.
    const ours = await open("ours.db", "process")
    const [durable, together] = [await open("durable.db"), await open("together.db")]
    const raw = [
      nodeSqlite(Path.join(folder, "node.db")),
      betterSqlite3(Path.join(folder, "better.db")),
      nodeSqlite(Path.join(folder, "prompts.db"))
    ] as const
    for (const db of raw) onEnd(() => db.close())
    const keyv = new Keyv({
      store: new KeyvSqlite({ uri: `sqlite://${Path.join(folder, "keyv.db")}`, wal: true, driver: "node:sqlite" })
    })
    onEnd(() => keyv.disconnect())
    const lmdb = Lmdb.open<string, string>({ path: Path.join(folder, "lmdb") })
    onEnd(() => lmdb.close())
    const putAll = (put: (key: string, text: string) => unknown) => (prompts: ReadonlyArray<string>) =>
      askEach(prompts, async (prompt) => {
        const text = sampleOf(Number.parseInt(prompt, 10))
        await put(sha256(prompt), text)
        return text
      })
    return [
      {
        name: "sampleOne",
        role: "ours",
        operations: count,
        run: ahead(freshPrompts(), (prompts) => run(ours, sampleEach(prompts)))
      },
      {
        name: "node:sqlite, an insert each",
        role: "floor",
        operations: count,
        run: ahead(freshPrompts(), (prompts) => {
          for (const prompt of prompts) raw[0].put(sha256(prompt), 0, sampleOf(Number.parseInt(prompt, 10)))
          return count * sampleLength
        })
      },
      {
        name: "sampleOne, durable",
        role: "ours",
        operations: count,
        run: ahead(freshPrompts(), (prompts) => run(durable, sampleEach(prompts)))
      },
      {
        name: "sampleOne, durable, 64 fibers",
        role: "ours",
        operations: count,
        run: ahead(freshPrompts(), (prompts) => run(together, sampleEach(prompts, 64)))
      },
      {
        // The same data as ours.
        name: "node:sqlite, prompt and sample, a transaction each",
        role: "floor",
        operations: count,
        run: ahead(freshPrompts(), (prompts) => {
          for (const prompt of prompts) {
            raw[2].exec("begin immediate")
            raw[2].putPrompt(sha256(prompt), prompt)
            raw[2].put(sha256(prompt), 0, sampleOf(Number.parseInt(prompt, 10)))
            raw[2].exec("commit")
          }
          return count * sampleLength
        })
      },
      {
        name: "better-sqlite3, an insert each",
        role: "peer",
        operations: count,
        run: ahead(freshPrompts(), (prompts) => {
          for (const prompt of prompts) raw[1].put(sha256(prompt), 0, sampleOf(Number.parseInt(prompt, 10)))
          return count * sampleLength
        })
      },
      {
        name: "lmdb, awaited",
        role: "peer",
        operations: count,
        run: ahead(freshPrompts(), putAll((key, text) => lmdb.put(key, text)))
      },
      {
        name: "keyv over SQLite",
        role: "peer",
        operations: count,
        run: ahead(freshPrompts(), putAll((key, text) => keyv.set(key, text)))
      }
    ]
  }
}

export const recordDirectory: Row = {
  name: "record-directory",
  title: "recording in a directory, one at a time",
  operation: "a sample",
  once: true,
  checks: [atMost(1.5, "the same files, written raw"), fasterThanOriginal(700)],
  note:
    "Three files and a folder are most of it, and take from 0.1 to some milliseconds, depending on the disk. Beyond the floor, " +
    "sample and prompt get their names by a link once they are whole (about 40 µs for both, with the removal of the other " +
    "name), and the store looks three times for the missing sample, at the cost of an exception each (8 µs).",
  setup: async ({ folder, scope }) => {
    const open = async (name: string) =>
      persistent(await Effect.runPromise(DirectoryStore.make(Path.join(folder, name))), scope)
    const [ours, together] = [await open("ours"), await open("together")]
    const langchain = langchainCached(await LocalFileCache.create(Path.join(folder, "langchain")))
    const cacacheRoot = Path.join(folder, "cacache")
    const rawRoot = Path.join(folder, "raw", "bench_1")
    return [
      {
        name: "sampleOne",
        role: "ours",
        operations: count,
        run: ahead(freshPrompts(), (prompts) => run(ours, sampleEach(prompts)))
      },
      {
        name: "the same files, written raw",
        role: "floor",
        operations: count,
        run: ahead(freshPrompts(), (prompts) => {
          for (const prompt of prompts) {
            const at = `${rawRoot}/${sha256(prompt)}`
            const text = sampleOf(Number.parseInt(prompt, 10))
            Fs.mkdirSync(at, { recursive: true })
            Fs.writeFileSync(`${at}/prompt.txt`, prompt)
            Fs.writeFileSync(`${at}/0-255.jsonl`, line)
            Fs.writeFileSync(`${at}/0.md`, text)
          }
          return count * sampleLength
        })
      },
      {
        name: "sampleOne, 64 fibers",
        role: "ours",
        operations: count,
        run: ahead(freshPrompts(), (prompts) => run(together, sampleEach(prompts, 64)))
      },
      {
        name: "LangChain: LocalFileCache",
        role: "peer",
        operations: count,
        run: ahead(freshPrompts(), (prompts) => askEach(prompts, langchain))
      },
      {
        name: "cacache",
        role: "peer",
        operations: count,
        run: ahead(freshPrompts(), (prompts) =>
          askEach(prompts, async (prompt) => {
            const text = sampleOf(Number.parseInt(prompt, 10))
            await cacache.put(cacacheRoot, sha256(prompt), text)
            return text
          }))
      }
    ]
  }
}

// The length of a line of ours.
const line = `\n${
  JSON.stringify({
    position: 0,
    bytes: sampleLength,
    crc32: 1_234_567_890,
    id: `${crypto.randomUUID()} 0`,
    request: crypto.randomUUID(),
    index: 0,
    createdAt: Date.now(),
    elapsed: 0,
    requestSamples: 1
  })
}`
