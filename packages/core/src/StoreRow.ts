/**
 * The row of a sample, for authors of stores.
 *
 * **When to use**
 *
 * Use it in a store of your own: the store then detects damage as the other stores do. `StoreFault` has its errors.
 *
 * **Details**
 *
 * A row keeps the text of a sample, its length in bytes and its CRC-32, the origins as JSON, and a column for each part of
 * the metadata. `decode` gives a sample only if length and checksum match its text, and the checksum of `rest` the rest.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { fromId } from "./Identity.ts"
import { crc32 } from "./internal/node.ts"
import { sealRest, unsealRest } from "./internal/store/sealedRest.ts"
import { Key } from "./Key.ts"
import type { Drawn, Metadata } from "./Sample.ts"
import type { StoreError } from "./SampleError.ts"
import type { Implementation } from "./SampleStore.ts"
import { damagedSample, storeError } from "./StoreFault.ts"

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
  const json = JSON.stringify(sealRest(others))
  return [
    encodeText(text),
    Buffer.byteLength(text),
    crc32(text),
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
  if (text === undefined || crc32(text) !== Number(row[2])) return undefined
  if (row[1] !== null && Buffer.byteLength(text) !== Number(row[1])) return undefined
  const origins = row[3] === null || row[3] === "[]" ? [] : parseJson(row[3])
  if (!isPositions(origins)) return undefined
  const others = row[13] === null ? {} : parseJson(row[13])
  if (!Predicate.isObject(others)) return undefined
  const metadata: { -readonly [name in keyof Metadata]: Metadata[name] } | undefined = unsealRest(others)
  if (metadata === undefined) return undefined
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
    crc32: crc32(text),
    metadata: Object.keys(metadata).length === 0 ? undefined : sealRest(metadata),
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
  const { bytes, crc32: checksum, metadata = {}, origins = [], text } = row
  if (typeof text !== "string" || crc32(text) !== checksum || Buffer.byteLength(text) !== bytes) return undefined
  const unsealed = Predicate.isObject(metadata) ? unsealRest(metadata) : undefined
  return unsealed !== undefined && isPositions(origins) ? { text, metadata: unsealed, origins } : undefined
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

/**
 * `getMany` of a store that reads some positions by a query. `read` returns the samples from `start` on, at most `length`, up
 * to a gap, and `undefined` for a damaged one. `rowOf` names the row of a sample.
 *
 * @category rows
 * @since 0.1.0
 */
export const makeGetMany = (options: {
  /** Names the store in errors. */
  readonly store: string
  /** How many samples a query reads at most. */
  readonly pageSize: number
  readonly read: (
    key: Key,
    start: number,
    length: number
  ) => Effect.Effect<ReadonlyArray<Drawn | undefined>, StoreError>
  readonly rowOf: (key: Key, position: number) => string
}): Implementation["getMany"] => {
  const { pageSize, read, rowOf, store } = options
  return Effect.fnUntraced(function*(key, from, count) {
    const samples: Array<Drawn> = []
    while (samples.length < count) {
      const length = Math.min(count - samples.length, pageSize)
      const found = yield* read(key, from + samples.length, length)
      for (const sample of found) {
        if (sample === undefined) {
          if (samples.length > 0) return samples
          return yield* storeError(store, "get", damagedSample(rowOf(key, from)), key, from)
        }
        samples.push(sample)
      }
      if (found.length < length) return samples
    }
    return samples
  })
}

const isPositions = (value: unknown): value is ReadonlyArray<number> =>
  Array.isArray(value) && value.every(Number.isSafeInteger)

const isPath = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((name) => typeof name === "string")
