import * as Result from "effect/Result"
import { bodyOf, type Fence, fencesOf, languageOf, withoutLineBreak } from "./fences.ts"
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
  const reader = new Reader(text)
  const values: Array<unknown> = []
  const failure = reader.read(node, values)
  return failure === undefined
    ? Result.succeed({ values, undecoded: reader.undecoded })
    : Result.fail(failure)
}

const nothing = "none from here on"
const notClosed = "a code fence that is not closed"

/** The progress of one search. Searches only move forward, so none starts over. */
interface Cursor {
  /** The offset of the next token, or `Infinity`. */
  at: number
  /** The index of the next fence. */
  fence: number
}

class Reader {
  readonly undecoded: Array<Undecoded> = []
  private position = 0
  private readonly path: Array<number> = []
  /** The beginnings of the items around the position: a part of an item lies before the next item. */
  private readonly heads: Array<Leaf> = []
  private readonly cursors = new Map<Leaf, Cursor>()
  private readonly closings = new Map<Tag, Cursor>()
  private readonly text: string
  private readonly fences: ReadonlyArray<Fence>

  constructor(text: string) {
    this.text = text
    this.fences = fencesOf(text)
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
        values.push(this.text.slice(this.position, end))
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
    const from = start + tag.open.length
    const to = this.search(this.closings, tag, tag.close, from)
    if (to === Infinity) {
      return this.unclosed(tag.close, from) ?? this.failure(tag.close, nothing, from)
    }
    const { text } = this
    const first = text.startsWith("\r\n", from) ? from + 2 : text.startsWith("\n", from) ? from + 1 : from
    values.push(text.slice(first, withoutLineBreak(text, first, to)))
    this.position = to + tag.close.length
    return undefined
  }

  private readCode(code: Code, values: Array<unknown>): Failure | undefined {
    const start = this.find(code)
    if (start > this.limit().at || start === Infinity) return this.missing(code)
    return this.readFence(code, (body) => {
      values.push(body)
      return undefined
    })
  }

  private readJson(json: Json, values: Array<unknown>): Failure | undefined {
    const start = this.find(json)
    const limit = this.limit().at
    const put = (text: string, value: unknown, offset: number) => {
      const index = values.length
      values.push(text)
      this.undecoded.push({
        schema: json.schema,
        json: value,
        offset,
        path: [...this.path],
        set: (decoded) => void (values[index] = decoded)
      })
    }
    if (start > limit || start === Infinity) {
      const bare = this.bareJson()
      if (Result.isFailure(bare)) return this.missing(json)
      const end = this.end()
      put(this.text.slice(this.position, end), bare.success, this.position)
      this.position = end
      return undefined
    }
    return this.readFence(json, (body, fence) => {
      const value = parseJson(body)
      if (Result.isFailure(value)) {
        return this.failure("JSON", value.failure.message, fence.bodyStart, value.failure)
      }
      put(body, value.success, fence.bodyStart)
      return undefined
    })
  }

  // Reads the fence at the cursor of a leaf.
  private readFence(
    leaf: Code | Json,
    take: (body: string, fence: Fence) => Failure | undefined
  ): Failure | undefined {
    const fence = this.fences[this.cursors.get(leaf)!.fence]!
    if (!fence.isClosed) return this.failure(`the end of ${nameOf(leaf)}`, notClosed, fence.start)
    this.position = fence.end
    return take(bodyOf(this.text, fence), fence)
  }

  // Whether the next item of a repetition comes before the next item of an outer repetition.
  private begins(head: Leaf): boolean {
    return this.find(head) < this.limit().at ||
      head._tag === "Json" && Result.isSuccess(this.bareJson())
  }

  private bareJson(): ReturnType<typeof parseJson> {
    return parseJson(this.text.slice(this.position, this.end()))
  }

  // The nearest beginning of another item, in any repetition around the position.
  private limit(): { readonly at: number; readonly head: Leaf | undefined } {
    let limit: { readonly at: number; readonly head: Leaf | undefined } = { at: Infinity, head: undefined }
    for (const head of this.heads) {
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
    const cursor = cursorOf(this.cursors, leaf)
    for (let fence; (fence = this.fences[cursor.fence]) !== undefined; cursor.fence++) {
      if (fence.start < this.position) continue
      if (leaf.language === undefined || leaf.language === languageOf(fence)) return fence.start
    }
    return Infinity
  }

  // The offset of the next token outside of fences.
  private search(cursors: Map<Leaf, Cursor>, leaf: Tag, token: string, from: number): number {
    const cursor = cursorOf(cursors, leaf)
    if (cursor.at >= from) return cursor.at
    let at = from
    while ((at = this.text.indexOf(token, at)) !== -1) {
      let fence: Fence | undefined
      while ((fence = this.fences[cursor.fence]) !== undefined && fence.end <= at) cursor.fence++
      if (fence === undefined || at < fence.start) return cursor.at = at
      at = fence.end
    }
    return cursor.at = Infinity
  }

  private missing(leaf: Leaf): Failure {
    const { at, head } = this.limit()
    const expected = leaf._tag === "Json" ? `${nameOf(leaf)}, or JSON and nothing else` : nameOf(leaf)
    return head === undefined
      ? this.unclosed(expected, this.position) ?? this.failure(expected, nothing, this.position)
      : this.failure(expected, `${nameOf(head)} first, which begins the next item`, at)
  }

  // An unclosed fence may hide the expected part.
  private unclosed(expected: string, from: number): Failure | undefined {
    const last = this.fences.at(-1)
    return last === undefined || last.isClosed || last.start < from || last.start > this.limit().at
      ? undefined
      : this.failure(expected, notClosed, last.start)
  }

  private failure(expected: string, found: string, offset: number, cause?: unknown): Failure {
    return { expected, found, offset, path: [...this.path], cause }
  }
}

const cursorOf = (cursors: Map<Leaf, Cursor>, leaf: Leaf): Cursor => {
  let cursor = cursors.get(leaf)
  if (cursor === undefined) cursors.set(leaf, cursor = { at: -1, fence: 0 })
  return cursor
}

const parseJson = (text: string): Result.Result<unknown, SyntaxError> =>
  Result.try({ try: () => JSON.parse(text) as unknown, catch: (error) => error as SyntaxError })
