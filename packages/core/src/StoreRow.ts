/**
 * The row of a sample and the advice of store errors, for authors of stores.
 *
 * **When to use**
 *
 * Use it in a store of your own: the store then detects damage and advises its users as the other stores do.
 *
 * **Details**
 *
 * A row keeps the text of a sample, its length in bytes and its CRC-32, the origins as JSON, and a column for each part of
 * the metadata. `decode` gives a sample only if length and checksum match its text.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Zlib from "node:zlib"
import { fromId } from "./Identity.ts"
import { Key } from "./Key.ts"
import type { Drawn, Metadata } from "./Sample.ts"
import { StoreError } from "./SampleError.ts"

// -----------------------------------------------------------------------------
// rows
// -----------------------------------------------------------------------------

/**
 * The columns of a row after its text, in order. `metadata` is a JSON object of all metadata without a column, `null` if
 * there are none.
 *
 * @category rows
 * @since 0.1.0
 */
export const columns = [
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
  "output_tokens",
  "metadata"
] as const

/**
 * The row of a sample: its text, and the values of `columns`. `encode` maps texts to the values that the engine can hold.
 *
 * @category rows
 * @since 0.1.0
 */
export const encode = <A>(
  {
    metadata: {
      createdAt,
      elapsed,
      finishReason,
      index,
      inputTokens,
      model,
      outputTokens,
      request,
      requestSamples,
      ...others
    },
    origins,
    text
  }: Drawn,
  encodeText: (text: string) => A
): ReadonlyArray<A | string | number | null> => {
  const optional = (text: string | undefined) => text === undefined ? null : encodeText(text)
  const json = JSON.stringify(others)
  return [
    encodeText(text),
    Buffer.byteLength(text),
    Zlib.crc32(text),
    JSON.stringify(origins),
    optional(request),
    index ?? null,
    optional(model),
    optional(finishReason),
    createdAt ?? null,
    elapsed ?? null,
    requestSamples ?? null,
    inputTokens ?? null,
    outputTokens ?? null,
    json === "{}" ? null : json
  ]
}

/**
 * The sample of a row, `undefined` if the row is damaged. `decodeText` reverses the `encodeText` of `encode`, and returns
 * `undefined` for any other value. Numbers may be `bigint` or strings. Origins may be `null` if there are none, and `bytes`
 * if the engine has compared it with the length of the text.
 *
 * @category rows
 * @since 0.1.0
 */
export const decode = (
  row: ReadonlyArray<unknown>,
  decodeText: (value: unknown) => string | undefined
): Drawn | undefined => {
  const text = decodeText(row[0])
  if (text === undefined || Zlib.crc32(text) !== Number(row[2])) return undefined
  if (row[1] !== null && Buffer.byteLength(text) !== Number(row[1])) return undefined
  const origins = row[3] === null || row[3] === "[]" ? [] : parseJson(row[3])
  if (!isPositions(origins)) return undefined
  const others = row[13] === null ? {} : parseJson(row[13])
  if (!Predicate.isObject(others)) return undefined
  const metadata: { -readonly [name in keyof Metadata]: Metadata[name] } = others
  if (row[4] !== null) metadata.request = decodeText(row[4])
  if (row[5] !== null) metadata.index = Number(row[5])
  if (row[6] !== null) metadata.model = decodeText(row[6])
  if (row[7] !== null) metadata.finishReason = decodeText(row[7])
  if (row[8] !== null) metadata.createdAt = Number(row[8])
  if (row[9] !== null) metadata.elapsed = Number(row[9])
  if (row[10] !== null) metadata.requestSamples = Number(row[10])
  if (row[11] !== null) metadata.inputTokens = Number(row[11])
  if (row[12] !== null) metadata.outputTokens = Number(row[12])
  return { text, metadata, origins }
}

/**
 * The row of a sample as JSON, for stores without columns. Empty metadata and origins are left out.
 *
 * @category rows
 * @since 0.1.0
 */
export const toJson = ({ metadata, origins, text }: Drawn): string =>
  JSON.stringify({
    text,
    bytes: Buffer.byteLength(text),
    crc32: Zlib.crc32(text),
    metadata: Object.keys(metadata).length === 0 ? undefined : metadata,
    origins: origins.length === 0 ? undefined : origins
  })

/**
 * The sample of a row in JSON, `undefined` if the row is damaged.
 *
 * @category rows
 * @since 0.1.0
 */
export const fromJson = (json: string): Drawn | undefined => {
  const row = parseJson(json)
  if (!Predicate.isObject(row)) return undefined
  const { bytes, crc32, metadata = {}, origins = [], text } = row
  return typeof text === "string" && Zlib.crc32(text) === crc32 && Buffer.byteLength(text) === bytes &&
      Predicate.isObject(metadata) &&
      isPositions(origins)
    ? { text, metadata, origins }
    : undefined
}

