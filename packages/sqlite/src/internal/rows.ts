import * as Identity from "@llm-cache/core/Identity"
import { Key } from "@llm-cache/core/Key"
import type { Drawn, Entry, Metadata } from "@llm-cache/core/Sample"
import type { Listed } from "@llm-cache/core/SampleStore"
import * as Crypto from "node:crypto"
import type { SQLInputValue } from "node:sqlite"
import * as Zlib from "node:zlib"

export type Row = ReadonlyArray<unknown>

/** A text as a column has it: as a blob where it has a NUL character. */
const ofText = (text: string): SQLInputValue => text.includes("\0") ? Buffer.from(text) : text

const toText = (value: unknown): string | undefined =>
  typeof value === "string"
    ? value
    : value instanceof Uint8Array
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()
    : undefined

const ofOptional = (value: string | number | undefined): SQLInputValue =>
  typeof value === "string"
    ? ofText(value)
    : value === undefined
    ? null
    : Number.isSafeInteger(value)
    ? BigInt(value)
    : value

// By way of hexadecimal: a digest that is made as a buffer has memory of its own, which takes longer than the digest.
const sha256 = (text: string, bytes: number): Buffer =>
  Buffer.from(Crypto.hash("sha256", text, "hex").slice(0, 2 * bytes), "hex")

/** What the digests of an identity's keys begin with. */
export const prefixOf = (identity: Identity.Identity): Buffer => sha256(identity.id, 4)

/** Names a key, in 16 bytes: its identity, and all that it is. JSON has no NUL character. */
export const digestOf = ({ identity, path, prompt }: Key, prefix = prefixOf(identity)): Buffer => {
  const digest = sha256(`${identity.id}\0${JSON.stringify(path)}\0${prompt}`, 16)
  prefix.copy(digest)
  return digest
}

export const ofKey = (key: Key, digest: Buffer): ReadonlyArray<SQLInputValue> => [
  key.identity.id,
  digest,
  JSON.stringify(key.path),
  ofText(key.prompt)
]

export const ofSample = ({ drawn: { metadata, origins, text }, id }: Entry, key: number, position: number) => [
  ofText(text),
  Zlib.crc32(text),
  Buffer.byteLength(text),
  origins.length === 0 ? null : JSON.stringify(origins),
  ofOptional(metadata.request),
  ofOptional(metadata.index),
  ofOptional(metadata.model),
  ofOptional(metadata.finishReason),
  ofOptional(metadata.createdAt),
  ofOptional(metadata.elapsed),
  ofOptional(metadata.requestSamples),
  ofOptional(metadata.inputTokens),
  ofOptional(metadata.outputTokens),
  ofOptional(id),
  key,
  position
]

/** The sample in a row, `undefined` where it is not what was put. */
export const toSample = (row: Row): Drawn | undefined => {
  const text = toText(row[0])
  if (text === undefined || Zlib.crc32(text) !== row[1]) return undefined
  const origins = row[2] === null ? [] : toNumbers(row[2])
  if (origins === undefined) return undefined
  const metadata: { -readonly [name in keyof Metadata]: Metadata[name] } = {}
  if (row[3] !== null) metadata.request = toText(row[3])
  if (row[4] !== null) metadata.index = row[4] as number
  if (row[5] !== null) metadata.model = toText(row[5])
  if (row[6] !== null) metadata.finishReason = toText(row[6])
  if (row[7] !== null) metadata.createdAt = row[7] as number
  if (row[8] !== null) metadata.elapsed = row[8] as number
  if (row[9] !== null) metadata.requestSamples = row[9] as number
  if (row[10] !== null) metadata.inputTokens = row[10] as number
  if (row[11] !== null) metadata.outputTokens = row[11] as number
  return { text, metadata, origins }
}

/** Whether a row of `held` is that of the sample with an id. */
export const isHeld = (row: Row, id: string | undefined): boolean => id !== undefined && toText(row[1]) === id

/** The key in a row, `undefined` where it is not what was put. */
export const toListed = ([, identityId, pathJson, promptColumn, digest, samples]: Row): Listed | undefined => {
  const identity = Identity.fromId(String(identityId))
  const path = parse(pathJson)
  const prompt = toText(promptColumn)
  if (identity === undefined || prompt === undefined || !Array.isArray(path)) return undefined
  const key = new Key(identity, prompt, path)
  return digest instanceof Uint8Array && digestOf(key).equals(digest) ? { key, samples: Number(samples) } : undefined
}

export const toPrompt = (row: Row): string => toText(row[0]) ?? ""

const toNumbers = (json: unknown): ReadonlyArray<number> | undefined => {
  const numbers = parse(json)
  return Array.isArray(numbers) && numbers.every(Number.isSafeInteger) ? numbers : undefined
}

const parse = (json: unknown): unknown => {
  try {
    return JSON.parse(String(json))
  } catch {
    return undefined
  }
}
