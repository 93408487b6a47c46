import type { SampleConflict, StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { DatabaseSync } from "node:sqlite"
import { importLines } from "../exchange/importLines.ts"
import { place, type PlaceOptions, type PlaceResult } from "../exchange/place.ts"
import { batchAnswers, batchRequests, batchTargets } from "./batch.ts"
import { cannotRead, filesOfZip, firstBytes, linesOf, wholeText } from "./files.ts"
import { harItems } from "./har.ts"
import { inspectItems } from "./inspect.ts"
import { damaged, ImportError, type Item, skipped } from "./item.ts"
import { asArray, asObject, isObject, type JsonObject, parseJson } from "./json.ts"
import { isLlmLog, llmLogItems } from "./llmLogs.ts"
import { importOriginal, isOriginalSample } from "./original.ts"
import { promptfooItem } from "./promptfoo.ts"
import { vcrItems } from "./vcr.ts"

export interface ImportOptions extends PlaceOptions {
  /** The file of the requests, for the answers of a batch. */
  readonly requests?: string | undefined
  /** Texts that may be prompts, for caches that keep only their hashes. */
  readonly prompts?: Iterable<string> | undefined
}

/** Puts the samples of a file of any known format into a store. The content of the file decides, not its name. */
export const importFile = (
  to: Store,
  file: string,
  options: ImportOptions
): Effect.Effect<PlaceResult, ImportError | StoreError | SampleConflict> =>
  Effect.gen(function*() {
    const { prompts = [], requests } = options
    const put = (items: Stream.Stream<Item, ImportError>) => place(to, items, options)
    const stats = yield* Effect.try({ try: () => Fs.statSync(file), catch: cannotRead(file) })
    if (stats.isDirectory()) {
      return yield* isPromptfooFolder(file) ? put(promptfooFolder(file)) : importFolder(to, file, prompts, options)
    }
    const start = yield* firstBytes(file, 4096)
    if (start.toString("latin1", 0, 15) === "SQLite format 3") return yield* put(llmLog(file))
    if (start.toString("latin1", 0, 4) === "PK\x03\x04") {
      return yield* (yield* isInspectArchive(file))
        ? put(inspectArchive(file))
        : importOriginal(to, file, prompts, options)
    }
    const line = yield* firstLine(file)
    if (line !== undefined) {
      if (line["custom_id"] !== undefined) return yield* importBatch(to, [file], requests, options)
      if (line["prompt"] !== undefined && line["text"] !== undefined) {
        return yield* importLines(to, linesOf(file), options)
      }
    }
    const text = yield* wholeText(file)
    const json = line ?? parseJson(text)
    const value = json ?? (yield* parseYaml(file, text))
    const items = itemsOf(value)
    if (items === undefined) return yield* new ImportError({ file, description: explain(value) })
    return yield* put(Stream.fromIterable(items))
  })

/** Puts the answers of a batch into a store. A request without an answer is damage. */
export const importBatch = (
  to: Store,
  answers: ReadonlyArray<string>,
  requests: string | undefined,
  options: PlaceOptions
): Effect.Effect<PlaceResult, ImportError | StoreError> =>
  Effect.gen(function*() {
    if (requests === undefined) {
      return yield* new ImportError({
        file: answers[0]!,
        description: "the answers of a batch do not have its requests: give the file that was sent with --requests"
      })
    }
    const asked = new Map(yield* batchRequests(requests))
    const keys = `${requests}.keys`
    if (Fs.existsSync(keys)) {
      for (const [id, target] of yield* batchTargets(keys)) {
        const request = asked.get(id)
        if (request !== undefined) asked.set(id, { ...request, target })
      }
    }
    const open = new Set(asked.keys())
    const items = Stream.fromIterable(answers).pipe(Stream.flatMap((file) => batchAnswers(linesOf(file), asked, open)))
    const missing = Stream.suspend(() =>
      Stream.map(Stream.fromIterable(open), (id) => damaged(id, "the batch has no answer to this request"))
    )
    return yield* place(to, Stream.concat(items, missing), options)
  })

// The first lines may be torn.
const firstLine = (file: string): Effect.Effect<JsonObject | undefined, ImportError> =>
  Effect.map(
    Stream.runHead(
      linesOf(file).pipe(
        Stream.take(20),
        Stream.map((line) => line.kind === "damaged" ? undefined : parseJson(line.text)),
        Stream.filter(isObject)
      )
    ),
    Option.getOrUndefined
  )

const itemsOf = (file: unknown): Iterable<Item> | undefined => {
  const value = asObject(file)
  const { cache, eval: evaluation, interactions, log, samples } = value
  if (Array.isArray(asObject(log)["entries"])) return harItems(value)
  if (Array.isArray(interactions)) return vcrItems(value)
  if (isObject(evaluation) && Array.isArray(samples)) {
    return samples.flatMap((sample) => [...inspectItems(sampleName(sample), sample)])
  }
  if (value["lastExpire"] !== undefined && cache !== undefined) {
    const entries = Array.isArray(cache) ? cache.map(asArray) : Object.entries(asObject(cache))
    return entries.map(([key, kept], i) => promptfooItem(`entry ${i + 1}`, String(key), asObject(kept)["value"]))
  }
  return undefined
}

const sampleName = (sample: unknown): string => {
  const { epoch, id } = asObject(sample)
  return `sample ${String(id)}, epoch ${String(epoch)}`
}

const known =
  "the export of llm-cache, the answers of a batch (OpenAI, Anthropic), HAR, a cassette of vcrpy, the cache of " +
  "promptfoo, a log of Inspect, logs.db of llm, and a folder of the Python original"

const onlyHashes =
  "it keeps only a hash of each request, so nobody can say what was asked. Record the program with llm-cache"

const explain = (value: unknown): string => {
  // LangChain.js names the file of a request by its hash, and the file has the generations.
  const isGenerations = Array.isArray(value) && value.length > 0 &&
    value.every((item) => isObject(item) && (isObject(item["data"]) || typeof item["text"] === "string"))
  if (isGenerations) return `this is an entry of LangChain.js's cache: ${onlyHashes}`
  const { http_interactions } = asObject(value)
  if (http_interactions !== undefined) return "this is a cassette of VCR for Ruby: only those of vcrpy can be imported"
  return `this is none of the formats that can be imported: ${known}`
}

const parseYaml = (file: string, text: string): Effect.Effect<unknown, ImportError> =>
  /^(?:#|---|interactions:|version:|http_interactions:)/m.test(text.slice(0, 4096))
    ? Effect.tryPromise({
      try: async () => (await import("yaml")).parse(text, { schema: "yaml-1.1", logLevel: "error" }),
      catch: cannotRead(file)
    })
    : Effect.void

const isInspectArchive = (file: string) =>
  Effect.map(
    Stream.runHead(Stream.filter(
      filesOfZip(file),
      ({ name }) => isInspectFile(name) || isOriginalSample(name)
    )),
    (found) => Option.isSome(found) && isInspectFile(found.value.name)
  )

const isInspectFile = (name: string): boolean =>
  /^(?:samples\/.*\.json|_journal\/.*|header\.json|start\.json)$/.test(name)

const inspectArchive = (file: string): Stream.Stream<Item, ImportError> =>
  filesOfZip(file).pipe(
    Stream.filter(({ name }) => /^samples\/.*\.json$/.test(name)),
    Stream.flatMap(({ name, text }) => {
      const sample = parseJson(safely(text))
      return isObject(sample)
        ? Stream.fromIterable(inspectItems(sampleName(sample), sample))
        : Stream.succeed(damaged(name, "it is not a whole JSON object"))
    })
  )

const safely = (text: () => string): string => {
  try {
    return text()
  } catch {
    return ""
  }
}

const llmLog = (file: string): Stream.Stream<Item, ImportError> =>
  Stream.unwrap(Effect.gen(function*() {
    const { DatabaseSync } = yield* Effect.promise(() => import("node:sqlite"))
    const db: DatabaseSync = yield* Effect.acquireRelease(
      Effect.try({ try: () => new DatabaseSync(file, { readOnly: true }), catch: cannotRead(file) }),
      (db) => Effect.sync(() => db.close())
    )
    const tables = yield* Effect.try({
      try: () =>
        new Set(db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all().map(({ name }) => name)),
      catch: cannotRead(file)
    })
    if (!isLlmLog(tables)) return Stream.fail(new ImportError({ file, description: explainTables(tables) }))
    return Stream.catchDefect(Stream.fromIterable(llmLogItems(db)), (cause) => Stream.fail(cannotRead(file)(cause)))
  }))

const explainTables = (tables: ReadonlySet<unknown>): string =>
  tables.has("Cache") && tables.has("Settings")
    ? `this is a cache of diskcache, as LiteLLM and DSPy have it: ${onlyHashes}`
    : tables.has("samples") || tables.has("prompts")
    ? "this is a cache of llm-cache itself: use `llm-cache copy FROM TO`"
    : `this database is no log of llm. These can be imported: ${known}`

/** The files of `cache-manager-fs-hash`, with which promptfoo kept its cache. */
const promptfooFiles = "{diskstore-*.json,diskstore-*/*.json}"

const isPromptfooFolder = (folder: string): boolean => Fs.globSync(promptfooFiles, { cwd: folder }).length > 0

const promptfooFolder = (folder: string): Stream.Stream<Item, ImportError> =>
  Stream.fromIterable(Fs.globSync(promptfooFiles, { cwd: folder }).sort()).pipe(
    Stream.mapEffect((name) =>
      Effect.map(wholeText(Path.join(folder, name)), (text): Item => {
        const entry = parseJson(text)
        if (!isObject(entry)) return damaged(name, "it is not a whole JSON object")
        const { key, val } = entry
        return typeof key === "string" ? promptfooItem(name, key, val) : skipped(name, "it is no entry of a cache")
      })
    )
  )

const importFolder = (
  to: Store,
  folder: string,
  prompts: Iterable<string>,
  options: PlaceOptions
): Effect.Effect<PlaceResult, ImportError | StoreError | SampleConflict> =>
  Effect.gen(function*() {
    const names = Fs.readdirSync(folder)
    if (names.some((name) => name === "cache.db" || /^\d{3}$/.test(name))) {
      return yield* new ImportError({ file: folder, description: explainTables(new Set(["Cache", "Settings"])) })
    }
    if (names.length > 0 && names.every((name) => /^[0-9a-f]{32,64}\.json$/.test(name))) {
      return yield* new ImportError({ file: folder, description: `this is LangChain.js's cache: ${onlyHashes}` })
    }
    const result = yield* importOriginal(to, folder, prompts, options)
    if (Object.values(result).every((count) => count === 0)) {
      return yield* new ImportError({
        file: folder,
        description: `this folder has no samples. These can be imported: ${known}`
      })
    }
    return result
  })
