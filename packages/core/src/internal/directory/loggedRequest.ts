import * as Predicate from "effect/Predicate"
import type { Key } from "../../Key.ts"
import type { Entry } from "../../Sample.ts"
import { decodeKey } from "../../StoreRow.ts"

/** The samples of a request, and their folder below the root. */
export interface LoggedRequest {
  readonly folder: string
  readonly entries: ReadonlyArray<NamedEntry>
  readonly ifTaken: "append" | "drop"
  /** For the files that explain the folder. Earlier versions leave it out. */
  readonly key?: Key | undefined
}

export type NamedEntry = Entry & { readonly id: string }

/** A sample at its position. */
export interface StoredSample {
  readonly folder: string
  readonly position: number
  readonly entry: NamedEntry
  readonly key: Key | undefined
}

/** The content of a file of the write-ahead log. */
export interface LogContent {
  /** The start of the system at which it was written, `undefined` if it is unknown. */
  readonly boot: string | undefined
  /** Requests that may not have all of their samples in files. */
  readonly unfinished: ReadonlyArray<LoggedRequest>
  /** Samples that were stored, and not removed since. */
  readonly stored: ReadonlyArray<StoredSample>
}

/** The first line of a file. */
export const bootLine = (boot: string | undefined): object => ({ boot })

/** The line of a request, before its samples are written. */
export const requestLine = (number: number, { entries, folder, ifTaken, key }: LoggedRequest): object => ({
  request: number,
  folder,
  ifTaken,
  entries,
  key: key && [key.identity.id, key.path, key.prompt]
})

/** The line that says where the samples of a request are. */
export const storedLine = (number: number, positions: ReadonlyArray<number | undefined>): object => ({
  stored: number,
  positions
})

/** The line that says which samples were removed. */
export const removedLine = (folder: string, positions: ReadonlyArray<number>): object => ({
  removed: positions,
  folder
})

/** Decodes a file, `undefined` if it has no line of a log. Lines that were torn are left out. */
export const decode = (content: string): LogContent | undefined => {
  const lines = content.split("\n").flatMap((line) => {
    const parsed = parse(line)
    return Predicate.isObject(parsed) ? [parsed] : []
  })
  const unfinished = new Map<unknown, LoggedRequest>()
  const stored = new Map<string, StoredSample>()
  let isLog = false
  let boot: string | undefined
  for (const line of lines) {
    if ("stored" in line) {
      const request = unfinished.get(line["stored"])
      unfinished.delete(line["stored"])
      for (const [i, position] of positionsOf(line["positions"]).entries()) {
        const entry = request?.entries[i]
        if (request === undefined || entry === undefined || typeof position !== "number") continue
        const { folder, key } = request
        stored.set(`${position} ${folder}`, { folder, position, entry, key })
      }
    } else if ("removed" in line) {
      for (const position of positionsOf(line["removed"])) stored.delete(`${position} ${line["folder"]}`)
    } else if ("boot" in line || "request" in line || "entries" in line) {
      const request = requestOf(line)
      if (typeof line["boot"] === "string") boot = line["boot"]
      if (request !== undefined) unfinished.set(line["request"], request)
      if (request === undefined && "entries" in line) continue
    } else continue
    isLog = true
  }
  return isLog ? { boot, unfinished: [...unfinished.values()], stored: [...stored.values()] } : undefined
}

type Fields = Readonly<Record<string, unknown>>

const parse = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

const positionsOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

// A cache may come from someone else: no path in it leads out of the root.
const requestOf = (line: Fields): LoggedRequest | undefined => {
  try {
    // Logs of earlier versions name the request, and leave out the ids of its samples.
    const { entries, folder, id, ifTaken, key } = line as Pick<LoggedRequest, "folder" | "ifTaken"> & {
      readonly id?: string
      readonly entries: ReadonlyArray<Entry>
      readonly key?: readonly [unknown, unknown, string]
    }
    const isSound = (ifTaken === "append" || ifTaken === "drop") &&
      folder.split(/[\\/]/).every((segment) => segment !== "" && segment !== "." && segment !== "..") &&
      entries.every((entry) => isSoundEntry(entry) && (entry.id !== undefined || typeof id === "string"))
    return isSound
      ? {
        folder,
        ifTaken,
        entries: entries.map((entry, i) => ({ ...entry, id: entry.id ?? `${id} ${i}` })),
        key: key === undefined ? undefined : decodeKey(...key)
      }
      : undefined
  } catch {
    return undefined
  }
}

const isSoundEntry = ({ drawn: { metadata, origins, text }, position }: Entry): boolean =>
  Number.isSafeInteger(position) && position >= 0 && typeof text === "string" &&
  typeof metadata === "object" && origins.every(Number.isSafeInteger)
