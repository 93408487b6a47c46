import type { Node } from "../../src/internal/output/spec.ts"

/** The value of a text, or the path of the first part that it lacks. The only reasoning is `<think>`. */
export type Read = { readonly value: unknown } | { readonly path: ReadonlyArray<number> }

interface Block {
  readonly kind: "fence" | "reasoning" | "inline"
  readonly start: number
  readonly end: number
  readonly isClosed: boolean
  readonly info: string
  readonly body: string
}

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

class Mistake extends Error {
  readonly at: number
  constructor(at: number) {
    super()
    this.at = at
  }
}

const stickyMatch = (pattern: RegExp, text: string, at: number): RegExpExecArray | null => {
  const sticky = new RegExp(pattern.source, "y")
  sticky.lastIndex = at
  return sticky.exec(text)
}

const opener = /((?: {0,3}<[^\s<>/]+>)*)( {0,3})(?:(`{3,})(?! *<\/)([^`\n]*)|(~{3,})(?!~| *<\/)([^\n]*))(?:\n|$)/

/** Fences and reasoning, found again and again from the last one. All lines end with a line feed. */
const largeBlocks = (text: string, readsThinking: boolean): Array<Block> => {
  const tags = readsThinking ?
    [] :
    [...text.matchAll(/<(\/?)think>/g)].filter(({ 0: tag, index }) =>
      !["``", "\"\""].includes(`${text[index - 1]}${text[index + tag.length]}`)
    ).map(({ 0: tag, index }) => ({ start: index, end: index + tag.length, isClosing: tag.startsWith("</") }))
  const reasoning = (start: number, end: number, isClosed = true): Block => ({
    kind: "reasoning",
    start,
    end,
    isClosed,
    info: "",
    body: ""
  })
  let blocks: Array<Block> = []
  let spare: Array<number> = []
  let at = 0
  const orphan = (end: number) => {
    const last = blocks.findLast(({ kind }) => kind === "reasoning")
    const left = spare.pop() ?? 0
    const start = left > 0 ? last!.start : 0
    blocks = [...blocks.filter((block) => block.start < start), reasoning(start, end)]
    spare = [Math.max(left - 1, 0)]
    at = end
  }
  search: while (at < text.length) {
    const tag = tags.find(({ start }) => start >= at)
    let line = at
    let open: RegExpExecArray | null = null
    while (line < text.length && (open = stickyMatch(opener, text, line)) === null) {
      const lineBreak = text.indexOf("\n", line)
      line = lineBreak === -1 ? text.length : lineBreak + 1
    }
    const start = open === null ? text.length : line + open[1]!.length
    if (tag !== undefined && tag.start < start) {
      if (tag.isClosing) {
        orphan(tag.end)
        continue
      }
      const closing = tags.find(({ isClosing, start }) => isClosing && start > tag.start)
      at = closing?.end ?? text.length
      spare = [tags.filter(({ isClosing, start }) => !isClosing && start > tag.start && start < at).length]
      blocks.push(reasoning(tag.start, at, closing !== undefined))
      continue
    }
    if (open === null) break
    const marker = (open[3] ?? open[5])!
    const info = (open[4] ?? open[6])!.trim()
    const bodyStart = line + open[0].length
    const indent = open[1] === "" ? open[2]!.length : 0
    const fence = (bodyEnd: number, end: number, isClosed: boolean): void => {
      const body = text.slice(bodyStart, bodyEnd).replaceAll(new RegExp(`^ {0,${indent}}`, "gm"), "")
      blocks.push({ kind: "fence", start, end, isClosed, info, body })
      at = end
    }
    let isAmbiguous = false
    let depth = 0
    let endsOfLine = 0
    for (let line = bodyStart; line < text.length;) {
      const lineEnd = text.indexOf("\n", line) === -1 ? text.length : text.indexOf("\n", line)
      const next = Math.min(lineEnd + 1, text.length)
      const content = text.slice(line, lineEnd)
      for (const tag of tags.filter(({ start }) => start >= line && start < lineEnd)) {
        if (tag.isClosing && depth === 0 && content.trim() === "</think>") {
          orphan(tag.end)
          continue search
        }
        depth = Math.max(0, depth + (tag.isClosing ? -1 : 1))
      }
      const run = new RegExp(`^ {0,3}${marker}${marker[0]}*`).exec(content)
      const behind = content.slice(run?.[0].length ?? 0).trim()
      const ending = new RegExp(`${marker}${marker[0]}*\\s*$`).exec(content)
      if (run !== null) {
        if (behind !== "" && !behind.startsWith("</")) isAmbiguous ||= marker[0] === "~" || !behind.includes("`")
        else if (!isAmbiguous) {
          const body = text.slice(bodyStart, line).replace(/\n$/, "")
          fence(bodyStart + body.length, behind === "" ? next : line + run[0].length, true)
          continue search
        }
      } else if (ending !== null && (info === "" || info === "json") && endsOfLine++ === 0) {
        const body = text.slice(bodyStart, line + ending.index)
        if (isJson(body)) {
          fence(line + ending.index, next, true)
          continue search
        }
      }
      line = lineEnd + 1
    }
    fence(text.length, text.length, false)
  }
  const fences = blocks.filter(({ kind }) => kind === "fence")
  const marker = ({ end, start }: Block) => /[`~]{3,}/.exec(text.slice(start, end))![0]
  const unclear = fences.find((fence, i) => {
    const next = fences[i + 1]
    return ["md", "markdown"].includes(fence.info) && next?.info === "" && marker(next).startsWith(marker(fence))
  })
  if (unclear === undefined) return blocks
  return [
    ...blocks.filter(({ start }) => start < unclear.start),
    { ...unclear, end: text.length, isClosed: false }
  ]
}

/** Inline code between blocks: each run of backticks is compared with all runs behind it in its paragraph. */
const inlineCode = (text: string, blocks: ReadonlyArray<Block>): Array<Block> => {
  const found: Array<Block> = []
  const gaps = [0, ...blocks.map(({ end }) => end)].map((start, i) => [start, blocks[i]?.start ?? text.length] as const)
  for (const [start, end] of gaps) {
    let offset = start
    let paragraph = ""
    const flush = () => {
      const from = offset - paragraph.length
      const runs = [...paragraph.matchAll(/`+/g)].map(({ 0: run, index }) => ({ length: run.length, at: from + index }))
      for (let i = 0; i < runs.length; i++) {
        const j = runs.findIndex(({ length }, j) => j > i && length === runs[i]!.length)
        if (j === -1) continue
        found.push({
          kind: "inline",
          start: runs[i]!.at,
          end: runs[j]!.at + runs[j]!.length,
          isClosed: true,
          info: "",
          body: ""
        })
        i = j
      }
      paragraph = ""
    }
    for (const line of text.slice(start, end).split(/(?<=\n)/)) {
      if (line.trim() === "" || /^<[^\s<>]+>$/.test(line.trim())) {
        flush()
        offset += line.length
      } else {
        paragraph += line
        offset += line.length
      }
    }
    flush()
  }
  return found
}

