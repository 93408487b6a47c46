import * as Result from "effect/Result"
import { bareValues, type Span, unsafeNumber } from "./bareJson.ts"
import { type Block, type Blocks, blocksOf } from "./blocks.ts"
import { bodyOf, type Fence, isJson, withoutLineBreak } from "./fences.ts"
import { languageOf } from "./languages.ts"
import { tagNames } from "./reasoning.ts"
import { type Code, type Json, type Leaf, nameOf, type Node, type Tag } from "./spec.ts"

/** The first mismatch between a text and a spec. */
export interface Failure {
  readonly expected: string
  readonly found: string
  readonly offset: number
  readonly path: ReadonlyArray<number>
  readonly cause?: unknown
}

/** A JSON value before its schema decodes it. */
export interface Undecoded {
  readonly schema: Json["schema"]
  readonly json: unknown
  readonly offset: number
  readonly path: ReadonlyArray<number>
  /** Replaces the text by the decoded value. */
  readonly set: (decoded: unknown) => void
}

/** The value of a text, alone in `values`. JSON values are still texts. */
export interface Reading {
  readonly values: ReadonlyArray<unknown>
  readonly undecoded: ReadonlyArray<Undecoded>
}

/** Reads the value of a spec in one pass and never goes back, so its time is proportional to the text. */
export const read = (node: Node, text: string): Result.Result<Reading, Failure> => {
  const reader = new Reader(text, tagNames(node))
  const values: Array<unknown> = []
  const failure = reader.read(node, values)
  return failure === undefined
    ? Result.succeed({ values, undecoded: reader.undecoded })
    : Result.fail(failure)
}

/** The progress of one search. Searches only move forward, so none starts over. */
interface Cursor {
  /** The offset of the next token, or `Infinity`. */
  at: number
  /** The index of the next block. */
  block: number
}

class Reader {
  readonly undecoded: Array<Undecoded> = []
  private position = 0
  private readonly path: Array<number> = []
  /** The beginnings of the items around the position: a part of an item lies before the next item. */
  private readonly heads: Array<Leaf> = []
  private readonly cursors = new Map<Leaf, Cursor>()
  private readonly closings = new Map<Leaf, Cursor>()
  private readonly labelled = new Map<Leaf, Cursor>()
  private readonly text: string
  private readonly asked: ReadonlySet<string>
  private readonly blocks: Blocks
  /** The index of the next block, large or of reasoning, behind the position. */
  private large = 0
  private reasoning = 0
  private bare: { readonly from: number; readonly to: number; readonly values: ReadonlyArray<Span> } | undefined
  private readonly languageless = new Map<Fence, boolean>()

  constructor(text: string, asked: ReadonlySet<string>) {
    this.text = text
    this.asked = asked
    this.blocks = blocksOf(text, asked)
  }

  /** Appends the value of a node to `values`, or returns the mismatch. */
  read(node: Node, values: Array<unknown>): Failure | undefined {
    switch (node._tag) {
      case "Tag":
        return this.readTag(node, values)
      case "Code":
        return this.readCode(node, values)
      case "Json":
        return this.readJson(node, values)
      case "Text": {
        const end = this.end()
        const last = this.blocks.reasoning.at(-1)
        if (last?.problem !== undefined && last.start < end) return this.unclosed("the rest of the text", this.position)
        values.push(this.visible(this.position, end))
        this.position = end
        return undefined
      }
      case "Sequence": {
        const parts: Array<unknown> = []
        values.push(parts)
        for (const part of node.parts) {
          const failure = this.readAt(parts.length, part, parts)
          if (failure !== undefined) return failure
        }
        return undefined
      }
      case "Repeat": {
        const items: Array<unknown> = []
        values.push(items)
        while (this.begins(node.head)) {
          this.heads.push(node.head)
          const failure = this.readAt(items.length, node.item, items)
          if (failure !== undefined) return failure
          this.heads.pop()
        }
        return this.unclosed(`${nameOf(node.head)}, as often as it comes`, this.position)
      }
    }
  }

  private readAt(index: number, node: Node, values: Array<unknown>): Failure | undefined {
    this.path.push(index)
    const failure = this.read(node, values)
    this.path.pop()
    return failure
  }

  private readTag(tag: Tag, values: Array<unknown>): Failure | undefined {
    const start = this.find(tag)
    if (start > this.limit().at || start === Infinity) return this.missing(tag)
    const { at: end, head } = this.limit(tag)
    let from = start + tag.open.length
    for (;;) {
      const to = this.search(this.closings, tag, tag.close, from)
      if (to === Infinity) {
        return this.unclosed(tag.close, from) ?? this.failure(tag.close, this.nothing(), from)
      }
      // An opening tag in front of the last one is only named.
      const next = this.search(this.cursors, tag, tag.open, from)
      if (next < to ? next < end : next < end && isNaming(this.text, from, to, to + tag.close.length)) {
        from = next + tag.open.length
        continue
      }
      if (next < to) return this.failure(tag.close, `${nameOf(head!)} first, which begins the next item`, end)
      this.position = to + tag.close.length
      return this.readContent(tag, from, to, values)
    }
  }

