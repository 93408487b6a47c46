/**
 * OpenAI's chat completions: `POST /v1/chat/completions`.
 *
 * **Details**
 *
 * A plain request has one user's text, or a system text and a user's text. Not in the key: `stream`, `stream_options`, `n`, `user`,
 * `safety_identifier`, `metadata`, `store`, `service_tier` and `prompt_cache_*`. All other fields are in it, also those that are
 * unknown here. `null` and an empty list of tools count as absent.
 *
 * @since 0.1.0
 */
import type { Json } from "@llm-cache/core/Identity"
import type { GeneratedSample } from "@llm-cache/core/LlmModel"
import type { JsonObject, Sample } from "@llm-cache/core/Sample"
import { type ProviderErrorReason, UnusableResponse } from "@llm-cache/core/SampleError"
import * as Result from "effect/Result"
import { answerId, piecesOf, restOf } from "./internal/answer.ts"
import { type Form, parametersOf, readCall, readMessages, type Refused, wholeForm } from "./internal/call.ts"
import { joinParts, lastField, makeChunkJoiner } from "./internal/chunkJoiner.ts"
import { asObject, asObjects, asString, fieldsOf, isEmpty, joinTexts, omit } from "./internal/json.ts"
import { normalMessages } from "./internal/messages.ts"
import {
  chunkMaker,
  failedFinishReasons,
  failure,
  finishReasonOf,
  includesUsage,
  readChoices,
  streamFields,
  usageField,
  withoutEffect
} from "./internal/openAi.ts"
import type { Answered, Call, Protocol } from "./Protocol.ts"

/**
 * The protocol.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol: Protocol = {
  name: "chat",
  api: "openai",
  path: "/chat/completions",
  hasCount: true,
  read: (body) => readCall(body, protocol, formOf(body)),
  requestBody: ({ body }, { isStreamed, model, n }) => ({
    ...body,
    model,
    n: n === 1 ? undefined : n,
    ...streamFields(body, isStreamed)
  }),
  generation: (answer, n) => readChoices(answer, n, readChoice),
  makeJoiner: makeChunkJoiner,
  answer: (call, answered) => ({
    ...headOf(call, answered, "chat.completion"),
    choices: answered.samples.map((sample, index) => ({
      index,
      message: withWholeParts(messageOf(sample)),
      logprobs: null,
      ...omit(choiceOf(sample), lastField),
      finish_reason: finishReasonOf(sample.metadata.finishReason)
    })),
    ...usageField(answered, protocol.name)
  }),
  events: (call, answered) => {
    const chunk = chunkMaker(call, begunHead(headOf(call, answered, "chat.completion.chunk")))
    return answered.samples.flatMap((sample, index) => deltasOf(sample).map((choice) => chunk([{ index, ...choice }])))
  },
  lastEvents: (call, answered) => {
    const head = headOf(call, answered, "chat.completion.chunk")
    const chunk = chunkMaker(call, begunHead(head))
    return [
      ...answered.samples.map((sample, index) =>
        chunk([lastChoiceOf(sample, index)], index === answered.samples.length - 1 ? head : undefined)
      ),
      ...includesUsage(call) ? [chunk([], usageField(answered, protocol.name))] : [],
      { data: "[DONE]" }
    ]
  },
  failure,
  failureEvent: (failed, told = failure(failed)) => ({ data: JSON.stringify(told) })
}

// -----------------------------------------------------------------------------
// requests
// -----------------------------------------------------------------------------

/** Fields of requests that are more than a text for a text. */
const wholeFields = [
  "audio",
  "function_call",
  "functions",
  "logprobs",
  "modalities",
  "parallel_tool_calls",
  "system",
  "tool_choice",
  "tools",
  "top_logprobs",
  "web_search_options"
]

const formOf = (body: JsonObject): Result.Result<Form, Refused> =>
  Result.flatMap(readMessages(body), (messages) => {
    const parameters = parametersOf(body, "messages", ...withoutEffect)
    const plain = wholeFields.some((name) => name in parameters) ? undefined : plainForm(messages, parameters)
    return plain === undefined
      ? wholeForm(protocol.name, "messages", normalMessages(messages), parameters)
      : Result.succeed(plain)
  })

/** The prompt of the library, with the system text as its option `system`. */
const plainForm = (messages: ReadonlyArray<JsonObject>, parameters: JsonObject): Form | undefined => {
  const texts = messages.map((message) => {
    const { content, role, ...others } = fieldsOf(message)
    return isEmpty(others) && typeof content === "string" ? { role, content } : undefined
  })
  const [first, second] = texts
  if (texts.length === 1 && first?.role === "user") return { prompt: first.content, parameters }
  return texts.length === 2 && first?.role === "system" && second?.role === "user"
    ? { prompt: second.content, parameters: { ...parameters, system: first.content } }
    : undefined
}

// -----------------------------------------------------------------------------
// samples of an answer
// -----------------------------------------------------------------------------

