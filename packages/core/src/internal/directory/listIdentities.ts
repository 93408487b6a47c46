import * as Result from "effect/Result"
import type * as Stream from "effect/Stream"
import type { StoreError } from "../../SampleError.ts"
import type { ListedIdentity } from "../../SampleStore.ts"
import { Fs, Path } from "../node.ts"
import { isFault } from "./errors.ts"
import { list } from "./files.ts"
import { damagedIn, foldersIn, fromGenerator, identityOf, isReserved, unknownIdentity } from "./listKeys.ts"
import { forkOfFolder, forksFolder, isPromptFolder, isShortened, positionOf } from "./samplePath.ts"

type Element = Result.Result<ListedIdentity, StoreError>

/** The identities that have samples. Reads the names of files, and no file of a prompt or a sample. */
export const listIdentities = (store: string, root: string): Stream.Stream<Element, StoreError> =>
  fromGenerator(store, () => walk(store, root, ""))

function* walk(store: string, root: string, path: string): Generator<Element, void> {
  const damaged = damagedIn(store)
  const above = Path.join(root, path)
  const counts = { prompts: 0, samples: 0, last: 0, forks: new Set<string>() }
  for (const name of foldersIn(above)) {
    if (!isPromptFolder(name)) {
      if (!isReserved(path, name)) yield* walk(store, root, Path.join(path, name))
      continue
    }
    const folder = `${above}${Path.sep}${name}`
    try {
      countPrompt(folder, counts)
    } catch (cause) {
      if (!isFault(cause)) throw cause
      yield damaged(`${folder} cannot be read: ${(cause as Error).message}. Restore it, or move it away`)
    }
  }
  if (counts.samples === 0) return
  const identity = identityOf(root, path)
  yield identity === undefined
    ? damaged(unknownIdentity(above))
    : Result.succeed({ ...counts, identity, forks: counts.forks.size })
}

interface Counts {
  prompts: number
  samples: number
  /** The latest time at which a folder got a sample. */
  last: number
  readonly forks: Set<string>
}

const countPrompt = (folder: string, counts: Counts): void => {
  const before = counts.samples
  const names = list(folder)
  countSamples(folder, names, counts)
  if (names.includes(forksFolder)) countForks(folder, [], counts)
  if (counts.samples > before) counts.prompts++
}

const countForks = (folder: string, path: ReadonlyArray<string>, counts: Counts): void => {
  for (const name of foldersIn(Path.join(folder, forksFolder))) {
    const fork = isShortened(name) ? name : forkOfFolder(name)
    if (fork === undefined) continue
    const below = Path.join(folder, forksFolder, name)
    const names = list(below)
    const forks = [...path, fork]
    if (countSamples(below, names, counts) > 0) counts.forks.add(JSON.stringify(forks))
    if (names.includes(forksFolder)) countForks(below, forks, counts)
  }
}

const countSamples = (folder: string, names: ReadonlyArray<string>, counts: Counts): number => {
  let samples = 0
  for (const name of names) if (positionOf(name) !== undefined) samples++
  if (samples === 0) return 0
  counts.samples += samples
  counts.last = Math.max(counts.last, Fs.statSync(folder).mtimeMs)
  return samples
}
