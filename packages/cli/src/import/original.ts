import * as Identity from "@llm-cache/core/Identity"
import { Key } from "@llm-cache/core/Key"
import * as MemoryStore from "@llm-cache/core/MemoryStore"
import type { SampleConflict, StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Transfer from "@llm-cache/core/Transfer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { PlaceOptions, PlaceResult } from "../exchange/place.ts"
import { type ArchivedFile, cannotRead, filesOfZip } from "./files.ts"
import { type Damaged, damaged, ImportError, skipped } from "./item.ts"

/** A sample of the Python original. Its folder has the hash of the prompt, and no prompt. */
interface OriginalSample {
  readonly where: string
  readonly identity: Identity.Identity
  readonly hash: string
  readonly position: number
  readonly text: string
}

// macOS adds `__MACOSX` and `._0.md` to archives and foreign disks.
const sampleFile = /^(?:(.*)\/)?([0-9a-f]{64})\/(0|[1-9]\d{0,14})\.md$/

const metadataLog = /(?:^|\/)[0-9a-f]{64}\/\d+-\d+\.jsonl$/

const ownCache =
  "this is a cache of llm-cache itself: use `llm-cache copy FROM TO`, after unpacking if it is an archive"

/** Whether a path in a folder or an archive is a sample of the original. */
export const isOriginalSample = (path: string): boolean => sampleFile.test(path) && !/(?:^|\/)__MACOSX\//.test(path)

/**
 * Puts the samples of the Python original into a store, each at its position. It keeps only the hashes of its prompts:
 * `prompts` are texts that may be among them, and the prompts of the store are tried too.
 */
export const importOriginal = (
  to: Store,
  source: string,
  prompts: Iterable<string>,
  { onProblem, onProgress = () => Effect.void }: PlaceOptions
): Effect.Effect<PlaceResult, ImportError | StoreError | SampleConflict> =>
  Effect.gen(function*() {
    const counts = { copied: 0, present: 0, skipped: 0, damaged: 0 }
    const known = new Map<string, string>()
    for (const prompt of prompts) known.set(Crypto.hash("sha256", prompt, "hex"), prompt)
    const wanted = new Set<string>()
    yield* Stream.runForEach(filesOf(source), ({ name }) =>
      Effect.suspend(() => {
        if (metadataLog.test(name)) return new ImportError({ file: source, description: ownCache })
        const [, , hash] = isOriginalSample(name) ? sampleFile.exec(name) ?? [] : []
        if (hash !== undefined && !known.has(hash)) wanted.add(hash)
        return Effect.void
      }))
    if (wanted.size > 0) {
      yield* Stream.runForEach(to.keys(), (element) =>
        Effect.sync(() => {
          if (Result.isFailure(element)) return
          const { prompt, promptHash } = element.success.key
          if (wanted.has(promptHash)) known.set(promptHash, prompt)
        }))
    }
    const put = Effect.fnUntraced(function*(files: ReadonlyArray<ArchivedFile>) {
      const from = yield* MemoryStore.make
      for (const file of files) {
        const sample = yield* readSample(file)
        if (sample === undefined) continue
        const problem = "kind" in sample ? sample : known.has(sample.hash) ? undefined : skipped(
          sample.where,
          "the Python original keeps only the hash of its prompt: give a file of prompts with --prompts"
        )
        if (problem !== undefined) {
          counts[problem.kind]++
          yield* onProblem(problem)
        } else if (!("kind" in sample)) {
          const { hash, identity, position, text } = sample
          const key = new Key(identity, known.get(hash)!, [])
          yield* from.put(key, [{ position, drawn: { text, metadata: {}, origins: [] } }], "drop")
        }
      }
      const { copied, present } = yield* Transfer.copy(from, to)
      counts.copied += copied
      counts.present += present
      yield* onProgress(counts)
    })
    yield* Stream.runForEach(Stream.grouped(filesOf(source), chunk), put)
    return counts
  })

/** Files that are read at a time. */
const chunk = 1000

const filesOf = (source: string): Stream.Stream<ArchivedFile, ImportError> =>
  Stream.suspend(() => {
    if (!Fs.statSync(source).isDirectory()) return withoutRoot(source)
    return Stream.catchDefect(Stream.fromIterable(filesOfFolder(source)), (cause) =>
      Stream.fail(cannotRead(source)(cause)))
  })

const filesOfFolder = function*(root: string): Generator<ArchivedFile> {
  for (const entry of Fs.globSync("**/*.{md,jsonl}", { cwd: root })) {
    yield { name: entry.split(Path.sep).join("/"), text: () => decode(Fs.readFileSync(Path.join(root, entry))) }
  }
}

// An archive of a folder has the folder's name before every path.
const withoutRoot = (archive: string): Stream.Stream<ArchivedFile, ImportError> =>
  Stream.unwrap(Effect.map(
    Stream.runFold(filesOfZip(archive), () =>
      new Set<string | undefined>(), (roots, { name }) =>
      isOriginalSample(name) ? roots.add(rootOf(name)) : roots),
    (roots) => {
      const [root] = roots
      return Stream.map(filesOfZip(archive), (file) =>
        roots.size === 1 && root !== undefined && file.name.startsWith(`${root}/`)
          ? { ...file, name: file.name.slice(root.length + 1) }
          : file)
    }
  ))

const rootOf = (name: string): string | undefined => /^([^/]*)\/.*\/[0-9a-f]{64}\//.exec(name)?.[1]

const decode = (bytes: Uint8Array): string => new TextDecoder("utf-8", { fatal: true }).decode(bytes)

const readSample = (file: ArchivedFile): Effect.Effect<OriginalSample | Damaged | undefined> =>
  Effect.gen(function*() {
    const [, folder, hash, position] = sampleFile.exec(file.name) ?? []
    if (!isOriginalSample(file.name)) return undefined
    const [, alias, temperature] = /^(.+)_(\d+(?:\.\d{1,3})?)$/.exec(folder ?? "") ?? []
    const identity = yield* Effect.option(Identity.make({ model: alias ?? "", temperature: Number(temperature) }))
    if (Option.isNone(identity)) {
      return damaged(file.name, "its folder does not end with an alias and a temperature, such as gpt-4o_1")
    }
    const text = yield* Effect.result(Effect.try({ try: file.text, catch: () => "it is not text in UTF-8" }))
    return Result.isFailure(text)
      ? damaged(file.name, text.failure)
      : { where: file.name, identity: identity.value, hash: hash!, position: Number(position), text: text.success }
  })
