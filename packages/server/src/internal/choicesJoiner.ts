import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject } from "@llm-cache/core/Sample"
import type { Joiner, StreamEvent } from "../Protocol.ts"
import { asCount, asObject, asObjects, fieldsOf, objectOf } from "./json.ts"

/** How the choices of a protocol of OpenAI grow, from chunk to chunk. */
export interface ChoiceJoiner<Choice> {
  readonly empty: () => Choice
  /** Whether `join` loses nothing of a chunk's choice. */
  readonly isReadable: (choice: JsonObject) => boolean
  /** Adds a chunk's choice, which has no index. Returns the piece of a sample in it, as the client gets it. */
  readonly join: (joined: Choice, choice: JsonObject) => JsonObject | undefined
  readonly whole: (joined: Choice) => JsonObject
}

/** Joins the chunks of choices. */
export class ChoicesJoiner<Choice> implements Joiner {
  readonly #of: ChoiceJoiner<Choice>
  #head: Record<string, Json> = {}
  #created: Json | undefined
  readonly #choices = new Map<number, Choice>()
  #isDone = false

  constructor(of: ChoiceJoiner<Choice>) {
    this.#of = of
  }

  add({ data, event }: StreamEvent): ReadonlyArray<StreamEvent> {
    if (data === "[DONE]") {
      this.#isDone = true
      return []
    }
    const chunk = objectOf(data)
    if (chunk === undefined) return []
    const choices = asObjects(chunk["choices"] ?? [])
    // Some servers tell an error without a name of its own.
    const isError = event === "error" || chunk["object"] === "error"
    const error = chunk["error"] ??
      (isError ? fieldsOf(chunk, "object") : choices?.every(this.#of.isReadable) ? undefined : unreadable)
    this.#head = { ...this.#head, ...fieldsOf({ ...chunk, error }, "choices", "created", "obfuscation") }
    // Some servers give each chunk the time at which it was sent.
    this.#created ??= chunk["created"] || undefined
    const pieces: Array<Json> = []
    for (const { index, ...choice } of choices ?? []) {
      const at = asCount(index) ?? 0
      const piece = this.#of.join(this.#at(at), choice)
      if (piece !== undefined) pieces.push({ index: at, ...piece, finish_reason: null })
    }
    if (pieces.length === 0 || error) return []
    const { usage: _, ...fields } = chunk
    return [{ data: JSON.stringify({ ...fields, ...this.#begun(), choices: pieces }) }]
  }

  end(): JsonObject | undefined {
    const choices = Array.from(this.#choices, ([index, joined]): JsonObject => ({ ...this.#of.whole(joined), index }))
    const isWhole = choices.length > 0 && choices.every(({ finish_reason }) => typeof finish_reason === "string")
    return this.#isDone || isWhole || this.#head["error"]
      ? { ...this.#head, [begunField]: this.#begun(), choices }
      : undefined
  }

  #begun(): JsonObject {
    return this.#created === undefined ? {} : { created: this.#created }
  }

  #at(index: number): Choice {
    let choice = this.#choices.get(index)
    if (choice === undefined) this.#choices.set(index, choice = this.#of.empty())
    return choice
  }
}

// Without its piece, the sample would be a part that looks whole.
const unreadable = { message: "a chunk has choices that cannot be read" }

/** The field for what clients have seen of the head of a stream before its sample was stored. */
export const begunField = "begun"

/** Texts and lists grow from piece to piece, and so do the fields of objects. A `null` gives way to a value. */
export const joined = (before: Json | undefined, piece: Json): Json => {
  if (piece === null) return before ?? piece
  if (typeof before === "string" && typeof piece === "string") return before + piece
  if (Array.isArray(before) && Array.isArray(piece)) return [...before, ...piece]
  const [one, other] = [asObject(before), asObject(piece)]
  if (one === undefined || other === undefined) return piece
  const fields: Record<string, Json> = { ...one }
  for (const [name, value] of Object.entries(other)) fields[name] = joined(fields[name], value)
  return fields
}
