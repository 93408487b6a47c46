import type { Block } from "./fences.ts"

const backtick = 96
const backslash = 92

interface Run {
  readonly start: number
  readonly length: number
  /** Whether a backslash takes its first backtick away, if it would open inline code. */
  readonly isEscaped: boolean
}

/**
 * Inline code, by CommonMark 0.31, section 6.1: from a run of backticks to the next run of the same length in its paragraph. A
 * paragraph also ends at a line that holds nothing but a tag.
 */
export const inlineCodeOf = (text: string, from: number, to: number, found: Array<Block>): void => {
  let runs: Array<Run> = []
  for (let line = from; line < to;) {
    const lineBreak = text.indexOf("\n", line)
    const lineEnd = lineBreak === -1 || lineBreak > to ? to : lineBreak
    if (endsParagraph(text, line, lineEnd)) {
      match(runs, found)
      runs = []
    } else {
      for (let at = line; at < lineEnd; at++) {
        if (text.charCodeAt(at) !== backtick) continue
        const start = at
        while (at < lineEnd && text.charCodeAt(at) === backtick) at++
        let escape = start
        while (escape > from && text.charCodeAt(escape - 1) === backslash) escape--
        runs.push({ start, length: at - start, isEscaped: (start - escape) % 2 === 1 })
      }
    }
    line = lineEnd + 1
  }
  match(runs, found)
}

const endsParagraph = (text: string, line: number, lineEnd: number): boolean => {
  let start = line
  while (start < lineEnd && text.charCodeAt(start) <= 32) start++
  return start === lineEnd || text[start] === "<" && /^<[^\s<>]+>\s*$/.test(text.slice(start, lineEnd))
}

const match = (runs: ReadonlyArray<Run>, found: Array<Block>): void => {
  if (runs.length < 2) return
  const closers: Array<number | undefined> = []
  const next = new Map<number, number>()
  for (let i = runs.length - 1; i >= 0; i--) {
    const { isEscaped, length } = runs[i]!
    closers[i] = next.get(isEscaped ? length - 1 : length)
    next.set(length, i)
  }
  for (let i = 0; i < runs.length;) {
    const closer = closers[i]
    if (closer !== undefined) found.push({ start: runs[i]!.start, end: runs[closer]!.start + runs[closer]!.length })
    i = (closer ?? i) + 1
  }
}
