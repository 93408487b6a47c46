/**
 * OpenAI's responses: `POST /v1/responses`, see https://platform.openai.com/docs/api-reference/responses.
 *
 * **Details**
 *
 * A plain request has one user's text as its `input`, with or without `instructions` or a message of the system, which are the
 * parameter `system` of its identity. Not in the key: `stream`, `stream_options`, `user`, `safety_identifier`, `metadata`, `store`,
 * `service_tier`, `prompt_cache_*`, and the keys of tools: `authorization`, `headers`, `domain_secrets`. All other fields are in it, also unknown ones. `null` and an empty list of tools count as absent.
 *
 * Ids of items that the request has whole are numbered by their first use. The id of any other item (an `item_reference`, or
 * reasoning without `encrypted_content`) stands for a content that only the vendor knows, so it is in the key as it is, like
 * `previous_response_id`. Replays have the ids of the first run, and therefore the same keys.
 *
 * **Gotchas**
 *
 * A replayed program that asks a new question with such an id gets the vendor's error if the vendor has no longer kept the answer,
 * or never did because of `store: false`. Requests with `background` or `conversation` pass to the upstream
 * uncached: the first has no sample in its answer, and the second a state that each request changes.
 *
 * @since 0.1.0
 */
import type { Json } from "@llm-cache/core/Identity"
import type { Generation } from "@llm-cache/core/LlmModel"
import type { JsonObject, Sample } from "@llm-cache/core/Sample"
import { type ProviderErrorReason, UnusableResponse } from "@llm-cache/core/SampleError"
import * as Result from "effect/Result"
import { answerId, restOf, usageOf } from "./internal/answer.ts"
import { bad, type Form, parametersOf, readCall, type Refused, uncacheable, wholeForm } from "./internal/call.ts"
import { asCount, asObject, asObjects, asString, fieldsOf, isEmpty, joinTexts, omit } from "./internal/json.ts"
import { normalMessages } from "./internal/messages.ts"
import { failure, finishReasonOf, withoutEffect } from "./internal/openAi.ts"
import { eventsOf, lastEventOf } from "./internal/responseEvents.ts"
import { ResponseJoiner } from "./internal/responseJoiner.ts"
import type { Answered, Call, Protocol } from "./Protocol.ts"

/**
 * The protocol.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol: Protocol = {
  name: "responses",
  api: "openai",
  path: "/responses",
  hasCount: false,
  read: (body) => readCall(body, protocol, formOf(body)),
  requestBody: ({ body }, { isStreamed, model }) => ({
    ...body,
    model,
    stream: isStreamed ? true : undefined,
    stream_options: isStreamed ? body["stream_options"] : undefined
  }),
  generation: (answer) => readAnswer(answer),
  statusOf: ({ code }) => statuses.find(([name]) => name === code)?.[1],
  makeJoiner: () => new ResponseJoiner(),
  answer: (call, answered) => responseOf(call, answered),
  events: (call, answered) => eventsOf(responseOf(call, answered)),
  lastEvents: (call, answered) => [lastEventOf(responseOf(call, answered))],
  failure,
  failureEvent: (failed, told = failure(failed)) => {
    const error = asObject(told["error"]) ?? {}
    const words = { type: "server_error", code: null, message: failed.message, param: null, ...error }
    // OpenAI documents the fields beside the type, and sends them as an `error`.
    return { event: "error", data: JSON.stringify({ ...words, type: "error", error: words }) }
  },
  withNumber: (data, number) => `${data.slice(0, -1)},"sequence_number":${number}}`
}

/** Of the errors with which a response fails after its headers. */
const statuses: ReadonlyArray<readonly [code: string, status: number]> = [
  ["insufficient_quota", 429],
  ["invalid_prompt", 400],
  ["rate_limit_exceeded", 429],
  ["server_error", 500]
]

// -----------------------------------------------------------------------------
// requests
// -----------------------------------------------------------------------------

/** Fields of requests that are more than a text for a text. */
const wholeFields = [
  "context_management",
  "include",
  "max_tool_calls",
  "moderation",
  "parallel_tool_calls",
  "previous_response_id",
  "prompt",
  "system",
  "tool_choice",
  "tools",
  "top_logprobs"
]

const formOf = (body: JsonObject): Result.Result<Form, Refused> => {
  const items = itemsOf(body)
  if (items === undefined) {
    return bad(
      "`input` is no text and no list of items: give one, such as `[{\"role\": \"user\", \"content\": \"…\"}]`"
    )
  }
  if (body["background"] === true) return uncacheable("`background` has no sample in its answer")
  if (asObject(body["conversation"]) ?? asString(body["conversation"])) {
    return uncacheable("`conversation` has a state that each request changes")
  }
  const parameters = parametersOf(body, "input", ...withoutEffect)
  const tools = asObjects(parameters["tools"])
  // Tools can have keys of other servers, which are stored nowhere.
  if (tools !== undefined) parameters["tools"] = normalMessages(tools, () => false)
  const plain = wholeFields.some((name) => name in parameters) ? undefined : plainForm(items, parameters)
  return plain === undefined ? wholeFormOf(items, parameters) : Result.succeed(plain)
}

