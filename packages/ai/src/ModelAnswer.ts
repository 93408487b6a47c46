/**
 * The text of an answer of a `LanguageModel`: the sample that a cache keeps.
 *
 * **Details**
 *
 * The first line has the version, and whether the answer came whole or as a stream; a line of its own follows for each part.
 * The deltas of a text that came one behind the other are one line, `deltas`. Structured output has one more line: the
 * `object` as it was decoded, or the `objectError` that decoding it failed with. It has no `object` if the schema cannot
 * encode it, or decodes its encoding to another value: then the text is decoded in each replay.
 *
 * The HTTP response of a `finish` part is left out, because its headers may hold secrets.
 *
 * @since 0.1.0
 */
import type { Json } from "@llm-cache/core/Identity"
import type * as LlmModel from "@llm-cache/core/LlmModel"
import type * as Response from "effect/ai/Response"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { toParts as partsOf, toStream as streamOf } from "./internal/partForms.ts"

/**
 * The version of the encoding, in the first line of each answer.
 *
 * @category constants
 * @since 0.1.0
 */
export const version = "effect/ai/1"

/**
 * The structured output of an answer.
 *
 * @category models
 * @since 0.1.0
 */
export type AnswerObject =
  /** The decoded value, as JSON by the schema. */
  | { readonly _tag: "Value"; readonly value: Json }
  /** Why the provider's text could not be decoded. */
  | { readonly _tag: "Error"; readonly description: string; readonly responseText: string }

/**
 * An answer, as it can be stored.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer =
  | {
    readonly of: "whole"
    readonly parts: ReadonlyArray<Response.PartEncoded>
    readonly object?: AnswerObject | undefined
  }
  | {
    readonly of: "stream"
    readonly parts: ReadonlyArray<Response.StreamPartEncoded>
    readonly object?: undefined
  }

const deltaTypes = new Set(["text-delta", "reasoning-delta", "tool-params-delta"])

/**
 * The text of an answer.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (answer: Answer): string => {
  const lines: Array<unknown> = [{ answer: version, of: answer.of }]
  let run: { readonly type: string; readonly id: string; readonly deltas: Array<string> } | undefined
  for (const part of answer.parts) {
    const delta = bareDelta(part)
    if (delta === undefined) {
      run = undefined
      lines.push(part)
    } else if (run?.type === delta.type && run.id === delta.id) {
      run.deltas.push(delta.delta)
    } else {
      run = { type: delta.type, id: delta.id, deltas: [delta.delta] }
      lines.push(run)
    }
  }
  if (answer.object?._tag === "Value") lines.push({ object: answer.object.value })
  if (answer.object?._tag === "Error") {
    const { description, responseText } = answer.object
    lines.push({ objectError: description, responseText })
  }
  return lines.map((line) => JSON.stringify(line)).join("\n")
}

const bareDelta = (part: Response.AnyPartEncoded) =>
  deltaTypes.has(part.type) && "delta" in part && part.metadata === undefined ? part : undefined

/**
 * The answer of a text, or why the text has none.
 *
 * @category encoding
 * @since 0.1.0
 */
export const decode = (text: string): Result.Result<Answer, string> => {
  const lines: Array<unknown> = []
  try {
    for (const line of text.split("\n")) lines.push(JSON.parse(line))
  } catch {
    return Result.fail(`line ${lines.length + 1} is no JSON`)
  }
  const [first, ...others] = lines
  if (!Predicate.isObject(first) || !("answer" in first)) return Result.fail("the first line has no version")
  if (!("answer" in first) || first["answer"] !== version) {
    return Result.fail(`its version is ${JSON.stringify(first["answer"])}, and this package reads ${version}`)
  }
  if (first["of"] !== "whole" && first["of"] !== "stream") return Result.fail("the first line does not say its form")
  const parts: Array<object> = []
  let object: AnswerObject | undefined
  for (const [i, line] of others.entries()) {
    if (!Predicate.isObject(line)) return Result.fail(`line ${i + 2} is no part`)
    if ("object" in line) object = { _tag: "Value", value: line["object"] as Json }
    else if ("objectError" in line) {
      object = { _tag: "Error", description: String(line["objectError"]), responseText: String(line["responseText"]) }
    } else if ("deltas" in line && Array.isArray(line["deltas"])) {
      for (const delta of line["deltas"]) parts.push({ type: line["type"], id: line["id"], delta })
    } else if (typeof line["type"] === "string") parts.push(line)
    else return Result.fail(`line ${i + 2} is no part`)
  }
  return Result.succeed(
    first["of"] === "stream"
      ? { of: "stream", parts: parts as ReadonlyArray<Response.StreamPartEncoded> }
      : { of: "whole", parts: parts as ReadonlyArray<Response.PartEncoded>, object }
  )
}

/**
 * The parts of an answer for `generateText`: those of a stream are put together.
 *
 * @category getters
 * @since 0.1.0
 */
export const toParts = (answer: Answer): Array<Response.PartEncoded> =>
  answer.of === "whole" ? [...answer.parts] : partsOf(answer.parts)

/**
 * The parts of an answer for `streamText`: those of a whole answer are taken apart.
 *
 * @category getters
 * @since 0.1.0
 */
export const toStream = (answer: Answer): Array<Response.StreamPartEncoded> =>
  answer.of === "stream" ? [...answer.parts] : streamOf(answer.parts)

/**
 * An answer as a model of core gives it: its text, and the finish reason, tokens, model and id in its parts.
 *
 * @category getters
 * @since 0.1.0
 */
export const toGeneration = (answer: Answer): LlmModel.Generation => {
  let finish: Response.FinishPartEncoded | undefined
  let metadata: Response.ResponseMetadataPartEncoded | undefined
  for (const part of answer.parts) {
    if (part.type === "finish") finish = part
    else if (part.type === "response-metadata") metadata = { ...metadata, ...part }
  }
  return {
    samples: [{ text: encode(answer), finishReason: finish?.reason }],
    responseId: metadata?.id,
    model: metadata?.modelId,
    inputTokens: finish?.usage.inputTokens.total,
    outputTokens: finish?.usage.outputTokens.total
  }
}
