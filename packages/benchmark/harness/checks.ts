/**
 * The limits of a row, as checks of the figures of one run.
 */
import type { Measured } from "./measure.ts"
import type { Unit } from "./row.ts"
import { spread } from "./spread.ts"

export interface Check {
  readonly must: string
  /** A ratio or a figure, which must be at most, or at least, the limit. */
  readonly value: (measured: Measured) => number
  readonly limit: number
  readonly bound: "at most" | "at least"
  readonly unit: "x" | Unit
}

export const isMet = ({ bound, limit }: Check, value: number): boolean =>
  bound === "at most" ? value <= limit : value >= limit

/** At most so many times the time of another case; of the first case, unless another one is named. */
export const atMost = (limit: number, other: string, one?: string): Check => ({
  must: `${one === undefined ? "" : `${one}: `}at most ${limit} x ${other}`,
  value: (measured) => {
    const ours = one === undefined ? measured.ours : measured.named(one)
    return measured.ratio(ours, measured.named(other)).median
  },
  limit,
  bound: "at most",
  unit: "x"
})

/** So many times as fast as another case. */
export const fasterThan = (other: string, limit: number, one?: string): Check => ({
  must: `${one === undefined ? "" : `${one}: `}${
    limit === 1 ? "faster than" : `at least ${limit} x as fast as`
  } ${other}`,
  value: (measured) => {
    const ours = one === undefined ? measured.ours : measured.named(one)
    return measured.ratio(measured.named(other), ours).median
  },
  limit,
  bound: "at least",
  unit: "x"
})

/** At most so many microseconds an operation, only on a machine of the same class; or so much of another unit. */
export const within = (limit: number, why = "", unit: Unit = "µs"): Check => ({
  must: `at most ${limit} ${unit}${why}`,
  value: (measured) => spread(measured.ours.rounds).median,
  limit,
  bound: "at most",
  unit
})

/** At most so many microseconds more than another case. */
export const above = (limit: number, other: string, one?: string): Check => ({
  must: `${one === undefined ? "" : `${one}: `}at most ${limit} µs more than ${other}`,
  value: (measured) => {
    const rest = measured.named(other).rounds
    const ours = one === undefined ? measured.ours : measured.named(one)
    return spread(ours.rounds.map((time, i) => time - rest[i]!)).median
  },
  limit,
  bound: "at most",
  unit: "µs"
})

/** Faster than the Python original, measured in another run on a machine of this class. */
export const fasterThanOriginal = (microseconds: number, times = 1): Check =>
  within(
    Math.round(microseconds / times * 10) / 10,
    ` (the Python original, measured apart: ${microseconds} µs${times === 1 ? "" : `; ${times} x as fast`})`
  )
