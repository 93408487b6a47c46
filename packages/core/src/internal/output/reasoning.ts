import type { Node } from "./spec.ts"

/** A tag around reasoning. */
export interface ReasoningTag {
  readonly name: string
  readonly isClosing: boolean
  readonly start: number
  readonly end: number
}

// The templates and the documented outputs of DeepSeek-R1, Qwen3 and Seed-OSS; of Claude's prompting guide; and of
// Magistral, Kimi, Command A and OpenThinker.
const tags = new RegExp(
  [
    /<(\/?)(think|thinking|thoughts?|reasoning|reflection|analysis|scratchpad|antthinking|seed:think)(?:\s[^<>]*)?>/,
    /\[(\/?)(THINK)\]/,
    /◁(\/?)(think)▷/,
    /<\|(?:START|(END))_(THINKING)\|>/,
    /<\|(?:begin|(end))_of_(thought)\|>/
  ].map(({ source }) => source).join("|"),
  "gi"
)

const quotes = ["``", "''", "\"\"", "“”", "‘’", "«»"]

/** The tags of reasoning in a text, except the names that a spec asks for. A tag in quotes is only named. */
export const reasoningTags = (text: string, asked: ReadonlySet<string>): ReadonlyArray<ReasoningTag> => {
  const found: Array<ReasoningTag> = []
  for (const match of text.matchAll(tags)) {
    const [tag] = match
    const start = match.index
    const end = start + tag.length
    const isNamed = quotes.includes(`${text[start - 1]}${text[end]}`)
    if (isNamed || tag.endsWith("/>") || tag.startsWith("[") && tag !== tag.toUpperCase()) continue
    const form = match.findIndex((group, i) => i > 0 && i % 2 === 0 && group !== undefined)
    const name = match[form]!.toLowerCase()
    if (form === 2 && asked.has(name)) continue
    found.push({ name: `${name} ${form}`, isClosing: !!match[form - 1], start, end })
  }
  return found
}

/** The names of all tags of a spec, in lower case. */
export const tagNames = (node: Node, names = new Set<string>()): ReadonlySet<string> => {
  if (node._tag === "Sequence") node.parts.forEach((part) => tagNames(part, names))
  else if (node._tag === "Repeat") tagNames(node.item, names)
  else if (node._tag === "Tag") {
    names.add(node.open.slice(1, -1).toLowerCase())
    if (node.content !== undefined) tagNames(node.content, names)
  }
  return names
}
