import { ambiguous, type Block, type Fence, fenceOf, mayGoOn, openerAt } from "./fences.ts"
import { inlineCodeOf } from "./inlineCode.ts"
import { type ReasoningTag, reasoningTags } from "./reasoning.ts"

export type { Block } from "./fences.ts"

/** The parts of a text that hide tags, each list in the order of the text. */
export interface Blocks {
  readonly fences: ReadonlyArray<Fence>
  /** Reasoning is read only by a spec that asks for it. */
  readonly reasoning: ReadonlyArray<Block>
  /** Fences and reasoning. */
  readonly large: ReadonlyArray<Block>
  /** Fences, reasoning and inline code. */
  readonly all: ReadonlyArray<Block>
}

interface Reasoning extends Block {
  readonly name: string
  /** How many opening tags it holds beyond its own: as many closing tags behind it may still belong to it. */
  readonly opened: number
}

/** Finds fences, reasoning and inline code. A closing tag of reasoning without its opening tag ends reasoning from the start. */
export const blocksOf = (text: string, asked: ReadonlySet<string>): Blocks => {
  const tags = reasoningTags(text, asked)
  const fences: Array<Fence> = []
  const reasoning: Array<Reasoning> = []
  let next = 0
  let at = 0
  let lineEnd = -1

  const close = (tag: ReasoningTag): void => {
    const last = reasoning.at(-1)
    const continues = last !== undefined && last.opened > 0 && last.name === tag.name
    const start = continues ? last.start : 0
    while (fences.length > 0 && fences.at(-1)!.start >= start) fences.pop()
    while (reasoning.length > 0 && reasoning.at(-1)!.start >= start) reasoning.pop()
    reasoning.push({ start, end: tag.end, name: tag.name, opened: continues ? last.opened - 1 : 0 })
    at = tag.end
  }

  const open = (tag: ReasoningTag): void => {
    let opened = 0
    let closing
    while ((closing = tags[next]) !== undefined && !(closing.isClosing && closing.name === tag.name)) {
      if (closing.name === tag.name) opened++
      next++
    }
    next++
    at = closing?.end ?? text.length
    reasoning.push({
      start: tag.start,
      end: at,
      name: tag.name,
      opened,
      problem: closing === undefined ? "reasoning that is not closed" : undefined
    })
  }

  // A line of code that is only a closing tag, and not in a pair, ends reasoning that broke off in its code.
  const endsInCode = () => {
    let opened = 0
    return (line: number, lineEnd: number): boolean => {
      for (let tag; (tag = tags[next]) !== undefined && tag.start < lineEnd; next++) {
        if (tag.start < line) continue
        if (!tag.isClosing) opened++
        else if (opened > 0) opened--
        else if (text.slice(line, lineEnd).trim() === text.slice(tag.start, tag.end)) return true
      }
      return false
    }
  }

  while (at < text.length) {
    if (lineEnd < at) {
      const lineBreak = text.indexOf("\n", at)
      lineEnd = lineBreak === -1 ? text.length : lineBreak
    }
    while (next < tags.length && tags[next]!.start < at) next++
    const tag = tags[next]
    const opener = openerAt(text, at, lineEnd)
    if (opener !== undefined && !(tag !== undefined && tag.start < opener.start)) {
      while (next < tags.length && tags[next]!.start < lineEnd) next++
      const fence = fenceOf(text, opener, lineEnd, endsInCode())
      if (fence === undefined) {
        close(tags[next++]!)
      } else {
        fences.push(fence)
        at = fence.end
        // The line of the closing marker may go on with tags.
        while (next > 0 && tags[next - 1]!.start >= at) next--
      }
      continue
    }
    if (tag === undefined || tag.start >= lineEnd) {
      at = lineEnd + 1
      continue
    }
    next++
    if (tag.isClosing) close(tag)
    else open(tag)
  }

  const unclear = fences.findIndex((fence, i) => i + 1 < fences.length && mayGoOn(fence, fences[i + 1]!.opener))
  if (unclear !== -1) {
    const fence = fences[unclear]!
    fence.end = text.length
    fence.problem = ambiguous
    fences.splice(unclear + 1)
    while (reasoning.length > 0 && reasoning.at(-1)!.start > fence.start) reasoning.pop()
  }
  const large = merge(fences, reasoning)
  return { fences, reasoning, large, all: withInlineCode(text, large) }
}

const merge = (one: ReadonlyArray<Block>, other: ReadonlyArray<Block>): ReadonlyArray<Block> => {
  if (other.length === 0) return one
  const merged: Array<Block> = []
  let i = 0
  for (const block of one) {
    while (i < other.length && other[i]!.start < block.start) merged.push(other[i++]!)
    merged.push(block)
  }
  while (i < other.length) merged.push(other[i++]!)
  return merged
}

const withInlineCode = (text: string, blocks: ReadonlyArray<Block>): ReadonlyArray<Block> => {
  const all: Array<Block> = []
  let from = 0
  let backtick = -1
  const gap = (to: number) => {
    if (backtick < from) backtick = text.indexOf("`", from)
    if (backtick === -1) backtick = Infinity
    if (backtick < to) inlineCodeOf(text, from, to, all)
  }
  for (const block of blocks) {
    gap(block.start)
    all.push(block)
    from = block.end
  }
  gap(text.length)
  return all
}
