import { fromId, type Identity } from "@llm-cache/core/Identity"
import type { Key } from "@llm-cache/core/Key"
import type { Drawn, Entry } from "@llm-cache/core/Sample"
import type { Listed, ListedIdentity } from "@llm-cache/core/SampleStore"
import * as StoreRow from "@llm-cache/core/StoreRow"
import * as Crypto from "node:crypto"

/** A row in the form of `Statement.values`. */
export type Row = ReadonlyArray<unknown>

// -----------------------------------------------------------------------------
// values
// -----------------------------------------------------------------------------

// PostgreSQL's texts cannot hold a NUL. If a free text of a row has one, the row stores all its free texts as JSON.
const encodingOf = (...texts: ReadonlyArray<string | undefined>): "plain" | "json" =>
  texts.every((text) => text === undefined || (!text.includes("\0") && text.isWellFormed())) ? "plain" : "json"

const encodeText = (text: string, encoding: "plain" | "json"): string =>
  encoding === "plain" ? text : JSON.stringify(text)

const decodeText = (value: unknown, encoding: unknown): string | undefined => {
  if (encoding !== "plain" && encoding !== "json") return undefined
  const text = encoding === "plain" ? value : StoreRow.parseJson(value)
  return typeof text === "string" ? text : undefined
}

const sha256 = (text: string): string => Crypto.hash("sha256", text, "hex")

// -----------------------------------------------------------------------------
// keys
// -----------------------------------------------------------------------------

/** The hash of an identity in the tables. */
export const digestOfIdentity = (identity: Identity): string => sha256(identity.id)

/** The name of a key in the tables. */
export const digestOfKey = ({ identity, path, prompt }: Key): string =>
  sha256(JSON.stringify([identity.id, path, prompt]))

export const encodeKey = (key: Key, digest: string) => {
  const encoding = encodingOf(key.prompt)
  return {
    key_sha256: digest,
    identity_sha256: digestOfIdentity(key.identity),
    prompt_sha256: key.promptHash,
    identity_id: key.identity.id,
    fork_path: JSON.stringify(key.path),
    prompt: encodeText(key.prompt, encoding),
    encoding
  }
}

/** The columns of `decodeKey`, in order. */
export const keyColumns = "key_sha256, prompt_sha256, identity_id, fork_path, prompt, encoding"

/** The key in a row of `keyColumns` and a count of its samples, `undefined` if the row is damaged. */
export const decodeKey = ([digest, , identityId, path, prompt, encoding, samples]: Row): Listed | undefined => {
  const key = StoreRow.decodeKey(identityId, StoreRow.parseJson(path), decodeText(prompt, encoding))
  return key !== undefined && digestOfKey(key) === digest ? { key, samples: Number(samples) } : undefined
}

/** The counts of an identity, `undefined` if the row is damaged. */
export const decodeIdentity = (
  [id, prompts, samples, forks, inputTokens, outputTokens, last]: Row
): ListedIdentity | undefined => {
  const identity = typeof id === "string" ? fromId(id) : undefined
  return identity && {
    identity,
    prompts: Number(prompts),
    samples: Number(samples),
    forks: Number(forks),
    inputTokens: Number(inputTokens),
    outputTokens: Number(outputTokens),
    last: last === null ? undefined : Number(last)
  }
}

// -----------------------------------------------------------------------------
// samples
// -----------------------------------------------------------------------------

/** The columns of `decodeSample`, in order. Before version 2, the table `s` may not have `metadata`. */
export const sampleColumns = (version: number): string => {
  const columns = version < 2 ? [...StoreRow.columns.slice(0, -1), "to_jsonb(s) ->> 'metadata'"] : StoreRow.columns
  return `sample, ${columns.join(", ")}, encoding`
}

export const encodeSample = ({ drawn, id, position }: Entry, digest: string) => {
  const { finishReason, model, request } = drawn.metadata
  const encoding = encodingOf(drawn.text, id, request, model, finishReason)
  const [sample, ...values] = StoreRow.encode(drawn, (text) => encodeText(text, encoding))
  return {
    key_sha256: digest,
    position,
    entry_id: id === undefined ? null : encodeText(id, encoding),
    sample,
    encoding,
    ...Object.fromEntries(StoreRow.columns.map((column, i) => [column, values[i]]))
  }
}

/** The sample in a row of `sampleColumns`, `undefined` if the row is damaged. */
export const decodeSample = (row: Row): Drawn | undefined => {
  const encoding = row[StoreRow.columns.length + 1]
  return StoreRow.decode(row, (value) => decodeText(value, encoding))
}

/** The id of the entry in a row. */
export const decodeId = (value: unknown, encoding: unknown): string | undefined =>
  value === null ? undefined : decodeText(value, encoding)
