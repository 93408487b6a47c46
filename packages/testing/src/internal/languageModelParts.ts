import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"

/** A part of a scripted answer. */
export type Piece =
  | Response.PartEncoded
  | Response.StreamPartEncoded
  | { readonly type: "text" | "reasoning"; readonly text: string; readonly chunks: ReadonlyArray<string> }

/** The end of an answer. */
export const finishOf = (
  reason: Response.FinishReason = "stop",
  { input = 3, output = 5 }: { readonly input?: number; readonly output?: number } = {}
): Response.FinishPartEncoded => ({
  type: "finish",
  reason,
  usage: { inputTokens: { total: input }, outputTokens: { total: output } }
})

/** The parts of an answer as a whole: deltas are joined. */
export const toWhole = (pieces: ReadonlyArray<Piece>): Array<Response.PartEncoded> => {
  const parts: Array<Response.PartEncoded> = []
  const open = new Map<string, { type: "text" | "reasoning"; text: string }>()
  for (const piece of pieces) {
    if (isText(piece)) {
      const { chunks: _, ...part } = { chunks: undefined, ...piece }
      parts.push(part)
    } else if (piece.type === "text-start" || piece.type === "reasoning-start") {
      const part = { type: piece.type === "text-start" ? "text" as const : "reasoning" as const, text: "" }
      open.set(piece.id, part)
      parts.push(part)
    } else if (piece.type === "text-delta" || piece.type === "reasoning-delta") {
      const part = open.get(piece.id)
      if (part !== undefined) part.text += piece.delta
    } else if (isWhole(piece)) {
      parts.push(piece)
    }
  }
  return parts
}

const streamed = new Set([
  "text-end",
  "reasoning-end",
  "tool-params-start",
  "tool-params-delta",
  "tool-params-end",
  "error"
])

const isWhole = (piece: Piece): piece is Response.PartEncoded => !streamed.has(piece.type)

/** The parts of an answer as a stream: a text has a delta for each chunk. */
export const toStream = (pieces: ReadonlyArray<Piece>): ReadonlyArray<Response.StreamPartEncoded> =>
  pieces.flatMap((piece, index): ReadonlyArray<Response.StreamPartEncoded> => {
    if (!isText(piece)) return [piece]
    const id = String(index)
    const { type } = piece
    const deltas = "chunks" in piece ? piece.chunks : [piece.text]
    return [
      { type: `${type}-start`, id, ..."metadata" in piece ? { metadata: piece.metadata } : undefined },
      ...deltas.map((delta) => ({ type: `${type}-delta` as const, id, delta })),
      { type: `${type}-end`, id }
    ]
  })

const isText = (piece: Piece): piece is Extract<Piece, { readonly type: "text" | "reasoning" }> =>
  piece.type === "text" || piece.type === "reasoning"

/** Ends an answer that has no end. */
export const withFinish = (pieces: ReadonlyArray<Piece>): ReadonlyArray<Piece> =>
  pieces.some(({ type }) => type === "finish" || type === "error")
    ? pieces
    : [...pieces, finishOf(pieces.some(({ type }) => type === "tool-call") ? "tool-calls" : "stop")]

/** The last message of a prompt: its texts, or the results of tools as JSON. */
export const textOf = (prompt: Prompt.Prompt): string => {
  const { content } = prompt.content.at(-1) ?? { content: "" }
  if (typeof content === "string") return content
  return content.flatMap((part): ReadonlyArray<string> =>
    part.type === "text" ? [part.text] : part.type === "tool-result" ? [JSON.stringify(part.result)] : []
  ).join("\n")
}
