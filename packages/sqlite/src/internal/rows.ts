import type { Identity } from "@llm-cache/core/Identity"
import type { Key } from "@llm-cache/core/Key"
import type { Drawn, Entry } from "@llm-cache/core/Sample"
import type { Listed } from "@llm-cache/core/SampleStore"
import * as StoreRow from "@llm-cache/core/StoreRow"
import * as Crypto from "node:crypto"
import type { SQLInputValue } from "node:sqlite"

/** A row in the form of `setReturnArrays`. */
export type Row = ReadonlyArray<unknown>

// -----------------------------------------------------------------------------
// values
// -----------------------------------------------------------------------------

// Many tools end a text at a NUL, so a text with a NUL is stored as a blob.
const encodeText = (text: string): string | Buffer => text.includes("\0") ? Buffer.from(text) : text

const decodeText = (value: unknown): string | undefined =>
  typeof value === "string"
    ? value
    : value instanceof Uint8Array
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()
    : undefined

// node:sqlite binds a number as a float, and a bigint as an integer.
const encodeNumber = <A>(value: A): A | bigint =>
  typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value

// By way of hexadecimal: a digest in a buffer allocates memory outside the heap, which takes longer than the digest.
const sha256 = (text: string, bytes: number): Buffer =>
  Buffer.from(Crypto.hash("sha256", text, "hex").slice(0, 2 * bytes), "hex")

// -----------------------------------------------------------------------------
// keys
// -----------------------------------------------------------------------------

/** The first bytes in the digests of all keys of an identity. */
export const digestOfIdentity = (identity: Identity): Buffer => sha256(identity.id, 4)

/** The name of a key, in 16 bytes. A NUL separates its parts, because JSON has none. */
export const digestOfKey = ({ identity, path, prompt }: Key, prefix = digestOfIdentity(identity)): Buffer => {
  const digest = sha256(`${identity.id}\0${JSON.stringify(path)}\0${prompt}`, 16)
  prefix.copy(digest)
  return digest
}

export const encodeKey = (key: Key, digest: Buffer): ReadonlyArray<SQLInputValue> => [
  key.identity.id,
  digest,
  JSON.stringify(key.path),
  encodeText(key.prompt),
  Buffer.from(key.promptHash, "hex")
]

/** The SHA-256 of a stored prompt. */
export const sha256OfPrompt = (prompt: unknown): Buffer | null => {
  const text = decodeText(prompt)
  return text === undefined ? null : sha256(text, 32)
}

/** The first and the last hash that begin with some hexadecimal digits. */
export const rangeOfHash = (digits: string): readonly [first: Buffer, last: Buffer] => [
  Buffer.from(digits.padEnd(64, "0"), "hex"),
  Buffer.from(digits.padEnd(64, "f"), "hex")
]

/** The key in a row, `undefined` if the row is damaged. */
export const decodeKey = ([, identityId, path, prompt, digest, samples]: Row): Listed | undefined => {
  const key = StoreRow.decodeKey(identityId, StoreRow.parseJson(path), decodeText(prompt))
  return key !== undefined && digest instanceof Uint8Array && digestOfKey(key).equals(digest)
    ? { key, samples: Number(samples) }
    : undefined
}

// -----------------------------------------------------------------------------
// samples
// -----------------------------------------------------------------------------

export const encodeSample = ({ drawn, id }: Entry, key: number, position: number): ReadonlyArray<SQLInputValue> => {
  const row = StoreRow.encode(drawn, encodeText).map(encodeNumber)
  if (drawn.origins.length === 0) row[3] = null
  return [...row, id === undefined ? null : encodeText(id), key, position]
}

/** The sample in a row, `undefined` if the row is damaged. */
export const decodeSample = (row: Row): Drawn | undefined => StoreRow.decode(row, decodeText)

/** The id of the entry in a row. */
export const decodeId = (value: unknown): string | undefined => value === null ? undefined : decodeText(value)
