import { visible } from "./visible.ts"

/** A cell or a line of Markdown, in which a text means itself. */
export const inline = (text: string): string =>
  visible(text).replaceAll(/[\\`*_{}[\]<>|#~]/g, (character) => `\\${character}`).replaceAll(/\s+/g, " ")

/** A text as it is, in a fence that is longer than those in it. */
export const fence = (text: string): string => {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), ([ticks]) => ticks.length))
  const ticks = "`".repeat(longest + 1)
  return `${ticks}text\n${visible(text)}\n${ticks}`
}

export const tableOf = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string | number>>): string =>
  [head, head.map(() => "---"), ...rows.map((row) => row.map((cell) => inline(String(cell))))]
    .map((row) => `| ${row.join(" | ")} |`)
    .join("\n")

/** Paragraphs of a page, without absent ones. */
export const document = (...parts: ReadonlyArray<string | false | undefined>): string =>
  `${parts.filter((part) => typeof part === "string").join("\n\n")}\n`
