import type { ProviderErrorReason } from "@llm-cache/core/SampleError"
import type * as Response from "effect/ai/Response"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { failedFinishReasons, reasoningFieldOf, refusalOf, textOf } from "../protocol/chatCompletions.ts"
import { asName, asObject, asObjects, asString, asTokenCount, type JsonObject } from "../protocol/json.ts"
import type { Answer } from "../protocol/protocol.ts"
import { failedPart, unusable } from "../protocol/unusableAnswer.ts"
import type { Excerpt } from "../request/excerpt.ts"
import { optionsName } from "./messages.ts"

/** A tool call as it came, with its arguments as text. */
export interface ToolCall {
  readonly id: string
  readonly name: string
  readonly arguments: string
  /** Fields beside those of the protocol, which go back with the call, such as Gemini's signature of a thought. */
  readonly fields: JsonObject
}

/** The end of an answer. */
export interface AnswerEnd {
  readonly responseId: string | undefined
  readonly model: string | undefined
  /** The finish reason in the server's words. */
  readonly finishReason: string | undefined
  readonly finish: Response.FinishPartEncoded
  readonly inputTokens: number | undefined
  readonly outputTokens: number | undefined
  readonly calls: ReadonlyArray<ToolCall>
}

type Parts = Array<Response.StreamPartEncoded>

/** Reads an answer, whole or in chunks, into the parts of a stream. */
export interface AnswerReader {
  /** Reads a chunk, or a whole completion. */
  readonly read: (chunk: JsonObject, answer: Answer) => Result.Result<Parts, ProviderErrorReason>
  /** Whether the model has said that it is done. */
  readonly isFinished: () => boolean
  /** Closes the parts that are open. */
  readonly end: (
    answer: Answer
  ) => Result.Result<{ readonly parts: Parts; readonly end: AnswerEnd }, ProviderErrorReason>
}

interface OpenCall {
  readonly id: string
  readonly sentId: string | undefined
  readonly key: unknown
  name: string
  arguments: string
  isOpen: boolean
  fields: JsonObject
}

