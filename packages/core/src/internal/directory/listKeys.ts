import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { fromId, type Identity } from "../../Identity.ts"
import { Key } from "../../Key.ts"
import { StoreError } from "../../SampleError.ts"
import type { KeyFilter, Listed } from "../../SampleStore.ts"
import { parseJson } from "../../StoreRow.ts"
import { canonical } from "../canonicalJson.ts"
import { Fs, Path } from "../node.ts"
import { attempt, failure, isFault } from "./errors.ts"
import { isLeft, isTemporary, list, openIfPresent, readIfPresent } from "./files.ts"
import { explanationOf, type KeyFolders } from "./keyFolders.ts"
import {
  forkFile,
  forkOfFolder,
  forksFolder,
  identityOfFolder,
  isFolderOf,
  isPromptFolder,
  isShortened,
  positionOf,
  promptFile,
  runsFolder,
  shortForkFolder,
  writeAheadFolder
} from "./samplePath.ts"

/** The digits of a whole hash. */
const hashLength = 64

type Element = Result.Result<Listed, StoreError>

/** The keys of an identity, or of all, that have samples. Reads one folder after the other, on demand. */
export const listKeys = (
  store: string,
  root: string,
  folders: KeyFolders,
  filter: KeyFilter
): Stream.Stream<Element, StoreError> => fromGenerator(store, () => walk(store, root, folders, filter))

/** The elements of a generator, each when it is pulled. */
export const fromGenerator = <A>(store: string, make: () => Generator<A, void>): Stream.Stream<A, StoreError> => {
  const failed = failure(store, "keys")
  return Stream.suspend(() => {
    const elements = make()
    return Stream.unfold(
      undefined,
      () =>
        Effect.map(attempt(failed, () => elements.next()), ({ done, value }) => done ? undefined : [value, undefined])
    ).pipe(Stream.ensuring(Effect.sync(() => elements.return())))
  })
}

function* walk(
  store: string,
  root: string,
  folders: KeyFolders,
  { identity: only, leftovers = false, promptHash = "" }: KeyFilter
): Generator<Element, void> {
  const damaged = damagedIn(store)

  function* all(path: string): Generator<Element, void> {
    let identity: Identity | undefined
    for (const name of foldersIn(Path.join(root, path))) {
      if (isPromptFolder(name)) {
        if (name.startsWith(promptHash)) {
          yield* prompt(Path.join(root, path), name, () => identity ??= identityOf(root, path))
        }
      } else if (!isReserved(path, name)) yield* all(Path.join(path, name))
    }
  }

  function* ofIdentity(identity: Identity): Generator<Element, void> {
    const folder = folders.findIdentity(identity)
    if (!folder.ok) return
    // The folder of a whole hash is found without listing the others.
    const names = promptHash.length === hashLength && !leftovers ? [promptHash] : foldersIn(folder.path)
    for (const name of names) {
      if (isPromptFolder(name) && name.startsWith(promptHash)) yield* prompt(folder.path, name, () => identity)
    }
  }

  function* prompt(above: string, name: string, identityOf: () => Identity | undefined): Generator<Element, void> {
    const folder = Path.join(above, name)
    try {
      if (leftovers) {
        for (const file of leftIn(folder)) {
          yield damaged(
            `${file} was left by a process that was killed: it is no sample. Delete it, or record the prompt again, ` +
              "which removes it"
          )
        }
      }
      const identity = identityOf()
      const prompt = readIfPresent(Path.join(folder, promptFile))
      for (const { path, samples } of forks(folder, [])) {
        if (typeof path === "string") {
          yield damaged(`${path} does not say which forks it is for: restore the ${forkFile} in it, or move it away`)
        } else if (identity === undefined) {
          yield damaged(unknownIdentity(above))
        } else if (prompt === undefined) {
          yield damaged(
            `${folder} has no prompt.txt: the Python original writes none. Write the prompt into it; or run the program ` +
              "with this cache beneath another one, which then records the samples that the program uses"
          )
        } else {
          const key = new Key(identity, prompt, path)
          yield key.promptHash === name
            ? Result.succeed({ key, samples })
            : damaged(`${folder} is not the folder of the prompt in its prompt.txt: restore that file`)
        }
      }
    } catch (cause) {
      if (!isFault(cause)) throw cause
      yield damaged(`${folder} cannot be read: ${(cause as Error).message}. Restore it, or move it away`)
    }
  }

  yield* only === undefined ? all("") : ofIdentity(only)
}

/** Whether a folder below the root holds no identities. */
export const isReserved = (path: string, name: string): boolean =>
  path === "" && (name === writeAheadFolder || name === runsFolder)

export const damagedIn = (store: string) => (description: string) =>
  Result.fail(new StoreError({ kind: "Damaged", store, operation: "keys", description }))

export const unknownIdentity = (folder: string): string =>
  `${folder} does not say which model it is for: restore the identity.json in it, or move it away`

const leftIn = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => isTemporary(Path.basename(path)))
    .map((path) => Path.join(folder, path))
    .filter(isLeft)

interface Fork {
  /** The names of the forks, or the folder that should name them. */
  readonly path: ReadonlyArray<string> | string
  readonly samples: number
}

function* forks(folder: string, path: ReadonlyArray<string>): Generator<Fork, void> {
  const names = list(folder)
  const samples = names.filter((name) => positionOf(name) !== undefined).length
  if (samples > 0) yield { path, samples }
  if (!names.includes(forksFolder)) return
  for (const name of foldersIn(Path.join(folder, forksFolder))) {
    const fork = forkOfFolder(name)
    if (isShortened(name)) yield* shortened(Path.join(folder, forksFolder, name))
    if (fork !== undefined) yield* forks(Path.join(folder, forksFolder, name), [...path, fork])
  }
}

function* shortened(folder: string): Generator<Fork, void> {
  const samples = list(folder).filter((name) => positionOf(name) !== undefined).length
  if (samples === 0) return
  const path: unknown = parseJson(readIfPresent(Path.join(folder, forkFile)))
  const isPath = Array.isArray(path) && path.length > 0 && path.every((name) => typeof name === "string")
  yield { path: isPath && shortForkFolder(path) === Path.basename(folder) ? path : folder, samples }
}

export function* foldersIn(folder: string): Generator<string, void> {
  const directory = openIfPresent(folder)
  if (directory === undefined) return
  try {
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      // A link may lead to a folder on another disk.
      const isFolder = entry.isSymbolicLink()
        ? Fs.statSync(Path.join(folder, entry.name), { throwIfNoEntry: false })?.isDirectory()
        : entry.isDirectory()
      if (isFolder) yield entry.name
    }
  } finally {
    directory.closeSync()
  }
}

/** The identity of the folder at a path below the root, `undefined` if neither the path nor a file in it tells. */
export const identityOf = (root: string, path: string): Identity | undefined => {
  const explanation = explanationOf(Path.join(root, path))
  if (explanation === undefined) return identityOfFolder(path)
  const { name, parameters, temperature } = explanation
  const identity = fromId(JSON.stringify([name, temperature ?? null, canonical(parameters ?? {})]))
  return identity && isFolderOf(identity, path) ? identity : undefined
}
