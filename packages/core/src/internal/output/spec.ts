import type * as Schema from "effect/Schema"

/** A spec that the reader finds by its beginning. */
export type Leaf = Tag | Code | Json

/** A spec of `Output`, without its types. */
export type Node = Leaf | Text | Sequence | Repeat

export interface Tag {
  readonly _tag: "Tag"
  readonly open: string
  readonly close: string
  /** The spec of the text in the tag. Without it, the text is the value. */
  readonly content?: Node | undefined
}

export interface Code {
  readonly _tag: "Code"
  /** The user's word, in lower case. */
  readonly language: string | undefined
}

export interface Json {
  readonly _tag: "Json"
  readonly schema: Schema.ConstraintCodec<unknown, unknown>
  readonly language: "json"
}

export interface Text {
  readonly _tag: "Text"
}

export interface Sequence {
  readonly _tag: "Sequence"
  readonly parts: ReadonlyArray<Node>
}

export interface Repeat {
  readonly _tag: "Repeat"
  readonly item: Node
  /** The beginning of an item. */
  readonly head: Leaf
}

/** The leaf at the beginning of every text of a node, if there is one. */
export const headOf = (node: Node): Leaf | undefined => {
  if (node._tag === "Sequence") return node.parts[0] && headOf(node.parts[0])
  return node._tag === "Text" || node._tag === "Repeat" ? undefined : node
}

/** Whether a node has a JSON somewhere. */
export const hasJson = (node: Node): boolean => {
  switch (node._tag) {
    case "Json":
      return true
    case "Sequence":
      return node.parts.some(hasJson)
    case "Repeat":
      return hasJson(node.item)
    case "Tag":
      return node.content !== undefined && hasJson(node.content)
    case "Code":
    case "Text":
      return false
  }
}

export const nameOf = (leaf: Leaf): string => {
  if (leaf._tag === "Tag") return leaf.open
  return leaf.language === undefined ? "a code fence" : `a code fence of ${leaf.language}`
}