/** Makes a reader of one answer. `makeId` names calls of tools that come without an id. */
export const makeAnswerReader = (makeId: () => string, excerpt: Excerpt): AnswerReader => {
  let header: JsonObject = {}
  let isHeaderSent = false
  let usage: JsonObject | undefined
  let finishReason: string | undefined
  let refusal = ""
  let opened = 0
  let hasContent = false
  let details: ReadonlyArray<JsonObject> = []
  const calls: Array<OpenCall> = []
  const open = {
    text: undefined as OpenText | undefined,
    reasoning: undefined as (OpenText & { readonly field: string | undefined }) | undefined
  }

  const close = (type: "text" | "reasoning", parts: Parts) => {
    const block = open[type]
    if (block === undefined) return
    if (block.held !== "") parts.push({ type: `${type}-delta`, id: block.id, delta: block.held.toWellFormed() })
    const metadata = type === "reasoning" ? reasoningMetadata(open.reasoning?.field, details) : undefined
    parts.push({ type: `${type}-end`, id: block.id, ...metadata })
    open[type] = undefined
    if (type === "reasoning") details = []
  }

  const openReasoning = (field: string | undefined, parts: Parts) => {
    if (open.reasoning !== undefined) return
    open.reasoning = { id: `reasoning-${opened++}`, held: "", field }
    parts.push({ type: "reasoning-start", id: open.reasoning.id })
  }

  const append = (type: "text" | "reasoning", piece: string, parts: Parts) => {
    const block = open[type]!
    const [delta, held] = splitAtSurrogate(block.held + piece)
    block.held = held
    if (delta !== "") parts.push({ type: `${type}-delta`, id: block.id, delta })
  }

  const readReasoning = (delta: JsonObject, parts: Parts) => {
    const reasoning = reasoningFieldOf(delta)
    const pieces = asObjects(delta["reasoning_details"]) ?? []
    if (reasoning === undefined && pieces.length === 0) return
    openReasoning(reasoning?.field, parts)
    details = pieces.reduce(mergeDetail, details)
    if (reasoning !== undefined) append("reasoning", reasoning.text, parts)
  }

  const readText = (piece: string, parts: Parts) => {
    // A signature of the reasoning may still come.
    if (details.length === 0) close("reasoning", parts)
    if (open.text === undefined) {
      open.text = { id: `text-${opened++}`, held: "" }
      parts.push({ type: "text-start", id: open.text.id })
    }
    append("text", piece, parts)
  }

  const readCall = (piece: JsonObject, position: number, parts: Parts) => {
    const { function: called, id, index, type: _, ...fields } = piece
    const { arguments: args, name } = asObject(called) ?? {}
    const sentId = asString(id) || undefined
    const key = index ?? sentId ?? position
    // Some servers give all calls one index, and each an id of its own. Without both, a piece goes on with the last call.
    let call = (index ?? sentId) === undefined && (name ?? "") === ""
      ? calls.at(-1)
      : calls.findLast((call) => call.key === key)
    if (call === undefined || (sentId !== undefined && call.sentId !== undefined && call.sentId !== sentId)) {
      call = { id: sentId ?? makeId(), sentId, key, name: "", arguments: "", isOpen: false, fields: {} }
      calls.push(call)
    }
    call.fields = { ...call.fields, ...fields }
    if (typeof name === "string" && !call.isOpen) call.name += name
    const text = typeof args === "string" ? args : args === undefined || args === null ? "" : JSON.stringify(args)
    call.arguments += text
    if (call.name === "") return
    if (!call.isOpen) {
      if (details.length === 0) close("reasoning", parts)
      close("text", parts)
      parts.push({ type: "tool-params-start", id: call.id, name: call.name })
      call.isOpen = true
      if (call.arguments !== "") parts.push({ type: "tool-params-delta", id: call.id, delta: call.arguments })
    } else if (text !== "") {
      parts.push({ type: "tool-params-delta", id: call.id, delta: text })
    }
  }

  const headerParts = (): Parts => {
    if (isHeaderSent) return []
    isHeaderSent = true
    const { created, id, model } = header
    const time = typeof created === "number" ? Option.getOrUndefined(DateTime.make(created * 1000)) : undefined
    return [{
      type: "response-metadata",
      id: asName(id, excerpt),
      modelId: asName(model, excerpt),
      timestamp: time === undefined ? undefined : DateTime.formatIso(time)
    }]
  }

  return {
    isFinished: () => finishReason !== undefined,
    read: (chunk, answer) => {
      header = { ...withoutNull(chunk), ...withoutNull(header) }
      usage = asObject(chunk["usage"]) ?? usage
      const given = objectsOf(chunk["choices"])
      if (given === undefined) return malformed(chunk, answer)
      const choice = given.find(({ index }) => (index ?? 0) === 0)
      if (choice === undefined) return Result.succeed([])
      // Moonshot puts the usage into the choice.
      usage = asObject(choice["usage"]) ?? usage
      const reason = asName(choice["finish_reason"], excerpt)
      if (choice["error"] || (reason !== undefined && failedFinishReasons.test(reason))) {
        return Result.fail(failedPart(choice, answer))
      }
      finishReason = reason ?? finishReason
      const delta = asObject(choice["delta"] ?? choice["message"] ?? {})
      const text = delta === undefined ? undefined : textOf(delta)
      const pieces = objectsOf(delta?.["tool_calls"])
      if (delta === undefined || text === undefined || !pieces?.every(isCall)) return malformed(choice, answer)
      const parts: Parts = []
      readReasoning(delta, parts)
      if (text !== null && text !== "") readText(text, parts)
      refusal += refusalOf(delta) ?? ""
      const others = [...filesOf(delta), ...sourcesOf(delta, () => `source-${opened++}`)]
      parts.push(...others)
      const isWhole = choice["delta"] === undefined
      for (const [position, call] of pieces.entries()) {
        // In a whole answer each is a call of its own, also with the id of another one.
        readCall(isWhole ? { ...call, index: position } : call, position, parts)
      }
      // A message with an empty text is an answer. The first chunk of a stream is not.
      hasContent ||= parts.length > 0 || (text === "" && choice["message"] !== undefined)
      return Result.succeed(parts.length === 0 ? parts : [...headerParts(), ...parts])
    },
    end: (answer) => {
      const parts = headerParts()
      close("reasoning", parts)
      close("text", parts)
      if (refusal !== "") {
        const id = `text-${opened++}`
        parts.push({ type: "text-start", id }, { type: "text-end", id, metadata: { [optionsName]: { refusal } } })
      }
      if (finishReason === undefined && refusal === "" && !hasContent) {
        return Result.fail(unusable("the answer has neither content nor a finish reason", answer))
      }
      if (calls.some((call) => !call.isOpen && call.arguments !== "")) {
        return Result.fail(unusable("a call of a tool has no name", answer))
      }
      for (const call of calls) if (call.isOpen) parts.push({ type: "tool-params-end", id: call.id })
      const named = calls.filter((call) => call.isOpen)
      const { prompt_tokens, completion_tokens } = usage ?? {}
      return Result.succeed({
        parts,
        end: {
          responseId: asName(header["id"], excerpt),
          model: asName(header["model"], excerpt),
          finishReason,
          inputTokens: asTokenCount(prompt_tokens),
          outputTokens: asTokenCount(completion_tokens),
          calls: named,
          finish: {
            type: "finish",
            reason: finishReasonOf(finishReason, refusal !== "", named.length > 0),
            usage: usageOf(usage ?? {}),
            ...finishMetadata({
              finishReason,
              refusal: refusal || undefined,
              serviceTier: asName(header["service_tier"], excerpt)
            })
          }
        }
      })
    }
  }
}

const malformed = (part: JsonObject, answer: Answer) =>
  Result.fail(unusable("a choice of the answer is malformed", { ...answer, body: JSON.stringify(part) }))

// An item that is no object would be a piece of the answer that is lost.
const objectsOf = (value: unknown): ReadonlyArray<JsonObject> | undefined =>
  value === undefined || value === null
    ? []
    : Array.isArray(value) && value.every((item) => asObject(item) !== undefined)
    ? value
    : undefined

