import type { Identity } from "@llm-cache/core/Identity"
import type { Key } from "@llm-cache/core/Key"
import * as StoreRow from "@llm-cache/core/StoreRow"
import * as Crypto from "node:crypto"

/** A short name of a text. */
export const digest = (text: string): string => Crypto.hash("sha256", text, "hex").slice(0, 32)

// -----------------------------------------------------------------------------
// keys
// -----------------------------------------------------------------------------

/** The name of an identity. */
export const digestOfIdentity = (identity: Identity): string => digest(identity.id)

/** The value of the field `key`: the key without its identity. */
export const encodeKey = ({ path, prompt }: Key): string => JSON.stringify([prompt, ...path])

/** The key in a value, `undefined` if the value or the identity is damaged. */
export const decodeKey = (value: string | null, identityId: string | null): Key | undefined => {
  const parsed = value === null ? undefined : StoreRow.parseJson(value)
  const [prompt, ...path]: ReadonlyArray<unknown> = Array.isArray(parsed) ? parsed : []
  return StoreRow.decodeKey(identityId, path, typeof prompt === "string" ? prompt : undefined)
}

// -----------------------------------------------------------------------------
// samples
// -----------------------------------------------------------------------------

/** The value of the field of a position. */
export const encodeSample = StoreRow.toJson

/** The sample in a value, `undefined` if the value is damaged. */
export const decodeSample = StoreRow.fromJson

/** The name of an entry in the index of its sequence, empty if the entry has none. */
export const encodeId = (id: string | undefined): string => id === undefined ? "" : digest(id)
