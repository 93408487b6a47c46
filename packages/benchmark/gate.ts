/**
 * Guards the speed: it compares the stable ratios, each the best of three quick runs, with their limits and some slack.
 * It compares no times, so the machine and its load do not matter.
 */
import { type Check, isMet } from "./harness/checks.ts"
import { measure } from "./harness/measure.ts"
import type { Row } from "./harness/row.ts"

const runs = 3

/** Prints the ratios of each gated row, and returns the names of the rows that miss a limit. */
export const gate = async (rows: ReadonlyArray<Row>): Promise<ReadonlyArray<string>> => {
  const missed = new Set<string>()
  for (const row of rows) {
    if (row.slack === undefined) continue
    const measured = []
    for (let i = 0; i < runs; i++) measured.push(await measure(row, true))
    for (const check of row.checks) {
      if (check.unit !== "x") continue
      const loose = loosen(check, row.slack)
      const values = measured.map(check.value)
      const best = loose.bound === "at most" ? Math.min(...values) : Math.max(...values)
      const ok = isMet(loose, best)
      if (!ok) missed.add(row.name)
      console.log(
        `${ok ? "ok" : "MISSED"} ${row.name}: ${check.must}: ${best.toFixed(2)} x (the gate: ${loose.limit.toFixed(2)})`
      )
    }
  }
  return [...missed]
}

const loosen = (check: Check, slack: number): Check => ({
  ...check,
  limit: check.bound === "at most" ? check.limit * slack : check.limit / slack
})
