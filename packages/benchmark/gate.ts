/**
 * What a change must not slow down: the ratios of the rows that are stable, each the best of three quick runs, with slack.
 * No time of a clock is looked at, so that it does not matter which machine it runs on, or what else does.
 */
import { type Check, isMet } from "./harness/checks.ts"
import { measure } from "./harness/measure.ts"
import type { Row } from "./harness/row.ts"

const runs = 3

/** Says what each gated row comes to, and returns the names of those that miss. */
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
