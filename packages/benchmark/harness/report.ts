/**
 * Writes the results as JSON, as tables, and as the short table of the README.
 */
import { type Check, isMet } from "./checks.ts"
import type { Measured } from "./measure.ts"
import type { Case, Row, Unit } from "./row.ts"
import { type Spread, spread } from "./spread.ts"

/** A row as it is written. */
export interface Result {
  readonly name: string
  readonly title: string
  readonly operation: string
  readonly unit: Unit
  /** The reason not to run it. */
  readonly notRun?: string | undefined
  readonly note?: string | undefined
  readonly cases: ReadonlyArray<{
    readonly name: string
    readonly role: Case["role"]
    /** In the unit of the row. */
    readonly figures: Spread
    /** The figure of ours divided by that of this case. */
    readonly ratio: Spread | undefined
  }>
  readonly checks: ReadonlyArray<{
    readonly must: string
    readonly measured: number
    readonly unit: Check["unit"]
    readonly isMet: boolean
  }>
}

export const resultOf = (row: Row, measured: Measured): Result => ({
  name: row.name,
  title: row.title,
  operation: row.operation,
  unit: row.unit ?? "µs",
  note: row.note,
  cases: measured.cases.map((timed) => ({
    name: timed.name,
    role: timed.role,
    figures: spread(timed.rounds),
    ratio: timed === measured.ours ? undefined : measured.ratio(measured.ours, timed)
  })),
  checks: row.checks.map((check) => {
    const value = check.value(measured)
    return { must: check.must, measured: value, unit: check.unit, isMet: isMet(check, value) }
  })
})

export const notRun = ({ name, note, operation, title, unit = "µs" }: Row, why: string): Result => ({
  name,
  title,
  operation,
  unit,
  notRun: why,
  note,
  cases: [],
  checks: []
})

export const tableOf = ({ cases, checks, name, notRun, note, operation, title, unit }: Result): string => {
  const lines = [`### ${name}`, "", `${title}: ${unit} for ${operation}.`, ""]
  if (notRun === undefined) {
    lines.push("| case | | min | median | max | ours takes |", "| --- | --- | --: | --: | --: | --- |")
    for (const { figures: { max, median, min }, name, ratio, role } of cases) {
      lines.push(`| ${name} | ${role} | ${time(min)} | ${time(median)} | ${time(max)} | ${ratio ? times(ratio) : ""} |`)
    }
    lines.push("")
    for (const { isMet, measured, must, unit } of checks) {
      lines.push(`- ${isMet ? "met" : "MISSED"}: ${must}: ${time(measured)} ${unit}`)
    }
  } else {
    lines.push(`Not run: ${notRun}.`)
  }
  if (note !== undefined && (notRun !== undefined || checks.some(({ isMet }) => !isMet))) lines.push("", note)
  return `${lines.join("\n")}\n`
}

/** A line for each row: the time of ours, of the floor, and of the best of the others, and the missed checks. */
export const summaryOf = (results: ReadonlyArray<Result>): string => {
  const lines = [
    "| row | ours | floor | ours takes | best of the others | ours takes | checks |",
    "| --- | --: | --: | --: | --- | --: | --- |"
  ]
  for (const { cases, checks, name, notRun, title, unit } of results) {
    const [ours] = cases
    if (ours === undefined) {
      lines.push(`| ${title} | | | | | | not run: ${notRun} |`)
      continue
    }
    const floor = cases.find(({ role }) => role === "floor")
    const peers = cases.filter(({ role }) => role === "peer")
    const best = peers.toSorted((a, b) => a.figures.median - b.figures.median)[0]
    const missed = checks.filter(({ isMet }) => !isMet)
    const cells = [
      `${title} (\`${name}\`)`,
      `${time(ours.figures.median)} ${unit}`,
      floor ? `${time(floor.figures.median)} ${unit}` : "",
      floor?.ratio ? `${time(floor.ratio.median)} x` : "",
      best ? `${best.name}, ${time(best.figures.median)} ${unit}` : "",
      best?.ratio ? `${time(best.ratio.median)} x` : "",
      missed.length === 0
        ? "met"
        : `missed: ${missed.map(({ measured, must, unit }) => `${must} (${time(measured)} ${unit})`).join("; ")}`
    ]
    lines.push(`| ${cells.join(" | ")} |`)
  }
  return `${lines.join("\n")}\n`
}

const times = ({ max, median, min }: Spread): string => `${time(median)} x (${time(min)} to ${time(max)})`

// Three digits.
const time = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(value < 0.01 ? 1 : 3)
