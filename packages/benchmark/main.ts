/**
 * Measures the library beside other libraries and beside the least code: `pnpm bench`. See README.md.
 *
 * - `--row NAME` runs one row, and can be given several times.
 * - `--quick` runs all with less time, for a look.
 * - `--gate` checks the stable ratios for CI, and fails if one misses its limit.
 */
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import { gate } from "./gate.ts"
import { measure } from "./harness/measure.ts"
import { notRun, type Result, resultOf, summaryOf, tableOf } from "./harness/report.ts"
import { rows } from "./rows/index.ts"

const { values } = parseArgs({
  options: {
    row: { type: "string", multiple: true, default: [] },
    quick: { type: "boolean", default: false },
    gate: { type: "boolean", default: false }
  }
})

const names = rows.map(({ name }) => name)
const unknown = values.row.find((name) => !names.includes(name))
if (unknown !== undefined) {
  console.error(`There is no row ${unknown}. There are: ${names.join(", ")}`)
  process.exit(1)
}
const chosen = values.row.length === 0 ? rows : rows.filter(({ name }) => values.row.includes(name))

if (values.gate) {
  const open = chosen.filter(({ slack }) => slack === undefined).map(({ name }) => name)
  if (values.row.length > 0 && open.length > 0) {
    console.error(`Not in the gate: ${open.join(", ")}. Give the row a \`slack\`, or leave out --gate`)
    process.exit(1)
  }
  const missed = await gate(chosen)
  if (missed.length > 0) console.error(`Too slow: ${missed.join(", ")}. \`pnpm bench --row NAME\` tells more`)
  process.exit(missed.length === 0 ? 0 : 1)
}

const results: Array<Result> = []
for (const row of chosen) {
  const why = row.notRun?.()
  const result = why === undefined ? resultOf(row, await measure(row, values.quick)) : notRun(row, why)
  console.log(tableOf(result))
  results.push(result)
}

const conditions = `${
  new Date().toISOString().slice(0, 10)
}, ${Os.availableParallelism()} cores, Node ${process.version}${values.quick ? ", quick" : ""}`
const summary = summaryOf(results)
console.log(summary)

const folder = Path.join(import.meta.dirname, "results")
Fs.mkdirSync(folder, { recursive: true })
// Only a whole run writes the table of record.
const file = Path.join(folder, values.row.length === 0 && !values.quick ? "all" : "part")
const title = "# Benchmark"
Fs.writeFileSync(`${file}.json`, `${JSON.stringify({ conditions, results }, undefined, 2)}\n`)
Fs.writeFileSync(
  `${file}.md`,
  `${title}\n\n${conditions}. "Ours takes" is the time of ours divided by the time of the other, in the median of the rounds.\n\n${summary}\n${
    results.map(tableOf).join("\n")
  }`
)
console.log(`Written to ${Path.relative(process.cwd(), file)}.md and .json`)
