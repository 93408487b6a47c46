/** The events of a whole response, as a model streams it: https://platform.openai.com/docs/api-reference/responses-streaming */
import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject } from "@llm-cache/core/Sample"
import type { StreamEvent } from "../Protocol.ts"
import { piecesOf } from "./answer.ts"
import { asObjects, asString } from "./json.ts"

const event = (type: string, fields: { readonly [name: string]: Json | undefined }): StreamEvent => ({
  event: type,
  data: JSON.stringify({ type, ...fields })
})

/** All events but the last one. */
export const eventsOf = (response: JsonObject): ReadonlyArray<StreamEvent> => {
  const begun = { ...response, status: "in_progress", incomplete_details: null, output: [], usage: null }
  return [
    event("response.created", { response: begun }),
    event("response.in_progress", { response: begun }),
    ...(asObjects(response["output"]) ?? []).flatMap(itemEvents)
  ]
}

export const lastEventOf = (response: JsonObject): StreamEvent =>
  event(`response.${asString(response["status"])}`, { response })

interface Place {
  readonly [name: string]: Json | undefined
}

const itemEvents = (item: JsonObject, output_index: number): ReadonlyArray<StreamEvent> => {
  const place: Place = { item_id: item["id"], output_index }
  return [
    event("response.output_item.added", { output_index, item: begunItem(item) }),
    ...(asObjects(item["summary"]) ?? []).flatMap((part, index) =>
      summaryEvents(part, { ...place, summary_index: index })
    ),
    ...(asObjects(item["content"]) ?? []).flatMap((part, index) =>
      partEvents(part, { ...place, content_index: index })
    ),
    ...callEvents(item, place),
    event("response.output_item.done", { output_index, item })
  ]
}

/** The fields of items that grow. */
const texts: { readonly [type: string]: readonly [field: string, event: string] } = {
  code_interpreter_call: ["code", "code_interpreter_call_code"],
  custom_tool_call: ["input", "custom_tool_call_input"],
  function_call: ["arguments", "function_call_arguments"],
  mcp_call: ["arguments", "mcp_call_arguments"]
}

/** The states of items between their beginning and their end. */
const states: { readonly [type: string]: ReadonlyArray<string> } = {
  code_interpreter_call: ["interpreting"],
  file_search_call: ["searching"],
  image_generation_call: ["generating"],
  mcp_call: [],
  mcp_list_tools: [],
  web_search_call: ["searching"]
}

const begunItem = (item: JsonObject): JsonObject => {
  const [field] = texts[asString(item["type"]) ?? ""] ?? []
  const begun: Record<string, Json> = { ...item }
  if ("status" in item) begun["status"] = "in_progress"
  for (const name of ["content", "summary"]) {
    if (name in item) begun[name] = []
  }
  if (field !== undefined) begun[field] = ""
  return begun
}

const callEvents = (item: JsonObject, place: Place): ReadonlyArray<StreamEvent> => {
  const type = asString(item["type"]) ?? ""
  const [field = "", name] = texts[type] ?? []
  const text = asString(item[field])
  const between = states[type]
  const state = (name: string) => event(`response.${type}.${name}`, place)
  return [
    ...between === undefined ? [] : [state("in_progress")],
    ...text === undefined ? [] : [
      ...piecesOf(text).map((delta) => event(`response.${name}.delta`, { ...place, delta })),
      event(`response.${name}.done`, { ...place, ...type === "function_call" && { name: item["name"] }, [field]: text })
    ],
    ...between === undefined
      ? []
      : [...between, item["status"] === "failed" ? "failed" : "completed"].map(state)
  ]
}

const summaryEvents = (part: JsonObject, place: Place): ReadonlyArray<StreamEvent> => {
  const text = asString(part["text"]) ?? ""
  return [
    event("response.reasoning_summary_part.added", { ...place, part: { ...part, text: "" } }),
    ...piecesOf(text).map((delta) => event("response.reasoning_summary_text.delta", { ...place, delta })),
    event("response.reasoning_summary_text.done", { ...place, text }),
    event("response.reasoning_summary_part.done", { ...place, part })
  ]
}

const partEvents = (part: JsonObject, place: Place): ReadonlyArray<StreamEvent> => {
  const type = asString(part["type"]) ?? ""
  const field = type === "refusal" ? "refusal" : "text"
  const text = asString(part[field]) ?? ""
  // Log probabilities come with the first piece.
  const logprobs = type === "output_text" ? part["logprobs"] ?? [] : undefined
  const empty = type === "output_text" ? { annotations: [], logprobs: [] } : undefined
  return [
    event("response.content_part.added", { ...place, part: { ...part, ...empty, [field]: "" } }),
    ...piecesOf(text).map((delta, i) =>
      event(`response.${type}.delta`, { ...place, delta, logprobs: i === 0 ? logprobs : logprobs && [] })
    ),
    ...(asObjects(part["annotations"]) ?? []).map((annotation, annotation_index) =>
      event("response.output_text.annotation.added", { ...place, annotation_index, annotation })
    ),
    event(`response.${type}.done`, { ...place, [field]: text, logprobs }),
    event("response.content_part.done", { ...place, part })
  ]
}
