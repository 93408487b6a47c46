/**
 * Type-checks every `ts` fence of the docs and of the JSDoc comments, each as a module of its own. Errors are reported
 * where the fence stands.
 */
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import { root } from "./published.ts"

const sources = [
  "README.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "docs/**/*.md",
  "packages/*/README.md",
  "packages/*/src/**/*.ts"
]

interface Fence {
  readonly source: string
  /** The line before its first. */
  readonly line: number
  /** How far it is indented. */
  readonly column: number
  readonly code: string
}

const fencesOf = (source: string): Array<Fence> => {
  const opening = source.endsWith(".md") ? /^\s*```(?:ts|typescript)\b/ : /^\s*\* ?```(?:ts|typescript)\b/
  const lines = Fs.readFileSync(source, "utf8").split("\n")
  const fences: Array<Fence> = []
  for (let start = 0; start < lines.length; start++) {
    if (!opening.test(lines[start]!)) continue
    const column = lines[start]!.indexOf("```")
    const end = lines.findIndex((line, i) => i > start && line.slice(column).startsWith("```"))
    if (end === -1) throw new Error(`${source}:${start + 1}: this fence does not end`)
    const code = lines.slice(start + 1, end).map((line) => line.slice(column)).join("\n")
    fences.push({ source, line: start + 1, column, code })
    start = end
  }
  return fences
}

process.chdir(root)
const fences = Fs.globSync(sources).sort().flatMap(fencesOf)
if (fences.length === 0) throw new Error("found no fence at all")

const folder = "packages/scripts/node_modules/.cache/fences"
Fs.rmSync(folder, { recursive: true, force: true })
Fs.mkdirSync(folder, { recursive: true })
fences.forEach(({ code }, i) => Fs.writeFileSync(`${folder}/${i}.mts`, code))
Fs.writeFileSync(
  `${folder}/tsconfig.json`,
  JSON.stringify({
    extends: "../../../../../tsconfig.base.json",
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
console.log(`${fences.length} fences${status === 0 ? "" : ", with errors"}`)
process.exitCode = status ?? 1
