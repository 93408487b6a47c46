import type { Entry } from "@llm-cache/core/Sample"

/** Where entries go. */
export interface Arrangement {
  /** Where each entry will be, or is, in the order of the entries. */
  readonly positions: ReadonlyArray<number | undefined>
  /** Those that are to be stored, at the positions that they get, in ascending order. */
  readonly fresh: ReadonlyArray<Entry>
}

/** Finds a place for each of the entries among positions that are taken, each by the sample of an id. */
export const arrange = (
  entries: ReadonlyArray<Entry>,
  ifTaken: "drop" | "append",
  taken: ReadonlyMap<number, string | undefined>
): Arrangement => {
  const fresh = new Map<number, Entry>()
  const positions = entries.map((entry) => {
    let { position } = entry
    for (;; position++) {
      const own = fresh.get(position)
      if (own === undefined && !taken.has(position)) break
      if (entry.id !== undefined && entry.id === (own === undefined ? taken.get(position) : own.id)) return position
      if (ifTaken === "drop") return undefined
    }
    fresh.set(position, { ...entry, position })
    return position
  })
  return { positions, fresh: [...fresh.values()].sort((a, b) => a.position - b.position) }
}
