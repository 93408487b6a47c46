import * as Identity from "@llm-cache/core/Identity"
import { Key } from "@llm-cache/core/Key"
import * as MemoryStore from "@llm-cache/core/MemoryStore"
import type { Drawn } from "@llm-cache/core/Sample"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import { Effect, Result, Stream } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { importBatch, importFile, type ImportOptions } from "../../src/import/importFile.ts"
import type { Damaged, Skipped } from "../../src/import/item.ts"

/** A folder that is deleted with the test. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "exchange-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true }))
)

/** A file with a content, in a folder that is deleted with the test. */
export const file = (name: string, content: string | Uint8Array) =>
  Effect.map(folder, (folder) => {
    const path = Path.join(folder, name)
    Fs.writeFileSync(path, content)
    return path
  })

export const lines = (...values: ReadonlyArray<unknown>): string =>
  values.map((value) => `${typeof value === "string" ? value : JSON.stringify(value)}\n`).join("")

/** Imports a file, into an empty store unless one is given. */
export const imported = Effect.fnUntraced(function*(
  path: string,
  options: Omit<ImportOptions, "onProblem"> & { readonly to?: Store } = {}
) {
  const to = options.to ?? (yield* MemoryStore.make)
  const problems: Array<Damaged | Skipped> = []
  const onProblem = (problem: Damaged | Skipped) => Effect.sync(() => void problems.push(problem))
  const counts = yield* importFile(to, path, { ...options, onProblem })
  return { counts, problems: problems.map(({ kind, reason, where }) => `${kind}: ${where}: ${reason}`), to }
})

/** Imports the answers of a batch, into an empty store unless one is given. */
export const importedBatch = Effect.fnUntraced(function*(
  answers: ReadonlyArray<string>,
  requests: string,
  options: { readonly to?: Store } = {}
) {
  const to = options.to ?? (yield* MemoryStore.make)
  const problems: Array<Damaged | Skipped> = []
  const counts = yield* importBatch(to, answers, requests, {
    onProblem: (problem) => Effect.sync(() => void problems.push(problem))
  })
  return { counts, problems: problems.map(({ kind, reason, where }) => `${kind}: ${where}: ${reason}`), to }
})

/** The samples of a store by identity, forks and prompt. */
export const contents = (store: Store): Effect.Effect<Record<string, ReadonlyArray<string>>, StoreError> =>
  Effect.gen(function*() {
    const found: Record<string, ReadonlyArray<string>> = {}
    yield* Stream.runForEach(store.keys(), (element) =>
      Effect.gen(function*() {
        const { key } = Result.getOrThrow(element)
        const texts: Array<string> = []
        for (const position of yield* store.positions(key)) {
          texts.push(`${position}: ${(yield* store.get(key, position))!.text}`)
        }
        found[[key.identity.toString(), ...key.path, key.prompt].join(" | ")] = texts
      }))
    return found
  })

export const key = Effect.fnUntraced(function*(
  options: Identity.Options,
  prompt: string,
  path: ReadonlyArray<string> = []
) {
  return new Key(yield* Identity.make(options), prompt, path)
})

export const drawn = (text: string, metadata: Drawn["metadata"] = {}, origins: Drawn["origins"] = []): Drawn => ({
  text,
  metadata,
  origins
})

/** The answer of a chat completion. */
export const completion = (id: string, ...texts: ReadonlyArray<string>) => ({
  id,
  object: "chat.completion",
  created: 1_700_000_000,
  model: "gpt-4o-2024-08-06",
  choices: texts.map((content, index) => ({
    index,
    message: { role: "assistant", content },
    finish_reason: "stop"
  })),
  usage: { prompt_tokens: 12, completion_tokens: 3 }
})

/** The request of a chat completion. */
export const chat = (prompt: string, more: object = {}) => ({
  model: "gpt-4o",
  temperature: 1,
  messages: [{ role: "user", content: prompt }],
  ...more
})
