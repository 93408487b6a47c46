import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject } from "@llm-cache/core/Sample"
import type { Joiner, StreamEvent } from "../Protocol.ts"
import { asCount, asObject, asObjects, asString, fieldsOf, isEmpty, objectOf } from "./json.ts"

interface JoinedChoice {
  readonly fields: Record<string, Json>
  readonly message: Record<string, Json>
}

/** https://platform.openai.com/docs/api-reference/chat-streaming/streaming */
export class ChunkJoiner implements Joiner {
  #head: Record<string, Json> = {}
  readonly #choices = new Map<number, JoinedChoice>()
  #isDone = false

  add({ data }: StreamEvent): ReadonlyArray<StreamEvent> {
    if (data === "[DONE]") {
      this.#isDone = true
      return []
    }
    const chunk = objectOf(data)
    if (chunk === undefined) return []
    const choices = asObjects(chunk["choices"]) ?? []
    this.#head = { ...this.#head, ...fieldsOf(chunk, "choices") }
    for (const choice of choices) this.#join(choice)
    const pieces = choices.filter(({ delta }) => !isEmpty(fieldsOf(asObject(delta) ?? {})))
      .map((choice) => ({ ...choice, finish_reason: null }))
    if (pieces.length === 0 || chunk["error"]) return []
    const { usage: _, ...fields } = chunk
    return [{ data: JSON.stringify({ ...fields, choices: pieces }) }]
  }

  end(): JsonObject | undefined {
    const choices = [...this.#choices].map(([index, { fields, message }]) => ({
      ...fields,
      index,
      message: { role: "assistant", ...message }
    }))
    const isWhole = choices.length > 0 && choices.every((choice) => "finish_reason" in choice)
    return this.#isDone || isWhole || this.#head["error"] ? { ...this.#head, choices } : undefined
  }

  #join({ delta, index, ...others }: JsonObject): void {
    const at = asCount(index) ?? 0
    let choice = this.#choices.get(at)
    if (choice === undefined) this.#choices.set(at, choice = { fields: {}, message: {} })
    const { fields, message } = choice
    for (const [name, value] of Object.entries(fieldsOf(others))) {
      fields[name] = name === "logprobs" ? joined(fields[name], value) : value
    }
    for (const [name, value] of Object.entries(fieldsOf(asObject(delta) ?? {}, "role"))) {
      message[name] = name === "tool_calls"
        ? joinCalls(asObjects(message[name]), asObjects(value))
        : joined(message[name], value)
    }
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

// Of a call, only the arguments grow. Some servers give no index, and each call whole.
const joinCalls = (before: ReadonlyArray<JsonObject> = [], pieces: ReadonlyArray<JsonObject> = []): Json => {
  const calls = [...before]
  for (const { index, ...piece } of pieces) {
    const at = asCount(index) ?? calls.length
    const call = calls[at] ?? {}
    const [one, other] = [asObject(call["function"]) ?? {}, asObject(piece["function"]) ?? {}]
    const args = (asString(one["arguments"]) ?? "") + (asString(other["arguments"]) ?? "")
    calls[at] = {
      ...call,
      ...fieldsOf(piece),
      ...isEmpty(one) && isEmpty(other) ? undefined : { function: { ...one, ...fieldsOf(other), arguments: args } }
    }
  }
  return calls
}
