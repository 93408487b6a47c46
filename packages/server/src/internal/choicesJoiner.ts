import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject } from "@llm-cache/core/Sample"
import type { Joiner, StreamEvent } from "../Protocol.ts"
import { asCount, asObject, asObjects, fieldsOf, objectOf } from "./json.ts"

/** How the choices of a protocol of OpenAI grow, from chunk to chunk. */
export interface ChoiceJoiner<Choice> {
  readonly empty: () => Choice
  /** Adds a chunk's choice, which has no index. */
  readonly join: (joined: Choice, choice: JsonObject) => void
  /** Whether a choice of a chunk has a piece of a sample. */
  readonly isPiece: (choice: JsonObject) => boolean
  readonly whole: (joined: Choice) => JsonObject
}

/** Joins the chunks of choices. */
export class ChoicesJoiner<Choice> implements Joiner {
  readonly #of: ChoiceJoiner<Choice>
  #head: Record<string, Json> = {}
  readonly #choices = new Map<number, Choice>()
  #isDone = false

  constructor(of: ChoiceJoiner<Choice>) {
    this.#of = of
  }

  add({ data }: StreamEvent): ReadonlyArray<StreamEvent> {
    if (data === "[DONE]") {
      this.#isDone = true
      return []
    }
    const chunk = objectOf(data)
    if (chunk === undefined) return []
    const choices = asObjects(chunk["choices"]) ?? []
    this.#head = { ...this.#head, ...fieldsOf(chunk, "choices") }
    for (const { index, ...choice } of choices) this.#of.join(this.#at(asCount(index) ?? 0), choice)
    const pieces = choices.filter(this.#of.isPiece).map((choice) => ({ ...choice, finish_reason: null }))
    if (pieces.length === 0 || chunk["error"]) return []
    const { usage: _, ...fields } = chunk
    return [{ data: JSON.stringify({ ...fields, choices: pieces }) }]
  }

  end(): JsonObject | undefined {
    const choices = [...this.#choices].map(([index, joined]) => ({ ...this.#of.whole(joined), index }))
    const isWhole = choices.length > 0 && choices.every((choice) => "finish_reason" in choice)
    return this.#isDone || isWhole || this.#head["error"] ? { ...this.#head, choices } : undefined
  }

  #at(index: number): Choice {
    let choice = this.#choices.get(index)
    if (choice === undefined) this.#choices.set(index, choice = this.#of.empty())
    return choice
  }
}

/** Texts and lists grow from piece to piece, and so do the fields of objects. */
export const joined = (before: Json | undefined, piece: Json): Json => {
  if (typeof before === "string" && typeof piece === "string") return before + piece
  if (Array.isArray(before) && Array.isArray(piece)) return [...before, ...piece]
  const [one, other] = [asObject(before), asObject(piece)]
  if (one === undefined || other === undefined) return piece
  const fields: Record<string, Json> = fieldsOf(one)
  for (const [name, value] of Object.entries(fieldsOf(other))) fields[name] = joined(fields[name], value)
  return fields
}
