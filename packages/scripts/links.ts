/** Checks that relative links of the documentation lead to a file, and to a heading of it. Fails if the README is too long. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { root } from "./published.ts"

/** The README fits on two screens, the rest is in `docs`. */
const mostLinesOfReadme = 180

process.chdir(root)
const files = Fs.globSync(["*.md", "llms.txt", "docs/**/*.md", "examples/*.md", "packages/*/README.md"])
const proseOf = (file: string) => Fs.readFileSync(file, "utf8").replaceAll(/^```[\s\S]*?^```$/gm, "")

/** The anchors that GitHub gives to the headings. */
const anchorsOf = (file: string): ReadonlySet<string> =>
  new Set(
    [...proseOf(file).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading!.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
    )
  )

const problems: Array<string> = []
let links = 0
for (const file of files) {
  for (const [, link] of proseOf(file).matchAll(/(?:\]\(|srcset="|src=")([^)"]+)[)"]/g)) {
    if (/^[a-z]+:/.test(link!)) continue
    links++
    const [path = "", anchor] = link!.split("#")
    const target = path === "" ? file : Path.join(Path.dirname(file), path)
    if (!Fs.existsSync(target)) problems.push(`${file}: ${link} does not exist`)
    else if (anchor !== undefined) {
      const page = Fs.statSync(target).isDirectory() ? Path.join(target, "README.md") : target
      if (!anchorsOf(page).has(anchor)) problems.push(`${file}: ${link} names no heading`)
    }
  }
}

const lines = Fs.readFileSync("README.md", "utf8").trimEnd().split("\n").length
if (lines > mostLinesOfReadme) problems.push(`README.md has ${lines} lines, at most ${mostLinesOfReadme} are allowed`)

problems.forEach((problem) => console.error(problem))
console.log(`${links} links in ${files.length} files; README.md has ${lines} lines`)
process.exitCode = problems.length === 0 ? 0 : 1
