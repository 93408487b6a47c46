import * as Predicate from "effect/Predicate"
import type { Identity } from "../../Identity.ts"
import type { Key } from "../../Key.ts"
import { Fs, Path } from "../node.ts"
import { isFault } from "./errors.ts"
import {
  hasLinks,
  ifPresent,
  list,
  makeFolder,
  openIfPresent,
  readIfPresent,
  removeTemporary,
  replace
} from "./files.ts"
import {
  type Folder,
  forkFile,
  identityFile,
  identityFolder,
  isShortened,
  keyFolder,
  promptFile
} from "./samplePath.ts"

/** Finds and creates the folders of keys below a root. */
export class KeyFolders {
  readonly #root: string
  readonly #checked = new WeakMap<Identity, Folder>()
  /** Folders in which nothing of a killed process is left. */
  readonly #cleaned = new Set<string>()
  #links: boolean | undefined
  /** Whether the root was created here. */
  #madeRoot: boolean | undefined
  /** Whether folders of earlier versions exist, for keys with forks. */
  readonly #formers = new Map<string, boolean>()

  constructor(root: string) {
    this.#root = root
  }

  /** Whether the file system has hard links, as far as it is known. */
  get hasLinks(): boolean {
    return this.#links ?? true
  }

  /** The absolute path of a key's folder. */
  find(key: Key): Folder {
    const identity = this.#checked.get(key.identity) ?? this.findIdentity(key.identity)
    if (!identity.ok) return identity
    const folder = keyFolder(identity.path, key)
    return folder.ok && folder.former !== undefined && this.#hasFormer(identity.path, folder.former)
      ? { ok: true, path: folder.former }
      : folder
  }

  /** The absolute path of an identity's folder. */
  findIdentity(identity: Identity): Folder {
    const known = this.#checked.get(identity)
    if (known !== undefined) return known
    const folder = this.#check(identity)
    // As long as it does not exist, a folder of another identity may come or go.
    if (folder.ok && Fs.existsSync(folder.path)) this.#checked.set(identity, folder)
    return folder
  }

