import { InvalidUserInputError } from "effect/ai/AiError"
import * as Prompt from "effect/ai/Prompt"
import * as Base64 from "effect/encoding/Base64"
import { asObject, asObjects, type JsonObject } from "../protocol/json.ts"

/** The field of options of prompts, and of metadata of answers, that belongs to this protocol. */
export const optionsName = "chatCompletions"

type Options = { readonly [provider: string]: unknown }

/** The fields that a part of a prompt adds to its part of the request. */
export const fieldsOf = (options: Options): JsonObject => asObject(options[optionsName]) ?? {}

/**
 * The messages of a prompt: https://platform.openai.com/docs/api-reference/chat/create. Throws an `InvalidUserInputError` for a
 * file that the protocol has no form for.
 */
export const messagesOf = ({ content }: Prompt.Prompt): Array<JsonObject> => content.flatMap(toMessages)

const toMessages = (message: Prompt.Message): ReadonlyArray<JsonObject> => {
  const fields = fieldsOf(message.options)
  switch (message.role) {
    case "system":
      return [{ ...fields, role: "system", content: message.content }]
    case "user":
      return [{ ...fields, role: "user", content: contentOf(message.content) }]
    case "assistant":
      return [{ ...fields, role: "assistant", ...assistantFields(message.content) }]
    case "tool":
      // An approval is the program's own, and its result follows by itself.
      return message.content.filter((part) => part.type === "tool-result").map((part) => ({
        ...fields,
        ...fieldsOf(part.options),
        role: "tool",
        tool_call_id: part.id,
        content: resultText(part)
      }))
  }
}

// Many servers take a text in place of parts only.
const contentOf = (parts: ReadonlyArray<Prompt.TextPart | Prompt.FilePart>): unknown => {
  const [first] = parts
  return parts.length === 1 && first?.type === "text" && Object.keys(fieldsOf(first.options)).length === 0
    ? first.text
    : parts.map((part) =>
      part.type === "text" ? { ...fieldsOf(part.options), type: "text", text: part.text } : filePart(part)
    )
}

// -----------------------------------------------------------------------------
// files
// -----------------------------------------------------------------------------

const filePart = (part: Prompt.FilePart): JsonObject => {
  const { fileName, mediaType, options } = part
  const { detail, ...fields } = fieldsOf(options)
  if (mediaType.startsWith("image/")) {
    const url = urlOf(part, mediaType === "image/*" ? "image/jpeg" : mediaType)
    return { ...fields, type: "image_url", image_url: detail === undefined ? { url } : { url, detail } }
  }
  const format = audioFormats[mediaType]
  if (format !== undefined) {
    return { ...fields, type: "input_audio", input_audio: { data: base64Of(part), format } }
  }
  if (mediaType === "application/pdf") {
    return { ...fields, type: "file", file: { filename: fileName ?? "file.pdf", file_data: urlOf(part, mediaType) } }
  }
  throw new InvalidUserInputError({
    description:
      `the protocol of chat completions has no form for a file of type ${mediaType}: give an image, a PDF, ` +
      "audio as WAV or MP3, or the text of the file as a part of type `text`"
  })
}

// https://platform.openai.com/docs/guides/audio
const audioFormats: Record<string, string> = {
  "audio/wav": "wav",
  "audio/x-wav": "wav",
  "audio/mpeg": "mp3",
  "audio/mp3": "mp3"
}

const urlOf = ({ data }: Prompt.FilePart, mediaType: string): string => {
  if (data instanceof URL) return data.href
  if (typeof data === "string" && /^(?:https?|data):/i.test(data)) return data
  return `data:${mediaType};base64,${typeof data === "string" ? data : Base64.encode(data)}`
}

const base64Of = ({ data, mediaType }: Prompt.FilePart): string => {
  const text = typeof data === "string" ? data : data instanceof URL ? data.href : Base64.encode(data)
  const base64 = /^data:[^,]*;base64,(.*)$/is.exec(text)?.[1] ?? text
  if (!/^https?:/i.test(base64)) return base64
  throw new InvalidUserInputError({
    description: `a file of type ${mediaType} is a URL, and the protocol takes audio only as data: give its bytes`
  })
}

// -----------------------------------------------------------------------------
// the assistant
// -----------------------------------------------------------------------------

// Calls and results that a provider executed by itself belong to another protocol.
const assistantFields = (parts: ReadonlyArray<Prompt.AssistantMessagePart>): JsonObject => {
  const files = parts.filter((part) => part.type === "file")
  const text = parts.filter((part) => part.type === "text").map((part) => part.text).join("")
  const calls = parts.filter((part) => part.type === "tool-call" && !part.providerExecuted)
  const content = files.length > 0
    ? [...text === "" ? [] : [{ type: "text", text }], ...files.map(filePart)]
    : text === "" && calls.length > 0
    ? null
    : text
  return {
    content,
    ...calls.length === 0 ? {} : { tool_calls: calls.map(toCall) },
    ...reasoningFields(parts.filter((part) => part.type === "reasoning"), calls.length > 0)
  }
}

const toCall = (part: Prompt.AssistantMessagePart): JsonObject => {
  const { id, name, options, params } = part as Prompt.ToolCallPart
  return { ...fieldsOf(options), id, type: "function", function: { name, arguments: JSON.stringify(params ?? {}) } }
}

// The reasoning goes back in the field that it came in: a model that calls tools goes on from it, and DeepSeek asks for it.
// Without a call, DeepSeek and others want it left out.
const reasoningFields = (parts: ReadonlyArray<Prompt.ReasoningPart>, hasCalls: boolean): JsonObject => {
  const details = parts.flatMap(({ options }) => asObjects(fieldsOf(options)["details"]) ?? [])
  if (details.length > 0) return { reasoning_details: details }
  const field = parts.map(({ options }) => fieldsOf(options)["field"]).find((field) => typeof field === "string")
  return field === undefined || !hasCalls ? {} : { [field]: parts.map(({ text }) => text).join("") }
}

// -----------------------------------------------------------------------------
// results of tools
// -----------------------------------------------------------------------------

const resultText = ({ modelOutput, result }: Prompt.ToolResultPart): string =>
  modelOutput !== undefined
    ? Prompt.toolModelOutputToText(modelOutput)
    : typeof result === "string"
    ? result
    : JSON.stringify(result) ?? ""
