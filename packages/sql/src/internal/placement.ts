import type { Entry } from "@llm-cache/core/Sample"

export interface Placement {
  /** The position of each entry, in the order of the entries, `undefined` for a dropped entry. */
  readonly positions: ReadonlyArray<number | undefined>
  /** The entries to store, at the positions that they get, in ascending order. */
  readonly fresh: ReadonlyArray<Entry>
}

/** Finds a position for each entry. `taken` has the taken positions, with the ids of their entries. */
export const placeEntries = (
  entries: ReadonlyArray<Entry>,
  ifTaken: "drop" | "append",
  taken: ReadonlyMap<number, string | undefined>
): Placement => {
  const fresh = new Map<number, Entry>()
  const positions = entries.map((entry) => {
    let { position } = entry
    for (;; position++) {
      const earlier = fresh.get(position)
      if (earlier === undefined && !taken.has(position)) break
      if (entry.id !== undefined && entry.id === (earlier === undefined ? taken.get(position) : earlier.id)) {
        return position
      }
      if (ifTaken === "drop") return undefined
    }
    fresh.set(position, { ...entry, position })
    return position
  })
  return { positions, fresh: [...fresh.values()].sort((a, b) => a.position - b.position) }
}
