import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as DateTime from "effect/DateTime"
import * as Base64 from "effect/encoding/Base64"
import { write } from "./json.ts"

/**
 * A part of an answer, as JSON gives it back. Parameters of calls are as the model gave them. Throws `NoJson` for a part that
 * JSON cannot hold.
 */
export const encodePart = (part: Response.AnyPart): Response.AnyPartEncoded =>
  JSON.parse(write(fieldsOf(part), `the part ${part.type} of the answer`, false))

const fieldsOf = (part: Response.AnyPart): object => {
  const { metadata, ...rest } = part
  const fields = {
    ...rest,
    ...Object.keys(metadata).length === 0 ? {} : { metadata },
    [typeId]: undefined,
    ...changedFields(part)
  }
  return fields
}

/** The fields with a JSON of another form. */
const changedFields = (part: Response.AnyPart): object => {
  if (part.type === "file") return { data: Base64.encode(part.data) }
  if (part.type === "source") return part.sourceType === "url" ? { url: part.url.href } : {}
  if (part.type === "response-metadata") return { timestamp: part.timestamp && DateTime.formatIso(part.timestamp) }
  if (part.type === "finish") return { response: undefined }
  if (part.type === "tool-call") return { providerExecuted: part.providerExecuted || undefined }
  return part.type !== "tool-result" ? {} : {
    result: part.encodedResult,
    encodedResult: undefined,
    modelOutput: part.modelOutput?.map(outputOf),
    providerExecuted: part.providerExecuted || undefined,
    preliminary: part.preliminary || undefined
  }
}

const typeId = "~effect/ai/Response/Part"

const outputOf = (part: Prompt.ToolModelOutputPart): object =>
  part.type === "text"
    ? { type: "text", text: part.text, options: part.options }
    : {
      type: "file",
      mediaType: part.mediaType,
      fileName: part.fileName,
      data: part.data instanceof URL
        ? { _tag: "URL", href: part.data.href }
        : typeof part.data === "string"
        ? part.data
        : { _tag: "Uint8Array", base64: Base64.encode(part.data) },
      options: part.options
    }
