import type { Key } from "@llm-cache/core/Key"
import * as MemoryStore from "@llm-cache/core/MemoryStore"
import type { Drawn, Entry } from "@llm-cache/core/Sample"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import * as StoreFault from "@llm-cache/core/StoreFault"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import {
  appendLines,
  BadLine,
  excerpt,
  probe,
  readLines,
  readPartial,
  removeEmptyFolders,
  unite,
  writeLines
} from "./file.ts"
import { encode, type Line } from "./line.ts"
import type { Mode } from "./mode.ts"
import { cassettesFolder, shown } from "./place.ts"
import { makeFindSecret } from "./secrets.ts"

/** The samples of a cassette in memory, and which of them the test used. */
export interface Tape {
  readonly store: SampleStore.Store
  readonly has: (key: Key, position: number) => boolean
  readonly use: (key: Key, position: number) => void
  /** The file of the unfinished recording. */
  readonly partial: string
  /** The file of the unfinished recording, if there is one. */
  readonly unfinished: () => ReadonlyArray<string>
  /** Whether the unfinished recording has a sample. */
  readonly isUnfinished: (key: Key, position: number) => Effect.Effect<boolean>
  /** The samples that the test did not use, without those of requests that brought used ones too. */
  readonly unused: () => ReadonlyArray<Line>
  /** The used samples of the file, and the requested ones. */
  readonly recorded: () => { readonly before: ReadonlyArray<Line>; readonly now: ReadonlyArray<Line> }
  /** Why samples are in no file. */
  readonly refused: ReadonlyArray<string>
  /** Writes the file, at the end of a test that succeeded. */
  readonly finish: Effect.Effect<void, StoreError>
}

/** Reads the file of a cassette, and the unfinished recording beside it. */
export const open = (file: string, mode: Mode, secrets: ReadonlyArray<RegExp>): Effect.Effect<Tape, StoreError> => {
  const name = () => shown(file)
  const partial = `${file}.partial`
  const findSecret = makeFindSecret(secrets)
  const secretOf = (key: Key, drawn: Drawn) => findSecret(encode({ key, entry: { position: 0, drawn } }))
  const run = <A>(operation: StoreError["operation"], evaluate: () => A): Effect.Effect<A, StoreError> =>
    Effect.try({ try: evaluate, catch: (cause) => StoreFault.storeError(name(), operation, faultOf(cause)) })
  return Effect.gen(function*() {
    const lines = yield* run(
      "open",
      () => unite([...readLines(file), ...mode === "replay" ? [] : readPartial(partial)])
    )
    const memory = yield* MemoryStore.make
    for (const { entry, key } of lines.all()) yield* memory.put(key, [entry], "drop")

    const refused: Array<string> = []
    const add = (key: Key, entries: ReadonlyArray<Entry>) => {
      const added: Array<Line> = []
      for (const { drawn, position } of entries) {
        const line: Line = { key, entry: { drawn, position } }
        const secret = secretOf(key, drawn)
        if (secret === undefined) added.push(line)
        else refused.push(`the sample at position ${position} of the prompt ${excerpt(key.prompt)} has ${secret}`)
      }
      if (added.length > 0) appendLines(partial, added)
      for (const line of added) lines.set(line)
    }
    const store = SampleStore.make({
      ...memory,
      id: `cassette ${file}`,
      describe: name,
      prepare: (key) => {
        const secret = secretOf(key, nothing)
        return secret === undefined
          ? run("prepare", () => probe(partial))
          : Effect.fail(StoreFault.storeError(name(), "prepare", {
            kind: "InvalidName",
            description:
              `the prompt has ${secret}. Take it out of the prompt, or give the patterns of your secrets: \`secrets\``
          }, key))
      },
      isSecret: (key, sample) => secretOf(key, sample) !== undefined,
      put: (key, entries, ifTaken) =>
        Effect.flatMap(memory.put(key, entries, ifTaken), (positions) => {
          const kept = entries.flatMap((entry, i) => {
            const position = positions[i]
            return position === undefined ? [] : [{ ...entry, position }]
          })
          const added = kept.map(({ position }) => position)
          return run("put", () => add(key, kept)).pipe(
            Effect.tapError(() => Arr.isReadonlyArrayNonEmpty(added) ? memory.remove(key, added) : Effect.void),
            Effect.as(positions)
          )
        })
    })

    const before = new Set(lines.all())
    const used = new Set<Line>()
    const unused = () => {
      const requests = new Set([...used].map(requestOf))
      return lines.all().filter((line) => {
        const request = requestOf(line)
        return !used.has(line) && !(request !== undefined && requests.has(request))
      })
    }
    return {
      store,
      has: (key, position) => memory.peek(key, position, 1).length > 0,
      use: (key, position) => {
        const line = lines.get(key, position)
        if (line !== undefined) used.add(line)
      },
      partial,
      unfinished: () => Fs.existsSync(partial) ? [partial] : [],
      isUnfinished: (key, position) =>
        Effect.orElseSucceed(
          run("get", () => unite(readPartial(partial)).get(key, position) !== undefined),
          () => false
        ),
      unused,
      recorded: () => ({
        before: [...used].filter((line) => before.has(line)),
        now: lines.all().filter((line) => !before.has(line))
      }),
      refused,
      finish: run("put", () => {
        const dropped = unite(mode === "update" && !isOfThisRun(file) ? unused() : [])
        // Another test may have recorded it at the same time.
        const all = unite([...lines.all(), ...readLines(file), ...readPartial(partial)]).all()
        const kept = all.filter(({ entry, key }) => dropped.get(key, entry.position) === undefined)
        if (kept.length > 0) writeLines(file, kept)
        else Fs.rmSync(file, { force: true })
        Fs.rmSync(partial, { force: true })
        const folder = cassettesFolder(file)
        if (folder !== undefined) removeEmptyFolders(file, folder)
      })
    }
  })
}

/** Whether another test of this run, or an earlier part of this one, recorded the file. */
export const isOfThisRun = (file: string): boolean =>
  (Fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) >= performance.timeOrigin

const nothing: Drawn = { text: "", metadata: {}, origins: [] }

const requestOf = ({ entry }: Line): string | undefined => entry.drawn.metadata.request

const faultOf = (cause: unknown): StoreFault.Fault =>
  cause instanceof BadLine
    ? { kind: "Damaged", description: cause.message }
    : StoreFault.unavailable(String(cause), "Check the folder of the cassette, and who may write there", cause)
