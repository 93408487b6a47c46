import { Identity } from "../../Identity.ts"
import type { Key } from "../../Key.ts"
import { Path } from "../node.ts"
import { sha256 } from "../sha256.ts"

// Every name below a root: <identity>/<hash of the prompt>[/forks/<fork> ...]/<position>.md

/** A path, or the reason why a name cannot be a folder. `former` is the path in earlier versions, which stays in use. */
export type Folder =
  | { readonly ok: true; readonly path: string; readonly former?: string | undefined }
  | { readonly ok: false; readonly why: string }

/** The path of an identity's folder, and another one in case that a file system takes it for that of a second identity. */
export type IdentityFolder =
  | { readonly ok: true; readonly path: string; readonly distinct: string }
  | { readonly ok: false; readonly why: string }

/** The file of the sample at a position, in the folder of its key. */
export const samplePath = (folder: string, position: number): string => `${folder}${Path.sep}${position}.md`

/** The position of the sample in a file of this name, `undefined` if samples have no such name. */
export const positionOf = (name: string): number | undefined => {
  const position = /^(0|[1-9]\d{0,14})\.md$/.exec(name)?.[1]
  return position === undefined ? undefined : Number(position)
}

/**
 * The folder of a key's samples, in the folder of its identity. Names of forks are percent-encoded, capitals too, since a
 * file system may take `A` and `a` for one name. Names that do not fit give one folder for all of them.
 */
export const keyFolder = (identityFolder: string, key: Key): Folder => {
  const prompt = `${identityFolder}${Path.sep}${key.promptHash}`
  if (key.path.length === 0) return { ok: true, path: prompt }
  if (key.path.some((name) => name === "" || !name.isWellFormed())) {
    return { ok: false, why: "a fork's name is empty, or has a lone surrogate" }
  }
  const join = (names: ReadonlyArray<string>) =>
    [prompt, ...names.flatMap((name) => [forksFolder, name])].join(Path.sep)
  const names = key.path.map(forkFolder)
  const former = key.path.map(formerForkFolder)
  const doFit = fit(names, longestForks)
  return {
    ok: true,
    path: join(doFit ? names : [shortForkFolder(key.path)]),
    former: (doFit && names.join() === former.join()) || !fit(former, Infinity) ? undefined : join(former)
  }
}

/**
 * The folder of an identity, below the root: `<alias>_<temperature>`, as in the Python original, and a suffix for other
 * parameters. An alias that does not fit, or that a file system may take for another one, adds a suffix of its own. Read from
 * the right, the last part is a suffix or a temperature and no suffix is a temperature, so two identities never share one.
 */
export const identityFolder = (identity: Identity): IdentityFolder => {
  const parameters = identity.parameters === "{}" ? "" : `_p-${hash(identity.parameters)}`
  const segments = identity.name.split("/")
  const alias = `the alias ${JSON.stringify(identity.name)}`
  if (identity.name.includes("\0")) return { ok: false, why: `${alias} has a NUL character` }
  for (const [i, segment] of segments.entries()) {
    // The walk over all keys takes 64 hex digits for a prompt's folder.
    const isReserved = segment === "" || segment === "." || segment === ".." || isPromptFolder(segment) ||
      (i === 0 && segments.length > 1 && [writeAheadFolder, runsFolder].includes(segment.toLowerCase()))
    if (isReserved) return { ok: false, why: `${alias} has ${JSON.stringify(segment)} for a folder's name` }
  }
  const last = segments.pop()!
  const settings = `_${temperature(identity.temperature)}${parameters}`
  const plain = [...segments, `${last}${settings}`]
  const suffix = `${settings}_n-${hash(identity.name)}`
  const whole = [...segments, `${last}${suffix}`]
  const distinct = fit(whole, longestAlias) ? whole.join(Path.sep) : `${cut(last)}${suffix}`
  return { ok: true, path: fit(plain, Infinity) ? plain.join(Path.sep) : distinct, distinct }
}

/** The identity of the folder at this path below the root, `undefined` if the path alone does not tell. */
export const identityOfFolder = (path: string): Identity | undefined => {
  const [, name, temperature] = /^(.+)_([^_]+?)(?:_n-[0-9a-f]{32})?$/s.exec(path.split(Path.sep).join("/")) ?? []
  if (name === undefined) return undefined
  const identity = new Identity(name, temperature === "default" ? undefined : Number(temperature), "{}")
  return isFolderOf(identity, path) ? identity : undefined
}

/** Whether the folder at this path below the root is that of an identity. */
export const isFolderOf = (identity: Identity, path: string): boolean => {
  const folder = identityFolder(identity)
  return folder.ok && (folder.path === path || folder.distinct === path)
}

/** The fork of a folder with this name, `undefined` if forks have no such name. */
export const forkOfFolder = (name: string): string | undefined => {
  try {
    const fork = decodeURIComponent(name)
    return forkFolder(fork) === name || formerForkFolder(fork) === name ? fork : undefined
  } catch {
    return undefined
  }
}

/** Whether a folder has the shortened name of long forks. No other name of a fork has an `=`. */
export const isShortened = (name: string): boolean => /=[0-9a-f]{32}$/.test(name)

/** The shortened name of long forks: the beginning of the last, and a hash. */
export const shortForkFolder = (path: ReadonlyArray<string>): string =>
  `${cut(forkFolder(path.at(-1)!)).replace(/%.?$/, "")}=${hash(JSON.stringify(path))}`

/** Whether a prompt's folder has this name. */
export const isPromptFolder = (name: string): boolean => /^[0-9a-f]{64}$/.test(name)

/** The folder of a prompt's forks, beside the prompt's samples. */
export const forksFolder = "forks"

/** The text of the prompt, beside its samples. */
export const promptFile = "prompt.txt"

/** The explanation of an identity's folder, in it. */
export const identityFile = "identity.json"

/** The names of the forks, in a folder with a shortened name. */
export const forkFile = "fork.json"

/** The folder of the write-ahead log. Caches on disk have this name. */
export const writeAheadFolder = ".purchases"

/** The folder of the traces of runs, see `Trace`. */
export const runsFolder = ".runs"

/** The longest name of a file or folder on common file systems, in bytes. */
const longestName = 255

/**
 * The most bytes of an alias and of the forks: 1024 bytes, the longest path of macOS, leave more than 200 for the root.
 */
const longestAlias = 300
const longestForks = 400

const fit = (names: ReadonlyArray<string>, most: number): boolean =>
  names.every((name) => Buffer.byteLength(name) <= longestName) &&
  names.reduce((sum, name) => sum + Buffer.byteLength(name) + forksFolder.length + 2, 0) <= most

/** The beginning of a name, which a hash follows. */
const cut = (name: string): string => Buffer.from(name).subarray(0, 100).toString().replace(/\uFFFD+$/, "")

const hash = (text: string): string => sha256(text).slice(0, 32)

// The original prints three decimals and drops the zeros at their end. Finer temperatures need a name of their own.
const temperature = (value: number | undefined): string => {
  if (value === undefined) return "default"
  const rounded = value.toFixed(3).replace(/\.?0+$/, "")
  return Number(rounded) === value && rounded !== "" ? rounded : String(value)
}

const forkFolder = (name: string): string =>
  formerForkFolder(name).replace(
    /%..|[A-Z]/g,
    (match) => match.length === 1 ? `%${match.charCodeAt(0).toString(16).toUpperCase()}` : match
  )

const formerForkFolder = (name: string): string =>
  name === "." || name === ".." ? name.replaceAll(".", "%2E") : encodeURIComponent(name).replaceAll("*", "%2A")
