/** How many positions a request for so many samples keeps other draws from requesting. */
export const reservable = (samples: number): number => Math.min(samples, 10_000)

/** How many samples to ask for: the missing one, and those missing among the `batch - 1` positions from `start` on. */
export const missingBehind = (
  start: number,
  batch: number,
  countTaken: (start: number, end: number) => number
): number => batch - countTaken(start, start + batch - 1)
