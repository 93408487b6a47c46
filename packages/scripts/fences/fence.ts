/** The `ts` fences of documentation and JSDoc comments. */
import * as Fs from "node:fs"

export interface Fence {
  readonly source: string
  /** The line before its first. */
  readonly line: number
  /** The number of characters before each of its lines. */
  readonly column: number
  readonly code: string
}

export const fencesOf = (source: string): Array<Fence> => {
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
