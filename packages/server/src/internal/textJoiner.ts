import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject } from "@llm-cache/core/Sample"
import type { Joiner, StreamEvent } from "../Protocol.ts"
import { joined } from "./chunkJoiner.ts"
import { asCount, asObjects, asString, fieldsOf, objectOf } from "./json.ts"

/** https://platform.openai.com/docs/api-reference/completions/create */
export class TextJoiner implements Joiner {
  #head: Record<string, Json> = {}
  readonly #choices = new Map<number, Record<string, Json>>()
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
    const pieces = choices.filter(({ logprobs, text }) => asString(text) || logprobs)
      .map((choice) => ({ ...choice, finish_reason: null }))
    if (pieces.length === 0 || chunk["error"]) return []
    const { usage: _, ...fields } = chunk
    return [{ data: JSON.stringify({ ...fields, choices: pieces }) }]
  }

  end(): JsonObject | undefined {
    const choices = [...this.#choices].map(([index, fields]) => ({ text: "", ...fields, index }))
    const isWhole = choices.length > 0 && choices.every((choice) => "finish_reason" in choice)
    return this.#isDone || isWhole || this.#head["error"] ? { ...this.#head, choices } : undefined
  }

  #join(choice: JsonObject): void {
    const at = asCount(choice["index"]) ?? 0
    const before = this.#choices.get(at) ?? {}
    for (const [name, value] of Object.entries(fieldsOf(choice, "index"))) before[name] = joined(before[name], value)
    this.#choices.set(at, before)
  }
}
