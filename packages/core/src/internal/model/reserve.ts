/** How many positions a request for so many samples keeps other draws from requesting. */
export const reservable = (samples: number): number => Math.min(samples, 10_000)

/**
 * How many samples to ask for: the one at `first`, and those missing among the next `batch - 1` positions from `start`
 * on. After a request that brought too few, only the rest of it.
 */
export const missingBehind = (
  start: number,
  first: number,
  batch: number,
  owedEnd: number,
  countTaken: (start: number, end: number) => number
): number => {
  const owed = owedEnd - first
  const wanted = owed > 0 ? Math.min(owed, batch) : batch
  return wanted - countTaken(start, start + wanted - 1)
}

/** The end of the positions that a request was to fill, if it brought fewer samples; otherwise 0. */
export const owedEndOf = (positions: ReadonlyArray<number>, samples: number): number =>
  samples < positions.length ? positions.at(-1)! + 1 : 0