const itemsOf = ({ input, previous_response_id, prompt }: JsonObject): ReadonlyArray<JsonObject> | undefined => {
  if (typeof input === "string") return [{ role: "user", content: input }]
  const items = asObjects(input ?? [])
  return items?.length === 0 && !prompt && !previous_response_id ? undefined : items
}

/** The prompt of the library, with the system text as its option `system`. */
const plainForm = (
  items: ReadonlyArray<JsonObject>,
  { instructions, ...parameters }: JsonObject
): Form | undefined => {
  const [first, second] = items.map(textOf)
  if (items.length === 1 && first?.role === "user") {
    if (instructions === undefined) return { prompt: first.text, parameters }
    return typeof instructions === "string"
      ? { prompt: first.text, parameters: { ...parameters, system: instructions } }
      : undefined
  }
  return items.length === 2 && instructions === undefined && first?.role === "system" && second?.role === "user"
    ? { prompt: second.text, parameters: { ...parameters, system: first.text } }
    : undefined
}

/** The text of a message that is one text. */
const textOf = (item: JsonObject): { readonly role: Json | undefined; readonly text: string } | undefined => {
  const { content, role, type = "message", ...others } = fieldsOf(item)
  if (type !== "message" || !isEmpty(others)) return undefined
  if (typeof content === "string") return { role, text: content }
  const [part, ...more] = asObjects(content) ?? []
  const { text, type: kind, ...rest } = fieldsOf(part ?? {}, "prompt_cache_breakpoint")
  return more.length === 0 && kind === "input_text" && typeof text === "string" && isEmpty(rest)
    ? { role, text }
    : undefined
}

const wholeFormOf = (
  items: ReadonlyArray<JsonObject>,
  { previous_response_id, prompt: template, ...parameters }: JsonObject
): Result.Result<Form, Refused> => {
  // They belong to the question, and differ from turn to turn, so they make no identity.
  const before = fieldsOf({ previous_response_id, prompt: template })
  const ids = new Set(items.filter(isWhole).flatMap(({ call_id, id }) => [call_id, id]))
  const normal = normalMessages(isEmpty(before) ? items : [before, ...items], (id) => ids.has(id))
  return wholeForm(protocol.name, "input", normal, parameters)
}

/** Items with all of their content, unlike items by id, which the vendor looks up. */
const wholeTypes = /^(?:message|(?:apply_patch|computer|custom_tool|function|local_shell|shell)_call)$/

const isWhole = ({ encrypted_content, type }: JsonObject): boolean =>
  wholeTypes.test(asString(type) ?? "message") || typeof encrypted_content === "string"

// -----------------------------------------------------------------------------
// samples of an answer
// -----------------------------------------------------------------------------

/** Fields that an answer repeats from its request. */
const repeatedFields = [
  "instructions",
  "metadata",
  "prompt",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
  "safety_identifier",
  "tools",
  "user"
]

const readAnswer = (answer: JsonObject): Result.Result<Generation, ProviderErrorReason> => {
  const output = asObjects(answer["output"])
  const status = asString(answer["status"]) ?? "completed"
  if (output === undefined) return Result.fail(new UnusableResponse({ description: "the answer has no output" }))
  if (status !== "completed" && status !== "incomplete") {
    return Result.fail(new UnusableResponse({ description: `the answer is ${status}` }))
  }
  const parts = output.flatMap(({ content, type }) => type === "message" ? asObjects(content) ?? [] : [])
  const texts = parts.flatMap(({ text, type }) => type === "output_text" && typeof text === "string" ? [text] : [])
  const usage = asObject(answer["usage"])
  return Result.succeed({
    samples: [{
      text: texts.join(""),
      finishReason: status === "completed" ? reasonOf(output) : incompleteReasonOf(answer),
      refusal: joinTexts(parts.map(({ refusal }) => refusal)),
      reasoning: reasoningOf(output),
      rest: {
        [protocol.name]: {
          ...fieldsOf(answer, "id", "object", "model", "status", "output_text", "text", ...repeatedFields),
          ...withoutFormat(asObject(answer["text"])),
          output: texts.length === 1 ? output.map(withoutText) : output,
          ...status === "incomplete" ? { status } : undefined
        }
      }
    }],
    responseId: asString(answer["id"]),
    model: asString(answer["model"]),
    inputTokens: asCount(usage?.["input_tokens"]),
    outputTokens: asCount(usage?.["output_tokens"])
  })
}