/**
 * The key of a stored identity, path and prompt, `undefined` if one of them is damaged. Compare its name with the stored
 * name: a changed prompt is damage too.
 *
 * @category rows
 * @since 0.1.0
 */
export const decodeKey = (identityId: unknown, path: unknown, prompt: string | undefined): Key | undefined => {
  const identity = typeof identityId === "string" ? fromId(identityId) : undefined
  return identity !== undefined && prompt !== undefined && isPath(path) ? new Key(identity, prompt, path) : undefined
}

/**
 * The value of a text in JSON, `undefined` if it is not JSON, or not a text.
 *
 * @category rows
 * @since 0.1.0
 */
export const parseJson = (json: unknown): unknown => {
  try {
    return typeof json === "string" ? JSON.parse(json) : undefined
  } catch {
    return undefined
  }
}

const isPositions = (value: unknown): value is ReadonlyArray<number> =>
  Array.isArray(value) && value.every(Number.isSafeInteger)

const isPath = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((name) => typeof name === "string")

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * The part of a `StoreError` that its cause decides.
 *
 * @category errors
 * @since 0.1.0
 */
export type Fault = Pick<StoreError, "kind" | "description" | "cause">

/**
 * The `StoreError` of an operation.
 *
 * @category errors
 * @since 0.1.0
 */
export const storeError = (
  store: string,
  operation: StoreError["operation"],
  fault: Fault,
  key?: Key,
  position?: number
): StoreError => new StoreError({ store, operation, key, position, ...fault })

/**
 * The fault of an error that the engine reported.
 *
 * @category errors
 * @since 0.1.0
 */
export const unavailable = (message: string, advice: string, cause?: unknown): Fault => ({
  kind: "Unavailable",
  description: `${message}. ${advice}`,
  cause
})

/**
 * The fault of a sample that differs from the sample that was put. `row` names its place.
 *
 * @category errors
 * @since 0.1.0
 */
export const damagedSample = (row: string): Fault => ({
  kind: "Damaged",
  description: `${row} is not the sample that was stored. Restore it, or delete it to have the position drawn again`
})

/**
 * The fault of a key that differs from the key that was put. `row` names its place.
 *
 * @category errors
 * @since 0.1.0
 */
export const damagedKey = (row: string): Fault => ({
  kind: "Damaged",
  description: `${row} is not the key that was stored. Restore it, or delete it and its samples`
})

/**
 * The fault of a store that a later version of this library wrote.
 *
 * @category errors
 * @since 0.1.0
 */
export const laterVersion = (found: number | string, known: number | string): Fault => ({
  kind: "Unavailable",
  description: `the store has version ${found}, and this library writes version ${known}: update the library`
})

const kept = "The samples of the request are kept in memory, and the next draw stores them"

const writesNothing = "or use replication, which writes nothing"

/**
 * Advice for the faults that engines have in common.
 *
 * @category errors
 * @since 0.1.0
 */
export const advice = {
  /** Ends the advice for a fault that can occur after a request was paid for. */
  kept,
  diskFull: `The disk is full: make room. ${kept}`,
  outOfMemory: `The memory is full: make room. ${kept}`,
  readOnly: `This server is read-only: connect to the primary, ${writesNothing}`,
  unreachable: `The server was not reached, or the connection broke: see that it runs, and try again. ${kept}`,
  starting: "The server is starting: try again",
  login: "The server refuses this user: check the user's name and password",
  tooManyConnections: "The server has too many connections: use fewer processes, or raise its limit",
  tryAgain: "Try again",
  /** For a missing right, which `grant` tells how to give. */
  denied: (grant: string): string => `${grant}, ${writesNothing}`
} as const

/**
 * The fault of an error of the file system. `place` is the kind of place that the store has, and `path` names the file if
 * the error does not.
 *
 * @category errors
 * @since 0.1.0
 */
export const fileSystemFault = (cause: unknown, place: "directory" | "file", path?: string): Fault => {
  const { code = "", message, path: named } = cause as NodeJS.ErrnoException
  const known: { readonly [code: string]: string } = {
    EACCES: advice.denied(`Give this user the right to it, use another ${place}`),
    EPERM: advice.denied(`Give this user the right to it, use another ${place} (a directory needs hard links)`),
    EROFS: advice.denied(`The file system is read-only: use another ${place}`),
    ENOSPC: advice.diskFull,
    EDQUOT: `The quota is used up: make room. ${kept}`,
    ENOTDIR: `A file has the name of a folder: move it away, or use another ${place}`,
    EEXIST: `A file has the name of a folder: move it away, or use another ${place}`,
    EISDIR: "A folder has the name of a file: move it away"
  }
  return {
    kind: code === "EISDIR" ? "Damaged" : code === "ENAMETOOLONG" ? "InvalidName" : "Unavailable",
    description: `${message}${named === undefined && path !== undefined ? ` '${path}'` : ""}. ${
      known[code] ?? `Check the file system, or use another ${place}`
    }`,
    cause
  }
}