  private readContent({ content }: Tag, from: number, to: number, values: Array<unknown>): Failure | undefined {
    if (content === undefined) {
      const value = this.visible(from, to)
      const first = value.startsWith("\r\n") ? 2 : value.startsWith("\n") ? 1 : 0
      values.push(value.slice(first, withoutLineBreak(value, first, value.length)))
      return undefined
    }
    const inner = new Reader(this.text.slice(from, to), this.asked)
    const failure = inner.read(content, values)
    const placed = <A extends { readonly offset: number; readonly path: ReadonlyArray<number> }>(one: A): A => ({
      ...one,
      offset: one.offset + from,
      path: [...this.path, ...one.path]
    })
    for (const undecoded of inner.undecoded) this.undecoded.push(placed(undecoded))
    return failure && placed(failure)
  }

  private readCode(code: Code, values: Array<unknown>): Failure | undefined {
    const start = this.find(code)
    if (start > this.limit().at || start === Infinity) return this.missing(code)
    return this.readFence(code, this.cursors, (body) => {
      values.push(body)
      return undefined
    })
  }

  private readJson(json: Json, values: Array<unknown>): Failure | undefined {
    const isHead = this.heads.includes(json)
    const { at: limit } = this.limit()
    // A fence of JSON comes before one without a language, unless each is an item.
    const labelled = isHead ? Infinity : this.findFence(this.labelled, json, (fence) => fence.language === "json")
    const cursors = labelled <= limit && labelled !== Infinity ? this.labelled : this.cursors
    const start = cursors === this.labelled ? labelled : this.find(json)
    if (start <= limit && start !== Infinity) {
      return this.readFence(
        json,
        cursors,
        (body, fence) => this.putJson(json, ...jsonOf(this.text, fence, body), values)
      )
    }
    const [value, second] = this.bareJson()
    if (value === undefined) return this.missing(json)
    if (second !== undefined && !isHead) {
      return this.failure("a single JSON value", "a second one, so that it is unclear which one is meant", second.start)
    }
    this.position = value.end
    return this.putJson(json, this.text.slice(value.start, value.end), value.start, values)
  }

  private putJson(json: Json, text: string, offset: number, values: Array<unknown>): Failure | undefined {
    const value = parseJson(text)
    if (Result.isFailure(value)) return this.failure("JSON", value.failure.message, offset, value.failure)
    const unsafe = unsafeNumber(text)
    if (unsafe !== undefined) {
      return this.failure(
        "a number that JavaScript can hold, or a text",
        `${unsafe.number}, which would become ${Number(unsafe.number)}`,
        offset + unsafe.offset
      )
    }
    const index = values.length
    values.push(text)
    this.undecoded.push({
      schema: json.schema,
      json: value.success,
      offset,
      path: [...this.path],
      set: (decoded) => void (values[index] = decoded)
    })
    return undefined
  }

  // Reads the fence at the cursor of a leaf.
  private readFence(
    leaf: Code | Json,
    cursors: ReadonlyMap<Leaf, Cursor>,
    take: (body: string, fence: Fence) => Failure | undefined
  ): Failure | undefined {
    const fence = this.blocks.fences[cursors.get(leaf)!.block]!
    if (fence.problem !== undefined) {
      return this.failure(`the end of ${nameOf(leaf)}`, fence.problem, fence.start)
    }
    this.position = fence.end
    return take(bodyOf(this.text, fence), fence)
  }

  // Whether the next item of a repetition comes before the next item of an outer repetition.
  private begins(head: Leaf): boolean {
    return this.find(head) < this.limit().at || head._tag === "Json" && this.bareJson().length > 0
  }

