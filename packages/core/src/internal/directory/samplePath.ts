import * as Crypto from "node:crypto"
import * as Path from "node:path"
import { Identity } from "../../Identity.ts"
import type { Key } from "../../Key.ts"

// Every name below a root: <identity>/<hash of the prompt>[/forks/<fork> ...]/<position>.md

/** A path, or the reason why a name cannot be a folder. */
export type Folder = { readonly ok: true; readonly path: string } | { readonly ok: false; readonly why: string }

/** The file of the sample at a position, in the folder of its key. */
export const samplePath = (folder: string, position: number): string => `${folder}${Path.sep}${position}.md`

/** The position of the sample in a file of this name, `undefined` if samples have no such name. */
export const positionOf = (name: string): number | undefined => {
  const position = /^(0|[1-9]\d{0,14})\.md$/.exec(name)?.[1]
  return position === undefined ? undefined : Number(position)
}

/** The folder of a key's samples, in the folder of its identity. */
export const keyFolder = (identityFolder: string, key: Key): Folder => {
  const prompt = `${identityFolder}${Path.sep}${key.promptHash}`
  if (key.path.length === 0) return { ok: true, path: prompt }
  return join([prompt], key.path.flatMap((name) => [forksFolder, forkFolder(name)]), "a fork's name")
}

/**
 * The folder of an identity, below the root: `<alias>_<temperature>`, and a suffix for other parameters. Read from the
 * right, the last part is a suffix or a temperature and no suffix is a temperature, so two identities never share one.
 */
export const identityFolder = (identity: Identity): Folder => {
  const parameters = identity.parameters === "{}" ?
    "" :
    `_p-${Crypto.hash("sha256", identity.parameters, "hex").slice(0, 32)}`
  const segments = identity.name.split("/")
  const alias = `the alias ${JSON.stringify(identity.name)}`
  for (const [i, segment] of segments.entries()) {
    // The walk over all keys takes 64 hex digits for a prompt's folder.
    const isReserved = segment === "" || segment === "." || segment === ".." || isPromptFolder(segment) ||
      (i === 0 && segments.length > 1 && segment === writeAheadFolder)
    if (isReserved) return { ok: false, why: `${alias} has ${JSON.stringify(segment)} for a folder's name` }
  }
  segments.push(`${segments.pop()}_${temperature(identity.temperature)}${parameters}`)
  return join([], segments, alias)
}

/** The identity of the folder at this path below the root, `undefined` if the path alone does not tell. */
export const identityOfFolder = (path: string): Identity | undefined => {
  const [, name, temperature] = /^(.+)_([^_]+)$/s.exec(path.split(Path.sep).join("/")) ?? []
  if (name === undefined) return undefined
  const identity = new Identity(name, temperature === "default" ? undefined : Number(temperature), "{}")
  const folder = identityFolder(identity)
  return folder.ok && folder.path === path ? identity : undefined
}

/** The fork of a folder with this name, `undefined` if forks have no such name. */
export const forkOfFolder = (name: string): string | undefined => {
  try {
    const fork = decodeURIComponent(name)
    return forkFolder(fork) === name ? fork : undefined
  } catch {
    return undefined
  }
}

/** Whether a prompt's folder has this name. */
export const isPromptFolder = (name: string): boolean => /^[0-9a-f]{64}$/.test(name)

/** The folder of a prompt's forks, beside the prompt's samples. */
export const forksFolder = "forks"

/** The text of the prompt, beside its samples. */
export const promptFile = "prompt.txt"

/** The explanation of an identity's folder, in it. */
export const identityFile = "identity.json"

/** The folder of the write-ahead log. Caches on disk have this name. */
export const writeAheadFolder = ".purchases"

/** The longest name of a file or folder on common file systems, in bytes. */
const longestName = 255

const join = (above: ReadonlyArray<string>, segments: ReadonlyArray<string>, what: string): Folder => {
  for (const segment of segments) {
    if (segment === "") return { ok: false, why: `${what} is empty, or has a lone surrogate` }
    if (segment.includes("\0")) return { ok: false, why: `${what} has a NUL character` }
    if (Buffer.byteLength(segment) > longestName) {
      return { ok: false, why: `${what} is too long: a folder's name has at most ${longestName} bytes` }
    }
  }
  return { ok: true, path: [...above, ...segments].join(Path.sep) }
}

// The original prints three decimals and drops the zeros at their end. Finer temperatures need a name of their own.
const temperature = (value: number | undefined): string => {
  if (value === undefined) return "default"
  const rounded = value.toFixed(3).replace(/\.?0+$/, "")
  return Number(rounded) === value && rounded !== "" ? rounded : String(value)
}

const forkFolder = (name: string): string => {
  if (!name.isWellFormed()) return ""
  if (name === "." || name === "..") return name.replaceAll(".", "%2E")
  return encodeURIComponent(name).replaceAll("*", "%2A")
}