  /** Creates the folder of a key, with the files that explain it. Throws if it cannot be written. */
  create(key: Key, folder: string): void {
    if (Fs.existsSync(folder)) {
      Fs.accessSync(folder, Fs.constants.W_OK)
    } else {
      // Prompts and answers are private, unless the owner creates the root.
      if (!Fs.existsSync(this.#root)) {
        makeFolder(this.#root, 0o700)
        this.#madeRoot = true
      }
      makeFolder(folder)
    }
    if (this.#links === undefined) {
      this.#links = hasLinks(folder)
      protectLineEndings(this.#root)
    }
    if (this.#cleaned.size >= mostFormers) this.#cleaned.clear()
    if (!this.#cleaned.has(folder)) {
      this.#cleaned.add(folder)
      removeTemporary(folder)
    }
    const identity = this.findIdentity(key.identity)
    if (!identity.ok) return
    if (isShortened(Path.basename(folder))) {
      const forks = JSON.stringify(key.path)
      const file = Path.join(folder, forkFile)
      if (readIfPresent(file) !== forks) replace(file, forks)
    }
    const prompt = Path.join(identity.path, key.promptHash, promptFile)
    if (readIfPresent(prompt) !== key.prompt) replace(prompt, key.prompt)
    const explanation = Path.join(identity.path, identityFile)
    // A power failure may have emptied it.
    if (explanationOf(identity.path) === undefined) {
      const { name, parameters, temperature } = key.identity
      replace(
        explanation,
        `${JSON.stringify({ name, temperature, parameters: JSON.parse(parameters) }, undefined, 2)}\n`
      )
    }
  }

  /** Removes the folder of a key without samples, and the folders above that have nothing else. */
  discard(key: Key, folder: string): void {
    const identity = this.findIdentity(key.identity)
    if (!identity.ok || !folder.startsWith(identity.path)) return
    for (let path = folder; path !== this.#root; path = Path.dirname(path)) {
      if (!removeUnused(path, path === identity.path ? [identityFile] : [promptFile, forkFile])) break
      this.#cleaned.delete(path)
      if (path === identity.path) this.#checked.delete(key.identity)
    }
    if (this.#madeRoot && removeUnused(this.#root, [attributesFile])) this.#madeRoot = this.#links = undefined
  }

  #hasFormer(identity: string, former: string): boolean {
    const known = this.#formers.get(former)
    if (known !== undefined) return known
    const has = existsExactly(identity, Path.relative(identity, former))
    if (this.#formers.size >= mostFormers) this.#formers.clear()
    this.#formers.set(former, has)
    return has
  }

  // A file system may take two names for one, such as `A` and `a`.
  #check(identity: Identity): Folder {
    const folder = identityFolder(identity)
    if (!folder.ok) return folder
    const plain = Path.join(this.#root, folder.path)
    const explainedPlain = explanationOf(plain)
    const isPlain = explainedPlain === undefined
      ? existsExactly(this.#root, folder.path) || !hasTwin(this.#root, folder.path.split(Path.sep))
      : isOf(identity, explainedPlain)
    const path = isPlain ? plain : Path.join(this.#root, folder.distinct)
    const explained = isPlain ? explainedPlain : explanationOf(path)
    return isOf(identity, explained)
      ? { ok: true, path }
      : {
        ok: false,
        why: `${path} is the folder of ${JSON.stringify(explained?.name)}, not of ${JSON.stringify(identity.name)}`
      }
  }
}

const attributesFile = ".gitattributes"

/** Removes a folder if it has no other files than these. Returns whether it is gone. */
const removeUnused = (folder: string, files: ReadonlyArray<string>): boolean => {
  if (hasOthers(folder, files)) return false
  const removed = files.map((file) => Path.join(folder, file)).flatMap((file) => {
    const content = readIfPresent(file)
    if (content === undefined) return []
    ifPresent(() => Fs.unlinkSync(file))
    return [{ file, content }]
  })
  try {
    ifPresent(() => Fs.rmdirSync(folder))
    return true
  } catch (cause) {
    if (!isFault(cause)) throw cause
    // Another process began to use the folder meanwhile.
    for (const { content, file } of removed) replace(file, content)
    return false
  }
}

// A prompt may have very many samples: the first of them is enough.
const hasOthers = (folder: string, files: ReadonlyArray<string>): boolean => {
  const opened = openIfPresent(folder)
  try {
    for (let entry = opened?.readSync(); entry; entry = opened!.readSync()) {
      if (!files.includes(entry.name)) return true
    }
    return false
  } finally {
    opened?.closeSync()
  }
}

/** How many folders are kept in memory. */
const mostFormers = 10_000

/** Keeps Git from changing the line endings of samples: in a root of its own, not at the top of a work tree. */
const protectLineEndings = (root: string): void => {
  const file = Path.join(root, attributesFile)
  try {
    if (!Fs.existsSync(file) && !Fs.existsSync(Path.join(root, ".git"))) replace(file, "* -text\n")
  } catch (cause) {
    // Samples need it only in a checkout.
    if (!isFault(cause)) throw cause
  }
}

/** Whether a path below a root exists with these very names: a file system may take others for the same. */
const existsExactly = (root: string, path: string): boolean => {
  if (!Fs.existsSync(Path.join(root, path))) return false
  return path.split(Path.sep).every((name, i, names) => list(Path.join(root, ...names.slice(0, i))).includes(name))
}

/**
 * Whether another path exists below a folder that a file system may take for this one. The path itself is none: another
 * process may create it at any time.
 */
const hasTwin = (folder: string, [first, ...rest]: ReadonlyArray<string>, isItself = true): boolean =>
  first === undefined
    ? !isItself
    : list(folder).some((name) =>
      fold(name) === fold(first) && hasTwin(Path.join(folder, name), rest, isItself && name === first)
    )

// Cases and Unicode forms, as file systems fold them.
const fold = (name: string): string => name.normalize("NFKD").toUpperCase().toLowerCase()

const isOf = (identity: Identity, explained: ReturnType<typeof explanationOf>): boolean =>
  explained === undefined || (explained.name === identity.name && explained.temperature === identity.temperature)

/** The identity that `identity.json` in a folder names. The file only explains: a spoilt one counts as missing. */
export const explanationOf = (
  folder: string
): { readonly name: unknown; readonly temperature: unknown; readonly parameters: unknown } | undefined => {
  const content = readIfPresent(Path.join(folder, identityFile))
  try {
    const parsed: unknown = content === undefined ? undefined : JSON.parse(content)
    return Predicate.hasProperty(parsed, "name")
      ? { temperature: undefined, parameters: undefined, ...parsed }
      : undefined
  } catch {
    return undefined
  }
}
