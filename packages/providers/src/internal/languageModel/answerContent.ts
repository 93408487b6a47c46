import { ToolNotFoundError } from "effect/ai/AiError"
import type { ProviderOptions } from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import type { AnswerEnd, ToolCall } from "./answerParts.ts"
import { optionsName } from "./messages.ts"

type StreamParts = ReadonlyArray<Response.StreamPartEncoded>

/** The last parts of an answer: its calls of tools, and the finish. Throws a `ToolNotFoundError` for an unknown tool. */
export const lastParts = (
  { calls, finish }: AnswerEnd,
  { toolCallValidation, tools }: ProviderOptions,
  outputTool: string | undefined
): StreamParts => {
  const names = tools.map(({ name }) => name)
  const parts = calls.flatMap((call): StreamParts => {
    if (call.name === outputTool) return textParts(call)
    if (toolCallValidation !== "deferred" && !names.includes(call.name)) {
      throw new ToolNotFoundError({ toolName: call.name, availableTools: names })
    }
    return [toolCall(call)]
  })
  // Only a call of the program's tools ends a turn as a call.
  const isOutput = finish.reason === "tool-calls" && calls.length > 0 && calls.every(({ name }) => name === outputTool)
  return [...parts, isOutput ? { ...finish, reason: "stop" } : finish]
}

const textParts = ({ arguments: text, id }: ToolCall): StreamParts => [
  { type: "text-start", id },
  { type: "text-delta", id, delta: text },
  { type: "text-end", id }
]

const toolCall = ({ arguments: text, fields, id, name }: ToolCall): Response.ToolCallPartEncoded => ({
  type: "tool-call",
  id,
  name,
  params: paramsOf(text),
  ...Object.keys(fields).length === 0
    ? {}
    : { metadata: { [optionsName]: fields as Response.ProviderMetadata[string] } }
})

// Malformed arguments stay a text, which the tool rejects: its failure then says so to the model or to the program.
const paramsOf = (text: string): unknown => {
  if (text.trim() === "") return {}
  try {
    return Tool.unsafeSecureJsonParse(text)
  } catch {
    return text
  }
}

/** The parts of a stream as those of a whole answer. */
export const toWholeParts = (
  parts: StreamParts,
  mapText: (text: string) => string
): Array<Response.PartEncoded> => {
  const texts = new Map<string, { text: string; metadata?: Response.ProviderMetadata | undefined }>()
  const whole: Array<Response.PartEncoded> = []
  for (const part of parts) {
    if (part.type === "text-start" || part.type === "reasoning-start") {
      const open = { type: part.type === "text-start" ? "text" as const : "reasoning" as const, text: "" }
      texts.set(part.id, open)
      whole.push(open)
    } else if (part.type === "text-delta" || part.type === "reasoning-delta") {
      texts.get(part.id)!.text += part.delta
    } else if (part.type === "text-end" || part.type === "reasoning-end") {
      if (part.metadata !== undefined) texts.get(part.id)!.metadata = part.metadata
    } else if (isOfWhole(part)) {
      whole.push(part)
    }
  }
  return whole.map((part) => part.type === "text" ? { ...part, text: mapText(part.text) } : part)
}

const isOfWhole = (part: Response.StreamPartEncoded): part is Response.PartEncoded & Response.StreamPartEncoded =>
  !part.type.startsWith("tool-params") && part.type !== "error"