const languages: Record<string, string> = { javascript: "js" }

/** The meaning of `Output.parse` without care for speed: it starts each search over. */
export const readSlowly = (node: Node, text: string): Read => {
  const readsThinking = JSON.stringify(node).includes("<think>")
  return readIn(node, text, readsThinking)
}

const readIn = (node: Node, text: string, readsThinking: boolean): Read => {
  const blocks = largeBlocks(text, readsThinking)
  const hidden = [...blocks, ...inlineCode(text, blocks)]
  const fences = blocks.filter(({ kind }) => kind === "fence")
  const thoughts = blocks.filter(({ kind }) => kind === "reasoning")
  const visible = (from: number, to: number) =>
    text.slice(from, to).split("").filter((_, i) =>
      !thoughts.some(({ end, start }) => start <= from + i && from + i < end)
    )
      .join("")
  const find = (token: string, from: number): number => {
    for (let at = text.indexOf(token, from); at !== -1; at = text.indexOf(token, at + 1)) {
      if (!hidden.some(({ end, start }) => start <= at && at < end)) return at
    }
    return Infinity
  }
  const languageOf = ({ info }: Block) => {
    const word = info.split(/\s/)[0]!.toLowerCase()
    return languages[word] ?? word
  }
  const isOf = (leaf: Node, fence: Block): boolean =>
    leaf._tag === "Json"
      ? languageOf(fence) === "json" || fence.isClosed && fence.info === "" && isJson(fence.body)
      : leaf._tag === "Code" && (leaf.language === undefined || languageOf(fence) === leaf.language)
  const begins = (leaf: Node, from: number): number =>
    leaf._tag === "Tag"
      ? find(leaf.open, from)
      : fences.find((fence) => fence.start >= from && isOf(leaf, fence))?.start ?? Infinity
  const hides = (from: number, limit: number): boolean =>
    blocks.some(({ isClosed, start }) => !isClosed && start >= from && start <= limit)
  const isNaming = (from: number, to: number, end: number) =>
    from === to ? /^\s*(XML )?tags?\b/.test(text.slice(end)) : /^ ?(and|or|\.\.\.|…) ?$/.test(text.slice(from, to))

  /** The end of a JSON value, or the offset of its mistake with the open brackets there. */
  const jsonEnd = (
    at: number,
    to: number
  ): { readonly end: number } | { readonly at: number; readonly open: number } => {
    const closers: Array<string> = []
    const skip = (at: number) => at + /^[\t\n\r ]*/.exec(text.slice(at, to))![0].length
    const value = (at: number): number => {
      const from = skip(at)
      const scalar =
        /^(?:"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"|(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.]))/u
          .exec(text.slice(from, to))
      if (scalar !== null) return from + scalar[0].length
      const open = from < to ? text[from] : undefined
      if (open !== "{" && open !== "[") throw new Mistake(at)
      const closer = open === "{" ? "}" : "]"
      closers.push(closer)
      let end = from + 1
      for (let first = true;; first = false) {
        const next = skip(end)
        if (next < to && text[next] === closer) {
          closers.pop()
          return next + 1
        }
        if (!first) {
          if (next >= to || text[next] !== ",") throw new Mistake(end)
          end = next + 1
        }
        if (open === "{") {
          const key = skip(end)
          if (text[key] !== "\"" || key >= to) throw new Mistake(end)
          end = value(end)
          const colon = skip(end)
          if (text[colon] !== ":" || colon >= to) throw new Mistake(end)
          end = colon + 1
        }
        end = value(end)
        if (text[skip(end)] !== "," && text[skip(end)] !== closer) throw new Mistake(end)
        if (text[skip(end)] === "," && text[skip(skip(end) + 1)] === closer) throw new Mistake(skip(end) + 1)
      }
    }
    try {
      return { end: value(at) }
    } catch (mistake) {
      return { at: (mistake as Mistake).at, open: closers.length }
    }
  }

  const bareValues = (from: number, to: number): Array<readonly [number, number]> => {
    let start = from
    for (const { end, start: next } of thoughts) {
      if (next >= start && text.slice(start, next).trim() === "") start = end
    }
    if (start < to && isJson(text.slice(start, to))) return [[start, to]]
    const values: Array<readonly [number, number]> = []
    let depth = 0
    for (let at = from; at < to;) {
      const block = blocks.find(({ end, start }) => start <= at && at < end)
      if (block !== undefined) at = block.end
      else if (depth === 0 && /[{[]/.test(text[at]!)) {
        const read = jsonEnd(at, to)
        if ("end" in read) {
          values.push([at, read.end])
          at = read.end
        } else {
          at = read.at
          depth = read.open
        }
      } else {
        if (/[{[]/.test(text[at]!)) depth++
        if (/[}\]]/.test(text[at]!)) depth = Math.max(0, depth - 1)
        at++
      }
    }
    return values
  }

  const holdsRounded = (json: string): boolean =>
    [...json.replaceAll(/"(?:[^"\\]|\\.)*"/g, "").matchAll(/\d+/g)].some(([digits]) =>
      `${Number(digits)}` !== digits &&
      `${BigInt(Number(digits))}` !== digits
    )

  let position = 0
  const run = (node: Node, heads: ReadonlyArray<Node>, path: ReadonlyArray<number>): Read => {
    const limit = Math.min(...heads.map((head) => begins(head, position)))
    const fails = { path }
    switch (node._tag) {
      case "Tag": {
        let opening = begins(node, position)
        if (opening > limit || opening === Infinity) return fails
        const others = heads.filter((head) => !(head._tag === "Tag" && head.open === node.open))
        const end = Math.min(...others.map((head) => begins(head, position)))
        for (;;) {
          const from = opening + node.open.length
          const to = find(node.close, from)
          if (to === Infinity) return fails
          position = to + node.close.length
          const next = find(node.open, from)
          const goesOn = next < to || next < Infinity && isNaming(from, to, position)
          if (goesOn && next < end) {
            opening = next
            continue
          }
          if (next < to) return fails
          if (node.content !== undefined) {
            const read = readIn(node.content, text.slice(from, to), readsThinking)
            return "path" in read ? { path: [...path, ...read.path] } : read
          }
          return { value: visible(from, to).replace(/^\n/, "").replace(/\n$/, "") }
        }
      }
      case "Code":
      case "Json": {
        const isHead = heads.includes(node)
        const labelled = fences.find((fence) =>
          fence.start >= position && fence.start <= limit && languageOf(fence) === "json"
        )
        const start = node._tag === "Json" && !isHead && labelled ? labelled.start : begins(node, position)
        if (start <= limit && start !== Infinity) {
          const block = fences.find((block) => block.start === start)!
          if (!block.isClosed) return fails
          position = block.end
          if (node._tag === "Code") return { value: block.body }
          return isJson(block.body) && !holdsRounded(block.body) ? { value: JSON.parse(block.body) } : fails
        }
        if (node._tag === "Code") return fails
        const [value, second] = bareValues(position, Math.min(limit, text.length))
        if (value === undefined || second !== undefined && !isHead) return fails
        position = value[1]
        const json = text.slice(...value)
        return holdsRounded(json) ? fails : { value: JSON.parse(json) }
      }
      case "Text": {
        const end = Math.min(limit, text.length)
        if (thoughts.some(({ isClosed, start }) => !isClosed && start < end)) return fails
        const value = visible(position, end)
        position = end
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
        const isBare = () =>
          node.head._tag === "Json" && bareValues(position, Math.min(limitHere(), text.length)).length > 0
        while (begins(node.head, position) < limitHere() || isBare()) {
          const read = run(node.item, [...heads, node.head], [...path, values.length])
          if ("path" in read) return read
          values.push(read.value)
        }
        return hides(position, limitHere()) ? fails : { value: values }
      }
    }
  }
  return run(node, [], [])
}
