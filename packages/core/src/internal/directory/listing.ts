import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fromId, type Identity } from "../../Identity.ts"
import { Key } from "../../Key.ts"
import { StoreError } from "../../SampleError.ts"
import type { Listed } from "../../SampleStore.ts"
import { canonical } from "../canonicalJson.ts"
import { attempt, failure, isFault } from "./errors.ts"
import {
  forkOfFolder,
  identityFolder,
  identityOfFolder,
  positionOf,
  promptFolder,
  purchasesFolder
} from "./fileNames.ts"
import { list, openIfPresent, readIfPresent } from "./files.ts"

type Element = Result.Result<Listed, StoreError>

/** What the file `identity.json` of a folder says that the folder is for. */
export const holderOf = (
  content: string | undefined
): { readonly name: unknown; readonly temperature: unknown; readonly parameters: unknown } | undefined => {
  try {
    const holder: unknown = content === undefined ? undefined : JSON.parse(content)
    return Predicate.hasProperty(holder, "name")
      ? { temperature: undefined, parameters: undefined, ...holder }
      : undefined
  } catch {
    // spoilt: it only explains
    return undefined
  }
}

/** Every key that has samples below a root. Reads one folder after the other, as far as it is asked to. */
export const listKeys = (store: string, root: string): Stream.Stream<Element, StoreError> => {
  const failed = failure(store, "keys")
  return Stream.suspend(() => {
    const elements = walk(store, root)
    return Stream.unfold(
      undefined,
      () =>
        Effect.map(attempt(failed, () => elements.next()), ({ done, value }) => done ? undefined : [value, undefined])
    ).pipe(Stream.ensuring(Effect.sync(() => elements.return())))
  })
}

function* walk(store: string, root: string): Generator<Element, void> {
  const damaged = (description: string): Element =>
    Result.fail(new StoreError({ kind: "Damaged", store, operation: "keys", description }))

  function* folders(path: string): Generator<Element, void> {
    let identity: Identity | undefined
    for (const name of foldersIn(Path.join(root, path))) {
      if (!promptFolder.test(name)) {
        if (name !== purchasesFolder || path !== "") yield* folders(Path.join(path, name))
        continue
      }
      try {
        yield* keysIn(path, name, identity ??= identityOf(root, path))
      } catch (cause) {
        if (!isFault(cause)) throw cause
        const { message } = cause as Error
        yield damaged(`${Path.join(root, path, name)} cannot be read: ${message}. Restore it, or move it away`)
      }
    }
  }

  function* keysIn(path: string, name: string, identity: Identity | undefined): Generator<Element, void> {
    const folder = Path.join(root, path, name)
    const prompt = readIfPresent(Path.join(folder, "prompt.txt"))
    for (const { path: forkPath, samples } of forks(folder, [])) {
      if (identity === undefined) {
        yield damaged(
          `${
            Path.join(root, path)
          } does not say which model it is for: restore the identity.json in it, or move it away`
        )
      } else if (prompt === undefined) {
        yield damaged(
          `${folder} has no prompt.txt, as caches of the Python original have none. Write the prompt into it; or run ` +
            "the program with this cache beneath another one, which takes over what the program uses"
        )
      } else {
        const key = new Key(identity, prompt, forkPath)
        yield key.promptHash === name
          ? Result.succeed({ key, samples })
          : damaged(`${folder} is not the folder of the prompt in its prompt.txt: restore that file`)
      }
    }
  }

  yield* folders("")
}

interface Fork {
  readonly path: ReadonlyArray<string>
  readonly samples: number
}

function* forks(folder: string, path: ReadonlyArray<string>): Generator<Fork, void> {
  const names = list(folder)
  const samples = names.filter((name) => positionOf(name) !== undefined).length
  if (samples > 0) yield { path, samples }
  if (!names.includes("forks")) return
  for (const name of foldersIn(Path.join(folder, "forks"))) {
    const fork = forkOfFolder(name)
    if (fork !== undefined) yield* forks(Path.join(folder, "forks", name), [...path, fork])
  }
}

function* foldersIn(folder: string): Generator<string, void> {
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

const identityOf = (root: string, path: string): Identity | undefined => {
  const holder = holderOf(readIfPresent(Path.join(root, path, "identity.json")))
  if (holder === undefined) return identityOfFolder(path)
  const { name, parameters, temperature } = holder
  const identity = fromId(JSON.stringify([name, temperature ?? null, canonical(parameters ?? {})]))
  const folder = identity && identityFolder(identity)
  return folder?.ok && folder.path === path ? identity : undefined
}
