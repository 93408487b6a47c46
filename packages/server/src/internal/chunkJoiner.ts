import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject } from "@llm-cache/core/Sample"
import { ChoicesJoiner, joined } from "./choicesJoiner.ts"
import { asCount, asObject, asObjects, asString, fieldsOf, isEmpty } from "./json.ts"

interface JoinedChoice {
  readonly fields: Record<string, Json>
  readonly message: Record<string, Json>
  readonly calls: Array<JsonObject>
  /** The places of calls by the index that the server gives them, where these differ. */
  readonly slots: Map<number, number>
  hasBegun: boolean
}

/** The field of a choice for the delta that its stream ends with. It holds no piece of the sample. */
export const lastField = "last_delta"

/**
 * https://platform.openai.com/docs/api-reference/chat-streaming/streaming
 *
 * Pieces are sent on as a replay tells them: clients join texts, so a role or a name that is repeated would be doubled.
 */
export const makeChunkJoiner = () =>
  new ChoicesJoiner<JoinedChoice>({
    empty: () => ({ fields: {}, message: {}, calls: [], slots: new Map(), hasBegun: false }),
    isReadable: ({ delta }) => {
      const message = asObject(delta ?? {})
      return message !== undefined && isContent(message["content"] ?? "") &&
        asObjects(message["tool_calls"] ?? [])?.every(isCall) === true
    },
    join: (choice, { delta, ...others }) => {
      const { fields, message } = choice
      for (const [name, value] of Object.entries(others)) {
        fields[name] = name === "logprobs" ? joined(fields[name], value) : value ?? fields[name] ?? value
      }
      const { role, tool_calls, ...texts } = asObject(delta) ?? {}
      for (const [name, value] of Object.entries(texts)) {
        message[name] = name === "content" ? joinContents(message[name], value) : joined(message[name], value)
      }
      const pieces = (asObjects(tool_calls) ?? []).map((piece) => joinCall(choice, piece))
      const { finish_reason, ...rest } = others
      if (typeof finish_reason === "string") {
        const isBlank = pieces.length === 0 && Object.values(texts).every((text) => text === null || text === "")
        fields[lastField] = isBlank ? texts : {}
        if (isBlank) return undefined
      }
      const begins = !choice.hasBegun
      if (isEmpty(fieldsOf({ ...texts, role: begins ? role : null })) && pieces.length === 0) return undefined
      choice.hasBegun = true
      return {
        ...rest,
        delta: {
          ...begins && { role: "assistant" },
          ...texts,
          ...pieces.length > 0 && { tool_calls: pieces }
        }
      }
    },
    whole: ({ calls, fields, message }) => ({
      ...fields,
      message: { role: "assistant", ...message, ...calls.length > 0 && { tool_calls: Object.values(calls) } }
    })
  })

const isContent = (content: Json): boolean => typeof content === "string" || Array.isArray(content)

const isCall = ({ function: called }: JsonObject): boolean => asObject(called ?? {}) !== undefined

/** Some models think in parts of a list, and go on with a text. Parts stay as they came, so that replays have them. */
const joinContents = (before: Json | undefined, piece: Json): Json => {
  if (!Array.isArray(before) && !Array.isArray(piece)) return joined(before, piece)
  const parts = partsOf(before)
  const last = asObject(parts.at(-1))
  return typeof piece === "string" && last?.["type"] === "text"
    ? [...parts.slice(0, -1), joined(last, { text: piece })]
    : [...parts, ...partsOf(piece)]
}

const partsOf = (content: Json | undefined): ReadonlyArray<Json> =>
  Array.isArray(content)
    ? content
    : typeof content === "string" && content !== ""
    ? [{ type: "text", text: content }]
    : []

/** Whole parts: a thought, or a part with an index, goes on with the part before, if that has its type and index. */
export const joinParts = (
  pieces: ReadonlyArray<Json>,
  isPiece = ({ index, type }: JsonObject): boolean => index !== undefined || type === "thinking"
): ReadonlyArray<Json> => {
  const parts: Array<Json> = []
  for (const piece of pieces) {
    const [last, next] = [asObject(parts.at(-1)), asObject(piece)]
    const grown = last && next && isPiece(next) ? grow(last, next) : undefined
    if (grown === undefined) parts.push(piece)
    else parts[parts.length - 1] = grown
  }
  return parts
}

const grow = (part: JsonObject, piece: JsonObject): JsonObject | undefined => {
  const name = ["text", "summary", "thinking"].find((name) => name in part && name in piece)
  if (name === undefined || part["type"] !== piece["type"] || part["index"] !== piece["index"]) return undefined
  const [before, more] = [part[name]!, piece[name]!]
  const whole = Array.isArray(before) && Array.isArray(more)
    ? joinParts([...before, ...more], () => true)
    : joined(before, more)
  return { ...part, ...fieldsOf(piece), [name]: whole }
}

/**
 * Of a call, only the arguments grow. Some servers repeat the other fields in each piece, or empty them. Some give each call
 * whole, without an index or all with the same one. A piece without an index and a name of its call goes on with the last call.
 */
const joinCall = ({ calls, slots }: JoinedChoice, { index, ...piece }: JsonObject): JsonObject => {
  const { arguments: args, ...named } = asObject(piece["function"]) ?? {}
  const begins = Boolean(asString(piece["id"]) || asString(named["name"]))
  const slot = asCount(index) ?? (begins ? calls.length : Math.max(0, calls.length - 1))
  const known = calls[slots.get(slot) ?? slot]?.["id"]
  const isNew = known !== undefined && asString(piece["id"]) && asString(named["name"]) && piece["id"] !== known
  if (isNew) slots.set(slot, calls.length)
  const at = slots.get(slot) ?? slot
  const call = calls[at] ?? {}
  const before = asObject(call["function"])
  const own = newFields(call, fieldsOf(piece, "function"))
  // Some servers give them as JSON, and not as its text.
  const text = typeof args === "object" && args !== null ? JSON.stringify(args) : asString(args)
  const told = {
    ...own,
    ...("function" in piece) && { function: { ...newFields(before ?? {}, named), ...fieldsOf({ arguments: text }) } }
  }
  calls[at] = {
    ...call,
    ...told,
    ...(before ?? told.function) && {
      function: { ...before, ...told.function, arguments: (asString(before?.["arguments"]) ?? "") + (text ?? "") }
    }
  }
  return { index: at, ...told }
}

/** The fields that are told for the first time. */
const newFields = (before: JsonObject, piece: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(fieldsOf(piece)).filter(([name, value]) =>
      before[name] === undefined || (before[name] === "" && value !== "")
    )
  )
