import * as Identity from "@llm-cache/core/Identity"
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import { Key } from "@llm-cache/core/Key"
import * as Effect from "effect/Effect"
import type { NormalForm } from "../Protocol.ts"

/** How many identities are kept. */
const mostIdentities = 1000

/** How long the prompts are that are kept, in all, in UTF-16 code units. */
const mostText = 8 * 1024 * 1024

/** What a key takes beside its prompt, so that short prompts are counted too. */
const ofKey = 256

/** The key of a request. */
export type KeyOf = (model: string, form: NormalForm, forks: ReadonlyArray<string>) => Effect.Effect<Key, InvalidInput>

/**
 * Gives equal identities as one object, and equal prompts as one text: stores keep their knowledge of an identity by its object,
 * and each run keeps the prompts that it drew. A prompt that comes again is not hashed again.
 */
export const makeKeys = (): KeyOf => {
  const identities = new Map<string, Identity.Identity>()
  const keys = new Map<string, Key>()
  let text = 0

  const one = (identity: Identity.Identity): Identity.Identity => {
    const known = identities.get(identity.id)
    if (known !== undefined) return known
    if (identities.size === mostIdentities) identities.clear()
    identities.set(identity.id, identity)
    return identity
  }

  return (model, { parameters, prompt, temperature }, forks) =>
    Effect.map(Identity.make({ model, temperature, parameters }), (made) => {
      const identity = one(made)
      const known = keys.get(prompt)
      if (known?.identity === identity && isSame(known.path, forks)) return known
      const key = new Key(identity, known?.prompt ?? prompt, forks)
      if (known === undefined) {
        const length = prompt.length + ofKey
        if (length > mostText) return key
        if (text + length > mostText) {
          keys.clear()
          text = 0
        }
        text += length
      }
      keys.set(key.prompt, key)
      return key
    })
}

const isSame = (one: ReadonlyArray<string>, other: ReadonlyArray<string>): boolean =>
  one.length === other.length && one.every((name, i) => name === other[i])
