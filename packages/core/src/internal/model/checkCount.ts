import * as Effect from "effect/Effect"
import { InvalidInput } from "../../InvalidInput.ts"

/** The error for a count that is no whole number of at least `least`, `undefined` for a valid one. */
export const invalidCount = (module: string, name: string, count: number, least = 1): InvalidInput | undefined =>
  Number.isSafeInteger(count) && count >= least
    ? undefined
    : new InvalidInput({ module, description: `${name} is ${count}: give a whole number of at least ${least}` })

export const checkCount = (
  module: string,
  name: string,
  count: number,
  least?: number
): Effect.Effect<void, InvalidInput> => {
  const invalid = invalidCount(module, name, count, least)
  return invalid === undefined ? Effect.void : Effect.fail(invalid)
}
