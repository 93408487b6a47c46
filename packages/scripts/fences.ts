/**
 * Type-checks every `ts` fence of the docs and of the JSDoc comments, each as a module of its own, and runs those that state
 * values (see `statedValues.ts`) against a scripted model. Failures name the line in the documentation.
 */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fencesOf } from "./fences/fence.ts"
import { runFence } from "./fences/run.ts"
import { root } from "./published.ts"

const sources = [
  "*.md",
  "docs/**/*.md",
  "packages/*/README.md",
  "packages/*/src/**/*.ts"
]

process.chdir(root)
const fences = Fs.globSync(sources).sort().flatMap(fencesOf)
if (fences.length === 0) throw new Error("found no fence at all")

// Not in `node_modules`: Node strips no types there.
const folder = Path.join(root, "packages/scripts/dist/fences")
Fs.rmSync(folder, { recursive: true, force: true })
Fs.mkdirSync(folder, { recursive: true })
fences.forEach(({ code }, i) => Fs.writeFileSync(`${folder}/${i}.mts`, code))
Fs.writeFileSync(
  `${folder}/tsconfig.json`,
  JSON.stringify({
    extends: "../../../../tsconfig.base.json",
    compilerOptions: { declaration: false, declarationMap: false, incremental: false, noUnusedLocals: false },
    files: fences.map((_, i) => `${i}.mts`)
  })
)

const { status, stdout, stderr } = ChildProcess.spawnSync(
  "node_modules/.bin/tsc",
  ["--project", folder, "--pretty", "false"],
  { encoding: "utf8" }
)
process.stderr.write(stderr)
process.stdout.write(stdout.replaceAll(/^.*?(\d+)\.mts\((\d+),(\d+)\)/gm, (_, index, line, column) => {
  const fence = fences[Number(index)]!
  return `${fence.source}:${fence.line + Number(line)}:${fence.column + Number(column)}`
}))

let values = 0
let ran = 0
const failures: Array<string> = []
for (const [i, fence] of fences.entries()) {
  const outcome = await runFence(fence, `${folder}/${i}.run.mts`)
  values += outcome.values
  ran += outcome.values > 0 ? 1 : 0
  failures.push(...outcome.failures)
}
failures.forEach((failure) => console.log(failure))

const isGood = status === 0 && failures.length === 0
console.log(`${fences.length} fences; ran ${ran} and compared ${values} values${isGood ? "" : ", with errors"}`)
process.exitCode = isGood ? 0 : 1
