import * as Predicate from "effect/Predicate"
import type { Key } from "../../Key.ts"
import type { Entry } from "../../Sample.ts"
import { decodeKey, fromJson, parseJson, toJson } from "../../StoreRow.ts"

/** Samples of a key that a store failed to take. */
export interface Pending {
  readonly key: Key
  readonly entries: ReadonlyArray<Entry>
}

/** The content of a rescue file. */
export interface Rescued {
  /** The id of the store that failed. */
  readonly store: string
  readonly pending: ReadonlyArray<Pending>
  /** Descriptions of the lines that cannot be read, or are missing. */
  readonly damage: ReadonlyArray<string>
}

export const version = 1

/** Encodes a rescue file: a line that describes it, and a line for each sample, which can be read without the others. */
export const encode = (store: string, pending: ReadonlyArray<Pending>): string => {
  const lines = pending.flatMap(({ entries, key: { identity, path, prompt } }) =>
    entries.map(({ drawn, id, position }) => {
      const place = JSON.stringify({ key: [identity.id, path, prompt], position, id })
      return `${place.slice(0, -1)},"sample":${toJson(drawn)}}\n`
    })
  )
  return `${JSON.stringify({ "llm-cache rescue file": version, store, samples: lines.length })}\n${lines.join("")}`
}

/** Decodes a rescue file. Returns the number of a later version, and `undefined` for another file. */
export const decode = (content: string): Rescued | number | undefined => {
  const [first, ...lines] = content.split("\n")
  const header = parseJson(first)
  if (!Predicate.isObject(header)) return undefined
  const { "llm-cache rescue file": found, samples, store } = header as Record<string, unknown>
  if (typeof found !== "number" || typeof store !== "string" || typeof samples !== "number") return undefined
  if (found > version) return found
  const keys = new Map<string, { readonly key: Key; readonly entries: Array<Entry> }>()
  const damage: Array<string> = []
  let read = 0
  for (const [i, line] of lines.entries()) {
    if (line === "") continue
    read++
    const sample = decodeLine(line)
    if (sample === undefined) {
      damage.push(`line ${i + 2} is not the line that was written`)
      continue
    }
    const name = JSON.stringify([sample.key.identity.id, sample.key.path, sample.key.prompt])
    const known = keys.get(name)
    if (known === undefined) keys.set(name, { key: sample.key, entries: [sample.entry] })
    else known.entries.push(sample.entry)
  }
  if (read < samples) damage.push(`${samples - read} of ${samples} lines are missing`)
  return { store, pending: [...keys.values()], damage }
}

const decodeLine = (line: string): { readonly key: Key; readonly entry: Entry } | undefined => {
  const parsed = parseJson(line)
  if (!Predicate.isObject(parsed)) return undefined
  const { id, key: name, position, sample } = parsed as Record<string, unknown>
  const [identity, path, prompt] = Array.isArray(name) ? name : []
  const key = decodeKey(identity, path, typeof prompt === "string" ? prompt : undefined)
  const drawn = fromJson(JSON.stringify(sample) ?? "")
  return key === undefined || drawn === undefined || typeof id !== "string" || !isPosition(position)
    ? undefined
    : { key, entry: { position, drawn, id } }
}

const isPosition = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0
