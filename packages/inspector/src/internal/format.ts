import type { Identity } from "@llm-cache/core/Identity"
import * as Crypto from "node:crypto"
import { excerpt } from "./visible.ts"

const counts = new Intl.NumberFormat("en")

export const count = (n: number): string => counts.format(n)

/** `1 sample`, `2 samples`. */
export const plural = (n: number, noun: string): string =>
  `${count(n)} ${n === 1 ? noun : noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`}`

const units = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000]] as const

/** `2 hours ago`, or the date of something older than a month. */
export const ago = (time: number, now: number): string => {
  const elapsed = now - time
  if (elapsed < 0 || elapsed >= 30 * 86_400_000) return isoTime(time).slice(0, 10)
  const unit = units.find(([, length]) => elapsed >= length)
  return unit === undefined ? "just now" : `${plural(Math.floor(elapsed / unit[1]), unit[0])} ago`
}

// @effect-diagnostics-next-line globalDate:off
export const isoTime = (time: number): string => Number.isFinite(time) ? new Date(time).toISOString() : ""

/** `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 13 min`. */
export const duration = (milliseconds: number): string => {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`
  const seconds = milliseconds / 1000
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const two = (n: number) => String(Math.floor(n)).padStart(2, "0")
  return seconds < 3600
    ? `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`
    : `${Math.floor(seconds / 3600)} h ${two(seconds / 60 % 60)} min`
}

/** An identity in one text, such as `gpt-4o, t=1`, or `gpt-4o, chat` for whole requests of the server's chat protocol. */
export const modelLabel = ({ name, parameters, temperature }: Identity): string => {
  const { "llm-cache": protocol, ...others }: { readonly [name: string]: unknown } = JSON.parse(parameters)
  return [
    name,
    ...temperature === undefined ? [] : [`t=${temperature}`],
    ...typeof protocol === "string" ? [protocol] : [],
    ...Object.keys(others).length === 0 ? [] : [excerpt(JSON.stringify(others), 60)]
  ].join(", ")
}

/** The names of forks in one text, such as `trial-3/inner`. A `/` or `%` in a name is percent-encoded. */
export const forkLabel = (path: ReadonlyArray<string>): string =>
  path.map((name) => name.replaceAll("%", "%25").replaceAll("/", "%2F")).join("/")

/** A `forkLabel` for readers. `Fork.forEach` names forks by numbers, which could be positions. */
export const forkName = (path: ReadonlyArray<string>): string =>
  /^[\d/]+$/.test(forkLabel(path)) ? `fork ${forkLabel(path)}` : forkLabel(path)

/** The names of forks of `forkLabel`. */
export const forkPath = (label: string): ReadonlyArray<string> =>
  label === "" ? [] : label.split("/").map((name) => name.replaceAll("%2F", "/").replaceAll("%25", "%"))

/** A short name of an identity, for URLs. */
export const identityKey = (identity: Identity): string =>
  Crypto.createHash("sha256").update(identity.id).digest("hex").slice(0, 12)

/** Ascending positions as ranges, such as `0–9, 12`. */
export const ranges = (positions: ReadonlyArray<number>): string => {
  const found: Array<string> = []
  for (let i = 0; i < positions.length;) {
    const start = i++
    while (i < positions.length && positions[i] === positions[i - 1]! + 1) i++
    found.push(i - start === 1 ? `${positions[start]}` : `${positions[start]}–${positions[i - 1]}`)
  }
  return found.join(", ")
}

/** A, B, …, Z, AA, … */
export const letters = (n: number): string =>
  (n < 26 ? "" : letters(Math.floor(n / 26) - 1)) + String.fromCharCode(65 + n % 26)

const timeOfRun = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)-(\d{3})Z?-/

/** The name of a run, and when it started, by the name of its file. */
export const nameOfRun = (id: string): string => id.replace(timeOfRun, "") || id

export const startOfRun = (id: string): number => {
  const [, day, hour, minute, second, milli] = timeOfRun.exec(id) ?? []
  return day === undefined ? Number.NaN : Date.parse(`${day}T${hour}:${minute}:${second}.${milli}Z`)
}