const readChoice = (choice: JsonObject, shared: JsonObject): Result.Result<GeneratedSample, ProviderErrorReason> => {
  const message = asObject(choice["message"])
  const finishReason = asString(choice["finish_reason"])
  if (choice["error"] || (finishReason !== undefined && failedFinishReasons.test(finishReason))) {
    return Result.fail(new UnusableResponse({ description: "a choice of the answer failed" }))
  }
  if (message === undefined || (finishReason === undefined && asString(message["content"]) === undefined)) {
    return Result.fail(new UnusableResponse({ description: "a choice of the answer has no message" }))
  }
  const { content = null } = message
  const text = typeof content === "string"
    ? content
    : joinTexts(asObjects(content)?.map(({ text }) => text) ?? []) ?? ""
  const refusal = asString(message["refusal"])
  const reasoning = asString(message["reasoning_content"]) ?? asString(message["reasoning"])
  const kept: Record<string, Json> = omit(message, "role", "content", "refusal")
  if (reasoning !== undefined && kept["reasoning"] === undefined) delete kept["reasoning_content"]
  if (content !== contentOf(text, refusal, kept)) kept["content"] = content
  const own = omit(choice, "index", "message", "finish_reason")
  if (own["logprobs"] === null) delete own["logprobs"]
  const rest = { ...!isEmpty(kept) && { message: kept }, ...!isEmpty(own) && { choice: own }, ...shared }
  return Result.succeed({
    text,
    finishReason,
    refusal,
    reasoning,
    rest: isEmpty(rest) ? undefined : { [protocol.name]: rest }
  })
}

/** The content of a message, unless it is told otherwise. */
const contentOf = (text: string, refusal: string | undefined, kept: JsonObject): string | null =>
  text === "" && (refusal !== undefined || Boolean(kept["tool_calls"] ?? kept["function_call"] ?? kept["audio"]))
    ? null
    : text

// -----------------------------------------------------------------------------
// the answer of samples
// -----------------------------------------------------------------------------

const messageOf = (sample: Sample): JsonObject => {
  const { metadata: { reasoning, refusal }, text } = sample
  const kept = asObject(restOf(sample, protocol.name)["message"]) ?? {}
  return {
    role: "assistant",
    content: contentOf(text, refusal, kept),
    refusal: refusal ?? null,
    ...reasoning === undefined || typeof kept["reasoning"] === "string" ? undefined : { reasoning_content: reasoning },
    ...kept
  }
}

/** The lists of a message may have come in pieces. */
const withWholeParts = (message: JsonObject): JsonObject => ({
  ...message,
  ...Object.fromEntries(
    ["content", "reasoning_details"].flatMap((name) => {
      const parts = message[name]
      return Array.isArray(parts) ? [[name, joinParts(parts)]] : []
    })
  )
})

const headOf = (call: Call, answered: Answered, object: string): JsonObject => {
  const [first] = answered.samples
  return {
    id: answerId(answered, "chatcmpl-"),
    object,
    created: Math.floor((first?.metadata.createdAt ?? 0) / 1000),
    model: first?.metadata.model ?? call.model,
    ...omit(restOf(first, protocol.name), "message", "choice", "usage")
  }
}

// -----------------------------------------------------------------------------
// events
// -----------------------------------------------------------------------------

/** The head of all chunks but the last: clients count what is in an object of each chunk, such as a usage. */
const begunHead = (head: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(head).filter(([, value]) => typeof value !== "object"))

const choiceOf = (sample: Sample): JsonObject => asObject(restOf(sample, protocol.name)["choice"]) ?? {}

/** Fields for the thoughts of a model, which its servers stream before the content. */
const thoughtFields = ["reasoning_content", "reasoning"]

/** Servers of such models give each delta both fields, and programs read them. */
const nullThoughts = (message: JsonObject): JsonObject =>
  Object.fromEntries(thoughtFields.filter((name) => name in message).map((name) => [name, null]))

const deltasOf = (sample: Sample): ReadonlyArray<JsonObject> => {
  const message = messageOf(sample)
  const { content, reasoning_details: _, refusal, tool_calls, ...others } = message
  const nulls = nullThoughts(message)
  const { logprobs = null } = choiceOf(sample)
  const deltas: Array<JsonObject> = [
    { ...others, ...nulls, content: typeof content === "string" ? "" : null },
    ...thoughtsOf(message).map((thought) => ({ content: null, ...nulls, ...thought })),
    ...contentsOf(content).map((content) => ({ ...nulls, content })),
    ...typeof refusal === "string" ? piecesOf(refusal).map((refusal) => ({ refusal })) : [],
    ...(asObjects(tool_calls) ?? []).map((call, index) => ({ tool_calls: [{ index, ...call }] }))
  ]
  const logged = Math.max(0, deltas.findIndex(({ content }) => typeof content === "string" && content !== ""))
  return deltas.map((delta, i) => ({ delta, logprobs: i === logged ? logprobs : null, finish_reason: null }))
}

const thoughtsOf = (message: JsonObject): ReadonlyArray<JsonObject> => {
  const [name = ""] = thoughtFields.filter((name) => typeof message[name] === "string")
  const text = asString(message[name]) ?? ""
  const details = asObjects(message["reasoning_details"]) ?? []
  return joinTexts(details.map(({ text }) => text)) === text
    ? details.map((detail) => ({ [name]: detail["text"] ?? null, reasoning_details: [detail] }))
    : [
      ...piecesOf(text).map((piece) => ({ [name]: piece })),
      ...details.map((detail) => ({ reasoning_details: [detail] }))
    ]
}

const contentsOf = (content: Json | undefined): ReadonlyArray<Json> =>
  typeof content === "string"
    ? piecesOf(content)
    : (asObjects(content) ?? []).flatMap((part): ReadonlyArray<Json> =>
      part["type"] === "text" && typeof part["text"] === "string" ? piecesOf(part["text"]) : [[part as Json]]
    )

const lastChoiceOf = (sample: Sample, index: number): JsonObject => {
  const nulls = nullThoughts(messageOf(sample))
  const { [lastField]: last, ...own } = choiceOf(sample)
  return {
    index,
    delta: { ...last === undefined && !isEmpty(nulls) && { content: "" }, ...nulls, ...asObject(last) },
    ...own,
    logprobs: null,
    finish_reason: finishReasonOf(sample.metadata.finishReason)
  }
}
