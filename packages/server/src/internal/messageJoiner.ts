import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject } from "@llm-cache/core/Sample"
import type { Joiner, StreamEvent } from "../Protocol.ts"
import { asCount, asObject, asString, fieldsOf, objectOf, parseJson } from "./json.ts"

/** https://platform.claude.com/docs/en/build-with-claude/streaming */
export class MessageJoiner implements Joiner {
  #message: Record<string, Json> = {}
  #begun: JsonObject = {}
  readonly #blocks = new Map<number, Record<string, Json>>()
  readonly #inputs = new Map<number, string>()
  #error: Json | undefined
  #isDone = false
  // Held until a block begins: a failure before that has a status, and can be retried.
  #start: ReadonlyArray<StreamEvent> = []

  add({ data }: StreamEvent): ReadonlyArray<StreamEvent> {
    const event = objectOf(data)
    const type = asString(event?.["type"])
    if (event === undefined || type === undefined) return []
    const forwarded = [{ event: type, data: data.replaceAll("\n", " ") }]
    const at = asCount(event["index"]) ?? this.#blocks.size - 1
    switch (type) {
      case "message_start":
        this.#message = { ...asObject(event["message"]) }
        this.#begun = this.#message
        this.#start = forwarded
        return []
      case "message_delta":
        this.#message = {
          ...this.#message,
          ...fieldsOf(event, "type", "delta", "usage"),
          ...fieldsOf(asObject(event["delta"]) ?? {}),
          usage: { ...asObject(this.#message["usage"]), ...fieldsOf(asObject(event["usage"]) ?? {}) }
        }
        return []
      case "message_stop":
        this.#isDone = true
        return []
      case "error":
        this.#error = event["error"] ?? {}
        return []
      case "content_block_start":
        if (!isReadable(event["content_block"])) return this.#refuse(type)
        this.#blocks.set(at, { ...asObject(event["content_block"]) })
        break
      case "content_block_delta":
        if (!isReadable(event["delta"])) return this.#refuse(type)
        this.#join(at, asObject(event["delta"])!)
    }
    if (this.#blocks.size === 0) return []
    const start = this.#start
    this.#start = []
    return [...start, ...forwarded]
  }

  end(): JsonObject | undefined {
    if (this.#error !== undefined) return { type: "error", error: this.#error }
    if (!this.#isDone && asString(this.#message["stop_reason"]) === undefined) return undefined
    const content = [...this.#blocks].sort(([one], [other]) => one - other).map(([at, block]) => {
      const input = this.#inputs.get(at) ?? ""
      return input === "" ? block : { ...block, input: inputOf(input) }
    })
    const { content: _, id: __, model: ___, role: ____, type: _____, ...begun } = this.#begun
    return { ...this.#message, content, [startField]: begun }
  }

  // Without its piece, the sample would be a part that looks whole.
  #refuse(type: string): ReadonlyArray<StreamEvent> {
    this.#error = { type: "api_error", message: `an event ${type} cannot be read` }
    return []
  }

  #join(at: number, { type: _, ...delta }: JsonObject): void {
    let block = this.#blocks.get(at)
    if (block === undefined) this.#blocks.set(at, block = "thinking" in delta ? { type: "thinking" } : { type: "text" })
    for (const [name, piece] of Object.entries(fieldsOf(delta))) {
      const before = block[name]
      if (name === "partial_json") this.#inputs.set(at, (this.#inputs.get(at) ?? "") + (asString(piece) ?? ""))
      else if (name === "citation") {
        block["citations"] = [...Array.isArray(block["citations"]) ? block["citations"] : [], piece]
      } else {
        block[name] = name !== "signature" && typeof before === "string" && typeof piece === "string"
          ? before + piece
          : piece
      }
    }
  }
}

/** Fields that grow are texts. */
const isReadable = (piece: Json | undefined): boolean => {
  const fields = asObject(piece)
  return fields !== undefined &&
    ["text", "thinking", "partial_json"].every((name) => typeof (fields[name] ?? "") === "string")
}

/** The field for the fields of a message at the start of its stream, such as its first usage. */
export const startField = "start"

/** The name under which Anthropic wants an input that was cut off. */
export const invalidJson = "INVALID_JSON"

const inputOf = (text: string): Json => {
  try {
    return parseJson(text) as Json
  } catch {
    return { [invalidJson]: text }
  }
}
