import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject } from "@llm-cache/core/Sample"
import { ChoicesJoiner, joined } from "./choicesJoiner.ts"
import { asCount, asObject, asObjects, asString, fieldsOf, isEmpty } from "./json.ts"

interface JoinedChoice {
  readonly fields: Record<string, Json>
  readonly message: Record<string, Json>
}

/** https://platform.openai.com/docs/api-reference/chat-streaming/streaming */
export const makeChunkJoiner = () =>
  new ChoicesJoiner<JoinedChoice>({
    empty: () => ({ fields: {}, message: {} }),
    join: ({ fields, message }, { delta, ...others }) => {
      for (const [name, value] of Object.entries(fieldsOf(others))) {
        fields[name] = name === "logprobs" ? joined(fields[name], value) : value
      }
      for (const [name, value] of Object.entries(fieldsOf(asObject(delta) ?? {}, "role"))) {
        message[name] = name === "tool_calls"
          ? joinCalls(asObjects(message[name]), asObjects(value))
          : joined(message[name], value)
      }
    },
    isPiece: ({ delta }) => !isEmpty(fieldsOf(asObject(delta) ?? {})),
    whole: ({ fields, message }) => ({ ...fields, message: { role: "assistant", ...message } })
  })

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
