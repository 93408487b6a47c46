import * as Identity from "@llm-cache/core/Identity"
import { Key } from "@llm-cache/core/Key"
import type { Drawn, Entry, Metadata } from "@llm-cache/core/Sample"
import * as Crypto from "node:crypto"
import * as Zlib from "node:zlib"

// A text of PostgreSQL cannot hold NUL. The free texts of a row that has one in any of them are stored as JSON.
type Encoding = "plain" | "json"

const encodingOf = (...texts: ReadonlyArray<string | undefined>): Encoding =>
  texts.every((text) => text === undefined || (!text.includes("\0") && text.isWellFormed())) ? "plain" : "json"

const encode = (text: string, encoding: Encoding): string => encoding === "plain" ? text : JSON.stringify(text)

// `undefined` where that is not what was written.
const decode = (text: string, encoding: string): string | undefined => {
  if (encoding === "plain") return text
  if (encoding !== "json") return undefined
  const value = parse(text)
  return typeof value === "string" ? value : undefined
}

const parse = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

const sha256 = (text: string): string => Crypto.hash("sha256", text, "hex")

// -----------------------------------------------------------------------------
// keys
// -----------------------------------------------------------------------------

/** The name of a key in the tables. */
export const hashOf = ({ identity, path, prompt }: Key): string => sha256(JSON.stringify([identity.id, path, prompt]))

export const identityHash = (identity: Identity.Identity): string => sha256(identity.id)

/** A key as a row. Identity and path are JSON: they have no NUL. */
export interface KeyRow {
  readonly key_sha256: string
  readonly identity_sha256: string
  readonly prompt_sha256: string
  readonly identity_id: string
  readonly fork_path: string
  readonly prompt: string
  readonly encoding: string
}

export const toKeyRow = (key: Key, hash: string): KeyRow => {
  const encoding = encodingOf(key.prompt)
  return {
    key_sha256: hash,
    identity_sha256: identityHash(key.identity),
    prompt_sha256: key.promptHash,
    identity_id: key.identity.id,
    fork_path: JSON.stringify(key.path),
    prompt: encode(key.prompt, encoding),
    encoding
  }
}

/** `undefined` where the row is not the one that was written. */
export const fromKeyRow = (row: KeyRow): Key | undefined => {
  const identity = Identity.fromId(row.identity_id)
  const path = parse(row.fork_path)
  const prompt = promptOf(row)
  if (identity === undefined || !isPath(path) || prompt === undefined) return undefined
  const key = new Key(identity, prompt, path)
  return hashOf(key) === row.key_sha256 ? key : undefined
}

export const promptOf = (row: Pick<KeyRow, "encoding" | "prompt">): string | undefined =>
  decode(row.prompt, row.encoding)

const isPath = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((name) => typeof name === "string")

// -----------------------------------------------------------------------------
// samples
// -----------------------------------------------------------------------------

/** A number as a driver gives it: PostgreSQL's bigint is a `bigint`, others may give a text. */
export type Numeric = number | bigint | string

/** What is known of a sample, in columns of its own. */
interface MetadataRow {
  readonly request: string | null
  readonly request_index: Numeric | null
  readonly model: string | null
  readonly finish_reason: string | null
  readonly created_at: Numeric | null
  readonly elapsed: Numeric | null
  readonly request_samples: Numeric | null
  readonly input_tokens: Numeric | null
  readonly output_tokens: Numeric | null
}

export interface SampleRow extends MetadataRow {
  readonly sample: string
  readonly encoding: string
  /** Of the text that was put, in UTF-8. */
  readonly bytes: Numeric
  readonly crc32: Numeric
  readonly origins: string
}

export const sampleColumns = [
  "sample",
  "encoding",
  "bytes",
  "crc32",
  "origins",
  "request",
  "request_index",
  "model",
  "finish_reason",
  "created_at",
  "elapsed",
  "request_samples",
  "input_tokens",
  "output_tokens"
] as const satisfies ReadonlyArray<keyof SampleRow>

export const toSampleRow = (hash: string, { drawn: { metadata, origins, text }, id, position }: Entry) => {
  const { finishReason, model, request } = metadata
  const encoding = encodingOf(text, id, request, model, finishReason)
  const optional = (text: string | undefined) => text === undefined ? null : encode(text, encoding)
  return {
    key_sha256: hash,
    position,
    entry_id: optional(id),
    sample: encode(text, encoding),
    encoding,
    bytes: Buffer.byteLength(text),
    crc32: Zlib.crc32(text),
    origins: JSON.stringify(origins),
    request: optional(request),
    request_index: metadata.index ?? null,
    model: optional(model),
    finish_reason: optional(finishReason),
    created_at: metadata.createdAt ?? null,
    elapsed: metadata.elapsed ?? null,
    request_samples: metadata.requestSamples ?? null,
    input_tokens: metadata.inputTokens ?? null,
    output_tokens: metadata.outputTokens ?? null
  }
}

/** `undefined` where the row is not the one that was written. */
export const fromSampleRow = (row: SampleRow): Drawn | undefined => {
  const text = decode(row.sample, row.encoding)
  if (text === undefined || Buffer.byteLength(text) !== Number(row.bytes) || Zlib.crc32(text) !== Number(row.crc32)) {
    return undefined
  }
  const origins = row.origins === "[]" ? [] : parse(row.origins)
  if (!isOrigins(origins)) return undefined
  return { text, metadata: metadataOf(row), origins }
}

const metadataOf = (row: MetadataRow & { readonly encoding: string }): Metadata => {
  const metadata: { -readonly [K in keyof Metadata]: Metadata[K] } = {}
  if (row.request !== null) metadata.request = decode(row.request, row.encoding)
  if (row.request_index !== null) metadata.index = Number(row.request_index)
  if (row.model !== null) metadata.model = decode(row.model, row.encoding)
  if (row.finish_reason !== null) metadata.finishReason = decode(row.finish_reason, row.encoding)
  if (row.created_at !== null) metadata.createdAt = Number(row.created_at)
  if (row.elapsed !== null) metadata.elapsed = Number(row.elapsed)
  if (row.request_samples !== null) metadata.requestSamples = Number(row.request_samples)
  if (row.input_tokens !== null) metadata.inputTokens = Number(row.input_tokens)
  if (row.output_tokens !== null) metadata.outputTokens = Number(row.output_tokens)
  return metadata
}

const isOrigins = (value: unknown): value is ReadonlyArray<number> =>
  Array.isArray(value) && value.every(Number.isSafeInteger)

/** A position that has a sample, and the id of that sample. */
export interface HeldRow {
  readonly position: Numeric
  readonly entry_id: string | null
  readonly encoding: string
}

export const heldId = ({ encoding, entry_id }: HeldRow): string | undefined =>
  entry_id === null ? undefined : decode(entry_id, encoding)
