import type { Sample } from "@llm-cache/core"
import * as Predicate from "effect/Predicate"
import * as Zlib from "node:zlib"

/** A sample as the value of a field: JSON, in which what is empty is left out. */
export const encode = ({ metadata, origins, text }: Sample.Drawn): string =>
  JSON.stringify({
    text,
    bytes: Buffer.byteLength(text),
    crc32: Zlib.crc32(text),
    metadata: Object.keys(metadata).length === 0 ? undefined : metadata,
    origins: origins.length === 0 ? undefined : origins
  })

/** The sample, `undefined` where the value is not one that was encoded. */
export const decode = (value: string): Sample.Drawn | undefined => {
  const row = parse(value)
  if (!Predicate.isObject(row)) return undefined
  const { bytes, crc32, metadata = {}, origins = [], text } = row
  return typeof text === "string" && bytes === Buffer.byteLength(text) && crc32 === Zlib.crc32(text) &&
      Predicate.isObject(metadata) && isNumbers(origins)
    ? { text, metadata, origins }
    : undefined
}

/** What the field `key` of a sequence holds: the part of a key that its identity does not tell. */
export const encodeKey = (prompt: string, path: ReadonlyArray<string>): string => JSON.stringify([prompt, ...path])

export const decodeKey = (value: string): readonly [prompt: string, ...path: Array<string>] | undefined => {
  const key = parse(value)
  return Array.isArray(key) && key.length > 0 && key.every((name) => typeof name === "string")
    ? key as [string, ...Array<string>]
    : undefined
}

const parse = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

const isNumbers = (value: unknown): value is ReadonlyArray<number> =>
  Array.isArray(value) && value.every((item) => typeof item === "number")
