import * as Crypto from "node:crypto"
import * as Path from "node:path"
import { Identity } from "../../Identity.ts"
import type { Key } from "../../Key.ts"

/** The longest name of a file or folder that common file systems take, in bytes. */
const longest = 255

/**
 * The folder of an identity below the root, or what is wrong with its name.
 *
 * `<alias>_<temperature>`, with a suffix where there are other parameters. Read from the right, the last part is a
 * suffix or a temperature and no suffix is a temperature, so that no two identities have one folder.
 */
export const identityFolder = (identity: Identity): Folder => {
  const parameters = identity.parameters === "{}" ?
    "" :
    `_p-${Crypto.hash("sha256", identity.parameters, "hex").slice(0, 32)}`
  const segments = identity.name.split("/")
  if (segments.length > 1 && segments[0] === purchasesFolder) {
    return bad(`the alias ${JSON.stringify(identity.name)} has ${JSON.stringify(purchasesFolder)} for a folder's name`)
  }
  for (const segment of segments) {
    // With 64 hex digits it would read as the folder of a prompt.
    if (segment === "" || segment === "." || segment === ".." || promptFolder.test(segment)) {
      return bad(`the alias ${JSON.stringify(identity.name)} has ${JSON.stringify(segment)} for a folder's name`)
    }
  }
  segments.push(`${segments.pop()}_${temperature(identity.temperature)}${parameters}`)
  return folder(segments, `the alias ${JSON.stringify(identity.name)}`)
}

/** The folder of a key below that of its identity, or what is wrong with its fork path. */
export const keyFolder = (key: Key): Folder =>
  key.path.length === 0
    ? { ok: true, path: key.promptHash }
    : folder([key.promptHash, ...key.path.flatMap((name) => ["forks", forkFolder(name)])], "a fork's name")

export type Folder = { readonly ok: true; readonly path: string } | { readonly ok: false; readonly why: string }

const bad = (why: string): Folder => ({ ok: false, why })

const folder = (segments: ReadonlyArray<string>, what: string): Folder => {
  for (const segment of segments) {
    if (segment === "") return bad(`${what} is empty, or has a lone surrogate`)
    if (segment.includes("\0")) return bad(`${what} has a NUL character`)
    if (Buffer.byteLength(segment) > longest) {
      return bad(`${what} is too long: a folder's name has at most ${longest} bytes`)
    }
  }
  return { ok: true, path: segments.join(Path.sep) }
}

/** The name of the folder below the root that holds purchases which are being stored. */
export const purchasesFolder = ".purchases"

/** The name of a folder that holds a prompt's samples. */
export const promptFolder = /^[0-9a-f]{64}$/

/** The position of the sample in a file of this name, `undefined` where it is no sample's. */
export const positionOf = (name: string): number | undefined => {
  const position = /^(0|[1-9]\d{0,14})\.md$/.exec(name)?.[1]
  return position === undefined ? undefined : Number(position)
}

/** The identity that a folder of this name below the root is for, where the name alone says so. */
export const identityOfFolder = (path: string): Identity | undefined => {
  const [, name, temperature] = /^(.+)_([^_]+)$/s.exec(path.split(Path.sep).join("/")) ?? []
  if (name === undefined) return undefined
  const identity = new Identity(name, temperature === "default" ? undefined : Number(temperature), "{}")
  const folder = identityFolder(identity)
  return folder.ok && folder.path === path ? identity : undefined
}

/** The name of the fork whose folder has this name. */
export const forkOfFolder = (name: string): string | undefined => {
  try {
    const fork = decodeURIComponent(name)
    return forkFolder(fork) === name ? fork : undefined
  } catch {
    return undefined
  }
}

// What the original prints, three decimals without the zeros at their end, where that says it all.
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
