import type { Node } from "../../src/internal/output/spec.ts"

/** The value of a text, or the path of the first part that it lacks. It supports all specs but JSON. */
export type Read = { readonly value: unknown } | { readonly path: ReadonlyArray<number> }

interface Block {
  readonly start: number
  readonly end: number
  readonly info: string
  readonly body: string | undefined
}

/** The meaning of `Output.parse` without care for speed: it starts each search over. All lines end with a line feed. */
export const readSlowly = (node: Node, text: string): Read => {
  const blocks: Array<Block> = []
  const fence = /^( {0,3})(?:(`{3,})([^`\n]*)|(~{3,})([^\n]*))(?:\n|$)/gm
  for (let opener; (opener = fence.exec(text)) !== null;) {
    const marker = (opener[2] ?? opener[4])!
    const from = fence.lastIndex
    const closing = new RegExp(`^ {0,3}${marker}${marker[0]}*[ \t]*(?:\n|$)`, "gm")
    closing.lastIndex = from
    const closer = from === text.length && !text.endsWith("\n") ? null : closing.exec(text)
    const end = closer === null ? text.length : closing.lastIndex
    const body = closer === null ? undefined : text.slice(from, closer.index).replace(/\n$/, "")
      .replaceAll(new RegExp(`^ {0,${opener[1]!.length}}`, "gm"), "")
    blocks.push({ start: opener.index, end, info: (opener[3] ?? opener[5])!.trim(), body })
    fence.lastIndex = end
    if (end === text.length) break
  }
  const find = (token: string, from: number): number => {
    for (let at = text.indexOf(token, from); at !== -1; at = text.indexOf(token, at + 1)) {
      if (!blocks.some(({ end, start }) => start <= at && at < end)) return at
    }
    return Infinity
  }
  const begins = (leaf: Node, from: number): number => {
    if (leaf._tag === "Tag") return find(leaf.open, from)
    if (leaf._tag !== "Code") throw new Error("not among the specs")
    return blocks.find(({ info, start }) =>
      start >= from && (leaf.language === undefined || info.split(/\s/)[0]!.toLowerCase() === leaf.language)
    )?.start ?? Infinity
  }
  const hides = (from: number, limit: number): boolean =>
    blocks.some(({ body, start }) => body === undefined && start >= from && start <= limit)

  let position = 0
  const run = (node: Node, heads: ReadonlyArray<Node>, path: ReadonlyArray<number>): Read => {
    const limit = Math.min(...heads.map((head) => begins(head, position)))
    const fails = { path }
    switch (node._tag) {
      case "Tag": {
        const start = begins(node, position)
        if (start > limit || start === Infinity) return fails
        const from = start + node.open.length
        const to = find(node.close, from)
        if (to === Infinity) return fails
        position = to + node.close.length
        return { value: text.slice(from, to).replace(/^\n/, "").replace(/\n$/, "") }
      }
      case "Code": {
        const start = begins(node, position)
        if (start > limit || start === Infinity) return fails
        const block = blocks.find((block) => block.start === start)!
        if (block.body === undefined) return fails
        position = block.end
        return { value: block.body }
      }
      case "Text": {
        const value = text.slice(position, Math.min(limit, text.length))
        position += value.length
        return { value }
      }
      case "Sequence": {
        const values: Array<unknown> = []
        for (const [i, part] of node.parts.entries()) {
          const read = run(part, heads, [...path, i])
          if ("path" in read) return read
          values.push(read.value)
        }
        return { value: values }
      }
      case "Repeat": {
        const values: Array<unknown> = []
        const limitHere = () => Math.min(...heads.map((head) => begins(head, position)))
        while (begins(node.head, position) < limitHere()) {
          const read = run(node.item, [...heads, node.head], [...path, values.length])
          if ("path" in read) return read
          values.push(read.value)
        }
        return hides(position, limitHere()) ? fails : { value: values }
      }
      case "Json":
        throw new Error("not among the specs")
    }
  }
  return run(node, [], [])
}
