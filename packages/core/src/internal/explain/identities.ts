import type { FieldDifference } from "../../Explain.ts"
import type { Identity, Json } from "../../Identity.ts"
import type { Listed } from "../../SampleStore.ts"
import { parseJson } from "../../StoreRow.ts"
import { canonical } from "../canonicalJson.ts"

/** The identities of keys, with their samples and their differences to another. The nearest comes first. */
export const others = (asked: Identity, found: ReadonlyArray<Listed>) => {
  const samples = new Map<string, { readonly identity: Identity; samples: number }>()
  for (const { key: { identity }, samples: some } of found) {
    const known = samples.get(identity.id)
    if (known === undefined) samples.set(identity.id, { identity, samples: some })
    else known.samples += some
  }
  return Array.from(samples.values(), (one) => ({ ...one, differences: fieldDifferences(one.identity, asked) }))
    .sort((a, b) => a.differences.length - b.differences.length)
}

const fieldDifferences = (stored: Identity, asked: Identity): ReadonlyArray<FieldDifference> => {
  const fields = ({ name, parameters, temperature }: Identity): { readonly [field: string]: Json | undefined } => ({
    ...parseJson(parameters) as { readonly [name: string]: Json },
    model: name,
    temperature
  })
  const [one, other] = [fields(stored), fields(asked)]
  return [...new Set(["model", "temperature", ...Object.keys(one), ...Object.keys(other)])].flatMap((field) =>
    jsonOf(one[field]) === jsonOf(other[field]) ? [] : [{ field, stored: one[field], asked: other[field] }]
  )
}

/** A field as JSON. */
export const jsonOf = (value: Json | undefined): string | undefined =>
  value === undefined ? undefined : canonical(value)

/** The five identities with the most similar names: they share most pairs of characters. */
export const nearestNames = (asked: Identity, identities: ReadonlyArray<Identity>): ReadonlyArray<Identity> => {
  const pairs = (name: string) => new Set(Array.from({ length: name.length - 1 }, (_, i) => name.slice(i, i + 2)))
  const wanted = pairs(asked.name.toLowerCase())
  const likeness = ({ name }: Identity) => {
    const own = pairs(name.toLowerCase())
    return [...own].filter((pair) => wanted.has(pair)).length * 2 / Math.max(1, own.size + wanted.size)
  }
  return identities.map((identity) => ({ identity, likeness: likeness(identity) }))
    .sort((a, b) => b.likeness - a.likeness)
    .slice(0, 5)
    .map(({ identity }) => identity)
}
