import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject } from "@llm-cache/core/Sample"
import type { Joiner, StreamEvent } from "../Protocol.ts"
import { asCount, asObject, asObjects, asString, fieldsOf, objectOf } from "./json.ts"

const lastTypes = ["response.completed", "response.incomplete", "response.failed"]

/** https://platform.openai.com/docs/api-reference/responses-streaming */
export class ResponseJoiner implements Joiner {
  // They tell nothing of the sample. Until a piece follows, the request can be sent again.
  #begun: ReadonlyArray<StreamEvent> = []
  readonly #items: Array<Json> = []
  #last: JsonObject | undefined

  add({ data }: StreamEvent): ReadonlyArray<StreamEvent> {
    const { sequence_number: _, ...fields } = objectOf(data) ?? {}
    const type = asString(fields["type"])
    if (type === undefined) return []
    const response = asObject(fields["response"])
    if (type === "error") {
      this.#last = { error: asObject(fields["error"]) ?? fieldsOf(fields, "type") }
      return []
    }
    if (response !== undefined && lastTypes.includes(type)) {
      this.#end(response, type.slice("response.".length))
      return []
    }
    const events = [...this.#begun, { event: type, data: JSON.stringify(fields) }]
    this.#begun = response === undefined ? [] : events
    if (type === "response.output_item.done") {
      this.#items[asCount(fields["output_index"]) ?? this.#items.length] = fields["item"] ?? null
    }
    return response === undefined ? events : []
  }

  end(): JsonObject | undefined {
    return this.#last
  }

  #end(response: JsonObject, status: string): void {
    // Some servers end with a response that has no output, after all of its items.
    const output = response["output"] ?? []
    const hasOutput = Boolean(asObjects(output)?.length)
    const error = { code: "server_error", message: "the response failed" }
    this.#last = {
      status,
      ...response,
      output: hasOutput || this.#items.length === 0 ? output : Object.values(this.#items),
      ...status === "failed" ? { error: asObject(response["error"]) ?? error } : undefined
    }
  }
}
