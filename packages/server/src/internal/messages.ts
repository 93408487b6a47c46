import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject } from "@llm-cache/core/Sample"
import { asObject, fieldsOf } from "./json.ts"

/** Fields that hold the id of a tool's call. */
const idFields = ["id", "call_id", "tool_call_id", "tool_id", "tool_use_id"]

/** Fields with objects of the program: there, `null` and `id` are values like others. */
const ownFields = ["input", "arguments", "parameters", "schema", "input_schema", "input_examples"]

/** Fields that change no sample: hints for a provider's cache and for streams, and keys of tools. */
const withoutEffect = [
  "authorization",
  "authorization_token",
  "cache_control",
  "domain_secrets",
  "eager_input_streaming",
  "headers",
  "prompt_cache_breakpoint"
]

/**
 * The messages of a key. An echoed answer has fields with `null`, and each run gives its calls new ids: `null` counts as
 * absent, and ids are numbered by their first use.
 */
export const normalMessages = (
  messages: ReadonlyArray<JsonObject>,
  isNumbered: (id: string) => boolean = () => true
): ReadonlyArray<Json> => {
  const numbers = new Map<string, string>()
  const numbered = (id: string): string => {
    if (!isNumbered(id)) return id
    let number = numbers.get(id)
    if (number === undefined) numbers.set(id, number = `call-${numbers.size + 1}`)
    return number
  }
  const normal = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(normal)
    const object = asObject(value)
    if (object === undefined || "rawJSON" in object) return value
    return Object.fromEntries(
      Object.entries(fieldsOf(object, ...withoutEffect)).map(([name, field]) => [
        name,
        ownFields.includes(name)
          ? field
          : typeof field === "string" && idFields.includes(name)
          ? numbered(field)
          : normal(field)
      ])
    )
  }
  return messages.map((message) => normal(message as Json))
}