const isCall = ({ function: called }: JsonObject): boolean => asObject(called ?? {}) !== undefined

interface OpenText {
  readonly id: string
  /** Half of a character, whose other half comes next. */
  held: string
}

const splitAtSurrogate = (text: string): readonly [string, string] =>
  /[\ud800-\udbff]$/.test(text) ? [text.slice(0, -1).toWellFormed(), text.slice(-1)] : [text.toWellFormed(), ""]

const withoutNull = ({ choices: _, ...fields }: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== ""))

const finishMetadata = (fields: { readonly [name: string]: string | undefined }) => {
  const given = Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined)
  return given.length === 0 ? {} : { metadata: { [optionsName]: Object.fromEntries(given) } }
}

// -----------------------------------------------------------------------------
// reasoning
// -----------------------------------------------------------------------------

const reasoningMetadata = (field: string | undefined, details: ReadonlyArray<JsonObject>) => {
  const fields = { ...field === undefined ? {} : { field }, ...details.length === 0 ? {} : { details } }
  return Object.keys(fields).length === 0
    ? {}
    : { metadata: { [optionsName]: fields as Response.ProviderMetadata[string] } }
}

// https://openrouter.ai/docs/use-cases/reasoning-tokens
const mergeDetail = (details: ReadonlyArray<JsonObject>, piece: JsonObject): ReadonlyArray<JsonObject> => {
  const { index, type } = piece
  const at = index === undefined
    ? -1
    : details.findIndex((detail) => detail["index"] === index && detail["type"] === type)
  if (at < 0) return [...details, piece]
  const merged: Record<string, unknown> = { ...details[at] }
  for (const [name, value] of Object.entries(piece)) {
    const before = merged[name]
    const isText = ["text", "summary", "data"].includes(name) && typeof before === "string" && typeof value === "string"
    merged[name] = isText ? before + value : value ?? before
  }
  return details.with(at, merged)
}

// -----------------------------------------------------------------------------
// files and sources
// -----------------------------------------------------------------------------

// https://openrouter.ai/docs/features/multimodal/image-generation
const filesOf = ({ images }: JsonObject): Parts =>
  (asObjects(images) ?? []).flatMap(({ image_url }) => {
    const [, mediaType, data] =
      /^data:([^;,]+);base64,([\w+/=-]+)$/.exec(asString(asObject(image_url)?.["url"]) ?? "") ?? []
    return mediaType === undefined || data === undefined ? [] : [{ type: "file" as const, mediaType, data }]
  })

// https://platform.openai.com/docs/guides/tools-web-search
const sourcesOf = ({ annotations }: JsonObject, makeId: () => string): Parts =>
  (asObjects(annotations) ?? []).flatMap(({ url_citation }) => {
    const { title, url } = asObject(url_citation) ?? {}
    return typeof url === "string" && URL.canParse(url)
      ? [{ type: "source" as const, sourceType: "url" as const, id: makeId(), url, title: asString(title) ?? url }]
      : []
  })

// -----------------------------------------------------------------------------
// the end
// -----------------------------------------------------------------------------

const finishReasonOf = (
  reason: string | undefined,
  isRefused: boolean,
  hasCalls: boolean
): Response.FinishReason => {
  if (isRefused) return "content-filter"
  switch (reason?.toLowerCase()) {
    case undefined:
      return "unknown"
    case "stop":
    case "eos":
    case "end_turn":
    case "stop_sequence":
    case "complete":
      // Many servers say so after a call, too.
      return hasCalls ? "tool-calls" : "stop"
    case "tool_calls":
    case "tool_use":
    case "function_call":
      return "tool-calls"
    case "length":
    case "max_tokens":
    case "model_length":
      return "length"
    case "content_filter":
    case "content-filter":
    case "safety":
    case "sensitive":
    case "recitation":
    case "prohibited_content":
      return "content-filter"
    default:
      return "other"
  }
}

const usageOf = (usage: JsonObject): Response.FinishPartEncoded["usage"] => {
  const {
    completion_tokens,
    completion_tokens_details,
    prompt_cache_hit_tokens,
    prompt_tokens,
    prompt_tokens_details
  } = usage
  const input = asTokenCount(prompt_tokens)
  const output = asTokenCount(completion_tokens)
  const { cache_write_tokens, cached_tokens } = asObject(prompt_tokens_details) ?? {}
  const cacheRead = asTokenCount(cached_tokens) ?? asTokenCount(prompt_cache_hit_tokens)
  const reasoning = asTokenCount(asObject(completion_tokens_details)?.["reasoning_tokens"])
  return {
    inputTokens: {
      uncached: asTokenCount((input ?? NaN) - (cacheRead ?? 0)),
      total: input,
      cacheRead,
      cacheWrite: asTokenCount(cache_write_tokens)
    },
    outputTokens: { total: output, text: asTokenCount((output ?? NaN) - (reasoning ?? 0)), reasoning }
  }
}