/** A format is repeated from the request, and may be a long schema. */
const withoutFormat = (text: JsonObject = {}): JsonObject => {
  const own = omit(text, "format")
  return isEmpty(own) ? {} : { text: own }
}

/** Finish reasons are in the words of chat completions, for every reader of the sample. */
const reasonOf = (output: ReadonlyArray<JsonObject>): string =>
  output.some(({ type }) => type === "function_call" || type === "custom_tool_call") ? "tool_calls" : "stop"

const incompleteReasonOf = ({ incomplete_details }: JsonObject): string => {
  const reason = asString(asObject(incomplete_details)?.["reason"]) ?? "incomplete"
  return reason === "max_output_tokens" ? "length" : reason
}

const reasoningOf = (output: ReadonlyArray<JsonObject>): string | undefined =>
  joinTexts(
    output.flatMap(({ content, summary, type }) =>
      type === "reasoning" ? [content, summary].flatMap((parts) => asObjects(parts)?.map(({ text }) => text) ?? []) : []
    ),
    "\n\n"
  )

/** The only text of an answer is the text of its sample. */
const withoutText = (item: JsonObject): JsonObject => {
  const parts = item["type"] === "message" ? asObjects(item["content"]) : undefined
  return parts === undefined ? item : {
    ...item,
    content: parts.map((part) => part["type"] === "output_text" ? fieldsOf(part, "text") : part)
  }
}

// -----------------------------------------------------------------------------
// the answer of samples
// -----------------------------------------------------------------------------

/** The fields that every answer has. */
const defaults = {
  incomplete_details: null,
  instructions: null,
  max_output_tokens: null,
  max_tool_calls: null,
  metadata: {},
  parallel_tool_calls: true,
  previous_response_id: null,
  prompt_cache_key: null,
  safety_identifier: null,
  temperature: null,
  text: { format: { type: "text" } },
  tool_choice: "auto",
  tools: [],
  top_p: null,
  truncation: "disabled",
  user: null
}

const responseOf = (call: Call, answered: Answered): JsonObject => {
  const [sample] = answered.samples
  const { metadata: { createdAt = 0, model = call.model } } = sample!
  const { output, store, text, ...own } = restOf(sample, protocol.name)
  const details = incompleteDetailsOf(sample!)
  return {
    id: answerId(answered, "resp_"),
    object: "response",
    created_at: Math.floor(createdAt / 1000),
    status: details === undefined ? "completed" : "incomplete",
    error: null,
    model,
    ...defaults,
    // It is the default of the vendor, and each request has its own.
    ...store !== undefined && { store: true },
    ...details && { incomplete_details: details },
    ...fieldsOf(call.body, "include", "input", "model", "n", "service_tier", "stream", "stream_options"),
    ...own,
    text: { ...defaults.text, ...asObject(text), ...asObject(call.body["text"]) },
    output: asObjects(output)?.map((item) => withText(item, sample!)) ?? outputOf(sample!, answerId(answered, "")),
    ...usageField(answered)
  }
}

const incompleteReasons: { readonly [reason: string]: string } = {
  content_filter: "content_filter",
  length: "max_output_tokens"
}

const incompleteDetailsOf = ({ metadata: { finishReason } }: Sample): JsonObject | undefined => {
  const reason = incompleteReasons[finishReasonOf(finishReason)]
  return reason === undefined ? undefined : { reason }
}

const withText = (item: JsonObject, { text }: Sample): JsonObject => {
  const parts = item["type"] === "message" ? asObjects(item["content"]) : undefined
  return parts === undefined ? item : {
    ...item,
    content: parts.map((part) => part["type"] === "output_text" ? { text, ...part } : part)
  }
}

/** The output of a sample of another protocol. */
const outputOf = ({ metadata: { reasoning, refusal }, text }: Sample, id: string): ReadonlyArray<JsonObject> => [
  ...reasoning === undefined ? [] : [{
    id: `rs_${id}`,
    type: "reasoning",
    summary: [{ type: "summary_text", text: reasoning }]
  }],
  {
    id: `msg_${id}`,
    type: "message",
    status: "completed",
    role: "assistant",
    content: [
      ...text === "" && refusal !== undefined ? [] : [{ type: "output_text", annotations: [], logprobs: [], text }],
      ...refusal === undefined ? [] : [{ type: "refusal", refusal }]
    ]
  }
]

const usageField = ({ samples }: Answered): JsonObject => {
  const usage = usageOf(samples, protocol.name)
  if (usage === undefined) return {}
  const { inputTokens, outputTokens, own } = usage
  return {
    usage: own ?? {
      input_tokens: inputTokens,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: outputTokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: inputTokens + outputTokens
    }
  }
}
