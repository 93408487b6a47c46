import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import type { IdentityFields } from "./fields.ts"

const counts = new Intl.NumberFormat("en")

/** A count with separators, empty if it is unknown. */
export const count = (n: number | null | undefined): string => n === null || n === undefined ? "" : counts.format(n)

/** `1 sample`, `2 samples`. */
export const plural = (n: number, noun: string): string => `${count(n)} ${noun}${n === 1 ? "" : "s"}`

const units = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000]] as const

/** `2 hours ago`, or the date of something older than a month. */
export const ago = (iso: string | null, now: number): string => {
  if (iso === null) return ""
  const elapsed = now - Date.parse(iso)
  if (elapsed < 0 || elapsed >= 30 * 86_400_000) return iso.slice(0, 10)
  const unit = units.find(([, length]) => elapsed >= length)
  return unit === undefined ? "just now" : `${plural(Math.floor(elapsed / unit[1]), unit[0])} ago`
}

/** Milliseconds since the epoch as ISO 8601, for JSON. */
export const isoTime = (time: number | undefined): string | null =>
  time === undefined ? null : Option.getOrNull(Option.map(DateTime.make(time), DateTime.formatIso))

/** An identity in one text, such as `gpt-4o, t=1`. */
export const modelLabel = ({ model, parameters, temperature }: IdentityFields): string => {
  const others = JSON.stringify(parameters)
  return `${model}${temperature === null ? "" : `, t=${temperature}`}${others === "{}" ? "" : `, ${others}`}`
}

/** The names of forks in one text, such as `trial-3/inner`. A `/` or `%` in a name is percent-encoded. */
export const forkLabel = (path: ReadonlyArray<string>): string =>
  path.map((name) => name.replaceAll("%", "%25").replaceAll("/", "%2F")).join("/")

/** Ascending positions as ranges, such as `0-9,12`. */
export const ranges = (positions: ReadonlyArray<number>): string => {
  const found: Array<string> = []
  for (let i = 0; i < positions.length;) {
    const start = i++
    while (i < positions.length && positions[i] === positions[i - 1]! + 1) i++
    found.push(i - start === 1 ? `${positions[start]}` : `${positions[start]}-${positions[i - 1]}`)
  }
  return found.join(",")
}