  // The whole rest if it is JSON, or objects and arrays in prose: at most two.
  private bareJson(): ReadonlyArray<Span> {
    const from = this.position
    const to = this.end()
    if (this.bare?.from === from && this.bare.to === to) return this.bare.values
    const { large, reasoning } = this.blocks
    while (this.large < large.length && large[this.large]!.end <= from) this.large++
    while (this.reasoning < reasoning.length && reasoning[this.reasoning]!.end <= from) this.reasoning++
    let start = from
    for (let i = this.reasoning; i < reasoning.length && isBlank(this.text, start, reasoning[i]!.start); i++) {
      start = reasoning[i]!.end
    }
    const rest = this.text.slice(start, to)
    const values = /^\s*["\-\dtfn]/.test(rest) && isJson(rest)
      ? [{ start, end: to }]
      : bareValues(this.text, from, to, large, this.large)
    const [value] = values
    const isWhole = values.length === 1 && isBlank(this.text, start, value!.start) && isBlank(this.text, value!.end, to)
    this.bare = { from, to, values: isWhole ? [{ start, end: to }] : values }
    return this.bare.values
  }

  // The nearest beginning of another item, in any repetition around the position.
  private limit(except?: Tag): { readonly at: number; readonly head: Leaf | undefined } {
    let limit: { readonly at: number; readonly head: Leaf | undefined } = { at: Infinity, head: undefined }
    for (const head of this.heads) {
      if (except !== undefined && head._tag === "Tag" && head.open === except.open) continue
      const at = this.find(head)
      if (at < limit.at) limit = { at, head }
    }
    return limit
  }

  private end(): number {
    return Math.min(this.limit().at, this.text.length)
  }

  private find(leaf: Leaf): number {
    if (leaf._tag === "Tag") return this.search(this.cursors, leaf, leaf.open, this.position)
    if (leaf._tag === "Json") {
      return this.findFence(this.cursors, leaf, (fence) => fence.language === "json" || this.isBareFence(fence))
    }
    const language = leaf.language === undefined ? undefined : languageOf(leaf.language)
    return this.findFence(this.cursors, leaf, (fence) => language === undefined || fence.language === language)
  }

  private findFence(
    cursors: Map<Leaf, Cursor>,
    leaf: Leaf,
    matches: (fence: Fence) => boolean
  ): number {
    const cursor = cursorOf(cursors, leaf)
    for (let fence; (fence = this.blocks.fences[cursor.block]) !== undefined; cursor.block++) {
      if (fence.start >= this.position && matches(fence)) return fence.start
    }
    return Infinity
  }

  // Whether a fence without a language holds JSON.
  private isBareFence(fence: Fence): boolean {
    if (fence.opener.info !== "" || fence.problem !== undefined) return false
    let holds = this.languageless.get(fence)
    if (holds === undefined) this.languageless.set(fence, holds = isJson(bodyOf(this.text, fence)))
    return holds
  }

  // The offset of the next token outside of fences, reasoning and inline code.
  private search(cursors: Map<Leaf, Cursor>, leaf: Tag, token: string, from: number): number {
    const cursor = cursorOf(cursors, leaf)
    if (cursor.at >= from) return cursor.at
    const { all } = this.blocks
    let at = from
    while ((at = this.text.indexOf(token, at)) !== -1) {
      let block: Block | undefined
      while ((block = all[cursor.block]) !== undefined && block.end <= at) cursor.block++
      if (block === undefined || at < block.start) return cursor.at = at
      at = block.end
    }
    return cursor.at = Infinity
  }

  // A part of the text without reasoning.
  private visible(from: number, to: number): string {
    const { reasoning } = this.blocks
    while (this.reasoning < reasoning.length && reasoning[this.reasoning]!.end <= from) this.reasoning++
    let value = ""
    let at = from
    for (let i = this.reasoning; i < reasoning.length && reasoning[i]!.start < to; i++) {
      value += this.text.slice(at, reasoning[i]!.start)
      at = reasoning[i]!.end
    }
    return value + this.text.slice(at, to)
  }

  private nothing(): string {
    return this.blocks.reasoning.length === 0 ? "none from here on" : "none outside of the reasoning"
  }

  private missing(leaf: Leaf): Failure {
    const { at, head } = this.limit()
    const expected = leaf._tag === "Json" ? `${nameOf(leaf)}, or one JSON value` : nameOf(leaf)
    return head === undefined
      ? this.unclosed(expected, this.position) ?? this.failure(expected, this.nothing(), this.position)
      : this.failure(expected, `${nameOf(head)} first, which begins the next item`, at)
  }

  // A fence or reasoning without an end may hide the expected part.
  private unclosed(expected: string, from: number): Failure | undefined {
    const last = this.blocks.large.at(-1)
    return last?.problem === undefined || last.start < from || last.start > this.limit().at
      ? undefined
      : this.failure(expected, last.problem, last.start)
  }

  private failure(expected: string, found: string, offset: number, cause?: unknown): Failure {
    return { expected, found, offset, path: [...this.path], cause }
  }
}

const cursorOf = (cursors: Map<Leaf, Cursor>, leaf: Leaf): Cursor => {
  let cursor = cursors.get(leaf)
  if (cursor === undefined) cursors.set(leaf, cursor = { at: -1, block: 0 })
  return cursor
}

const parseJson = (text: string): Result.Result<unknown, SyntaxError> =>
  Result.try({ try: () => JSON.parse(text) as unknown, catch: (error) => error as SyntaxError })

// The JSON of a fence, and its offset. It may stand behind the opening marker.
const jsonOf = (text: string, fence: Fence, body: string): [string, number] => {
  const behind = fence.opener.info.replace(/^\S*\s*/, "")
  return body.trim() === "" && /^[[{]/.test(behind)
    ? [behind, text.indexOf(behind, fence.start)]
    : [body, fence.bodyStart]
}

const isBlank = (text: string, from: number, to: number): boolean => text.slice(from, to).trim() === ""

// Whether a pair of tags only names the tag, as in "between <answer> and </answer>" or "in <answer></answer> tags".
const isNaming = (text: string, from: number, to: number, end: number): boolean =>
  to === from
    ? /^\s*(?:XML )?tags?\b/.test(text.slice(end, end + 20))
    : to - from < 8 && /^ ?(?:and|or|\.{3}|…) ?$/.test(text.slice(from, to))
