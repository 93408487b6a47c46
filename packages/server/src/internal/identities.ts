import * as Identity from "@llm-cache/core/Identity"
import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as Effect from "effect/Effect"
import type { NormalForm } from "../Protocol.ts"

/** How many identities are kept. */
const most = 1000

/** The identity of a request. */
export type IdentityOf = (model: string, form: NormalForm) => Effect.Effect<Identity.Identity, InvalidInput>

/** Gives equal identities as one object: stores keep their knowledge of an identity by its object, and runs keep the object. */
export const makeIdentities = (): IdentityOf => {
  const identities = new Map<string, Identity.Identity>()
  return (model, { parameters, temperature }) =>
    Effect.map(Identity.make({ model, temperature, parameters }), (identity) => {
      const first = identities.get(identity.id)
      if (first !== undefined) return first
      if (identities.size === most) identities.clear()
      identities.set(identity.id, identity)
      return identity
    })
}
