/**
 * Anthropic's messages: `POST /v1/messages`, https://platform.claude.com/docs/en/api/messages/create
 *
 * **Details**
 *
 * A plain request has one user's text, with or without a system text; a text may be the only block of its list. It has the key of
 * `Anthropic` in `@llm-cache/providers` with the same `parameters`, `max_tokens` among them. Requests with `thinking` are whole,
 * because programs send its signed blocks back, and the library keeps no signatures.
 *
 * Not in the key: `stream`, `metadata`, `service_tier`, `diagnostics`, `billing_policy` and `fallback_credit_token`; anywhere in it
 * `cache_control`, `eager_input_streaming` and the `authorization_token` of a tool's server. All other fields are in it, also those
 * that are unknown here. `null` and an empty list of tools count as absent.
 *
 * The features that the header `anthropic-beta` turns on change samples, so their sorted names are the parameter `anthropic-beta`
 * of the key. Without effect are those of streams, of Anthropic's own cache, and of the way to log in. The header `anthropic-version`
 * is not in the key: versions differ in the requests that they accept, https://platform.claude.com/docs/en/api/versioning
 *
 * A sample with reasoning without a signature, which the library or another protocol bought, is told without its reasoning:
 * Anthropic rejects a conversation with thinking that it has not signed.
 *
 * @since 0.1.0
 */
import type { Json } from "@llm-cache/core/Identity"
import type { JsonObject, Sample } from "@llm-cache/core/Sample"
import { UnusableResponse } from "@llm-cache/core/SampleError"
import * as Result from "effect/Result"
import { answerId, piecesOf, restOf, usageOf } from "./internal/answer.ts"
import { bad, type Form, parametersOf, readCall, readMessages, type Refused, wholeForm } from "./internal/call.ts"
import { asCount, asObject, asObjects, asString, fieldsOf, isEmpty, joinTexts, parseJson } from "./internal/json.ts"
import { invalidJson, MessageJoiner, startField } from "./internal/messageJoiner.ts"
import { normalMessages } from "./internal/messages.ts"
import type { Answered, Call, Protocol, StreamEvent } from "./Protocol.ts"

/**
 * The protocol.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol: Protocol = {
  name: "messages",
  api: "anthropic",
  path: "/messages",
  hasCount: false,
  read: (body, headers) => readCall(body, protocol, formOf(body, headers["anthropic-beta"])),
  requestBody: ({ body }, { isStreamed, model }) => ({ ...body, model, stream: isStreamed ? true : undefined }),
  generation: (answer) => readAnswer(answer),
  statusOf: ({ type }) => statuses.find(([name]) => name === type)?.[1],
  makeJoiner: () => new MessageJoiner(),
  answer: (call, answered) => ({
    ...headOf(call, answered),
    content: contentOf(answered),
    ...endOf(answered),
    usage: usageField(answered)
  }),
  events: (call, answered) => [
    event("message_start", {
      message: {
        ...headOf(call, answered),
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { ...usageField(answered), output_tokens: 0 },
        ...asObject(restOf(answered.samples[0], protocol.name)[startField])
      }
    }),
    ...contentOf(answered).flatMap((block, index) => {
      const { deltas, start } = piecesOfBlock(block)
      return [
        event("content_block_start", { index, content_block: start }),
        ...deltas.map((delta) => event("content_block_delta", { index, delta })),
        event("content_block_stop", { index })
      ]
    })
  ],
  lastEvents: (_, answered) => [
    event("message_delta", { delta: endOf(answered), usage: usageField(answered), ...extrasOf(answered) }),
    event("message_stop", {})
  ],
  failure: ({ code, message, status }) => ({
    type: "error",
    error: {
      type: statuses.find(([, of]) => of === status)?.[0] ?? (status < 500 ? "invalid_request_error" : "api_error"),
      message,
      ...code === undefined ? undefined : { code }
    }
  }),
  failureEvent: (failure, told = protocol.failure(failure)) => ({ event: "error", data: JSON.stringify(told) })
}

/** https://platform.claude.com/docs/en/api/errors */
const statuses: ReadonlyArray<readonly [type: string, status: number]> = [
  ["invalid_request_error", 400],
  ["authentication_error", 401],
  ["billing_error", 402],
  ["permission_error", 403],
  ["not_found_error", 404],
  ["request_too_large", 413],
  ["rate_limit_error", 429],
  ["api_error", 500],
  ["timeout_error", 504],
  ["overloaded_error", 529]
]

// -----------------------------------------------------------------------------
// requests
// -----------------------------------------------------------------------------

const withoutEffect = [
  "billing_policy",
  "cache_control",
  "diagnostics",
  "fallback_credit_token",
  "metadata",
  "service_tier",
  "stream"
]

/** Fields of requests that are more than a text for a text. */
const wholeFields = [
  "compaction",
  "container",
  "context_management",
  "mcp_servers",
  "thinking",
  "thread",
  "tool_choice",
  "tools"
]

const betasWithoutEffect = /^(?:cache-diagnosis|extended-cache-ttl|fine-grained-tool-streaming|oauth|prompt-caching)-/

const formOf = (body: JsonObject, betas = ""): Result.Result<Form, Refused> =>
  Result.flatMap(readMessages(body), (messages) => {
    if ("anthropic-beta" in body) return bad("`anthropic-beta` is a header: leave the field out")
    const parameters = normalFields(parametersOf(body, "messages", ...withoutEffect))
    const names = [...new Set(betas.split(",").map((name) => name.trim()))].sort()
      .filter((name) => name !== "" && !betasWithoutEffect.test(name))
    if (names.length > 0) parameters["anthropic-beta"] = names
    const normal = normalMessages(messages).map((message) => withText(message as JsonObject))
    const plain = wholeFields.some((name) => name in parameters) ? undefined : plainForm(normal, parameters)
    return plain === undefined
      ? wholeForm(protocol.name, "messages", normal, parameters)
      : Result.succeed(plain)
  })

/** Fields that hold blocks, tools or servers of tools are normal like messages. */
const normalFields = (fields: Record<string, Json>): Record<string, Json> => {
  for (const name of ["mcp_servers", "system", "tools"]) {
    const objects = asObjects(fields[name])
    if (objects !== undefined) fields[name] = textOf(normalMessages(objects))
  }
  return fields
}

const withText = (message: JsonObject): JsonObject =>
  "content" in message ? { ...message, content: textOf(message["content"]) } : message

/** A text is the short form of a list with one block of text. */
const textOf = (content: Json): Json => {
  const blocks = asObjects(content)
  if (blocks?.length !== 1) return content
  const { text, type, ...others } = blocks[0]!
  return type === "text" && typeof text === "string" && isEmpty(others) ? text : content
}

/** The prompt of the library, with the system text as its option `system`. */
const plainForm = ([first, ...others]: ReadonlyArray<JsonObject>, parameters: JsonObject): Form | undefined => {
  const { content, role, ...fields } = first!
  const { system = "" } = parameters
  return others.length === 0 && role === "user" && typeof content === "string" && isEmpty(fields) &&
      typeof system === "string"
    ? { prompt: content, parameters }
    : undefined
}

// -----------------------------------------------------------------------------
// samples of an answer
// -----------------------------------------------------------------------------

const readAnswer = (answer: JsonObject) => {
  const content = asObjects(answer["content"] ?? [])
  const finishReason = asString(answer["stop_reason"])
  if (content === undefined || (finishReason === undefined && !content.some(isText))) {
    return Result.fail(new UnusableResponse({ description: "the answer has neither a text nor a `stop_reason`" }))
  }
  const usage = asObject(answer["usage"])
  const text = joinTexts(content.filter(isText).map(({ text }) => text)) ?? ""
  const rest = fieldsOf({
    content: JSON.stringify(content) === JSON.stringify(blocksOf(text)) ? undefined : exactly(content),
    usage: usage && Object.keys(usage).some((name) => !tokenFields.includes(name)) ? usage : undefined,
    ...fieldsOf(answer, "id", "type", "role", "model", "content", "stop_reason", "usage")
  })
  return Result.succeed({
    samples: [{
      text,
      finishReason,
      refusal: asString(asObject(answer["stop_details"])?.["explanation"]),
      reasoning: joinTexts(content.map(({ thinking }) => thinking)),
      rest: isEmpty(rest) ? undefined : { [protocol.name]: rest }
    }],
    responseId: asString(answer["id"]),
    model: asString(answer["model"]),
    inputTokens: usage && inputTokensOf(usage),
    outputTokens: asCount(usage?.["output_tokens"])
  })
}

const tokenFields = ["input_tokens", "output_tokens"]

// Anthropic counts prompt tokens of its own cache apart from the others.
const inputTokensOf = (usage: JsonObject): number | undefined => {
  const [uncached, ...cached] = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
    .map((name) => asCount(usage[name]))
  return uncached === undefined ? undefined : cached.reduce<number>((sum, tokens = 0) => sum + tokens, uncached)
}

const isText = ({ type }: JsonObject): boolean => type === "text"

const blocksOf = (text: string): ReadonlyArray<JsonObject> => text === "" ? [] : [{ type: "text", text }]

/** Stores round integers beyond 2^53, such as the ids that a tool is called with. Their text is kept. */
const exactly = (content: Json): Json => {
  const text = JSON.stringify(content)
  return JSON.stringify(JSON.parse(text)) === text ? content : text
}

// -----------------------------------------------------------------------------
// the answer of samples
// -----------------------------------------------------------------------------

const contentOf = (answered: Answered): ReadonlyArray<JsonObject> => {
  const { content } = restOf(answered.samples[0], protocol.name)
  return asObjects(typeof content === "string" ? parseJson(content) : content) ??
    blocksOf(answered.samples[0]?.text ?? "")
}

const headOf = (call: Call, answered: Answered): JsonObject => ({
  id: answerId(answered, "msg_"),
  type: "message",
  role: "assistant",
  model: answered.samples[0]?.metadata.model ?? call.model,
  ...extrasOf(answered)
})

/** Fields of the end of a message, which a stream has in its last delta. */
const endFields = ["container", "stop_details", "stop_sequence"]

const endOf = (answered: Answered): JsonObject => {
  const { finishReason, refusal } = answered.samples[0]?.metadata ?? {}
  const rest = restOf(answered.samples[0], protocol.name)
  return {
    stop_reason: stopReasonOf(finishReason),
    stop_sequence: null,
    ...refusal === undefined ? undefined : { stop_details: { type: "refusal", category: null, explanation: refusal } },
    ...Object.fromEntries(Object.entries(rest).filter(([name]) => endFields.includes(name)))
  }
}

const extrasOf = (answered: Answered): JsonObject =>
  fieldsOf(restOf(answered.samples[0], protocol.name), "content", "usage", startField, ...endFields)

/** Samples of other protocols are told in the words of this one. */
const stopReasons: { readonly [reason: string]: string } = {
  content_filter: "refusal",
  function_call: "tool_use",
  length: "max_tokens",
  stop: "end_turn",
  tool_calls: "tool_use"
}

const stopReasonOf = (finishReason: Sample["metadata"]["finishReason"] = "stop"): string =>
  stopReasons[finishReason] ?? finishReason

const usageField = ({ samples }: Answered): JsonObject => {
  const { inputTokens, outputTokens, own } = usageOf(samples, protocol.name) ?? { inputTokens: 0, outputTokens: 0 }
  return own ?? { input_tokens: inputTokens, output_tokens: outputTokens }
}

// -----------------------------------------------------------------------------
// events
// -----------------------------------------------------------------------------

const event = (type: string, fields: JsonObject): StreamEvent => ({
  event: type,
  data: JSON.stringify({ type, ...fields })
})

interface Pieces {
  readonly start: JsonObject
  readonly deltas: ReadonlyArray<JsonObject>
}

const piecesOfBlock = (block: JsonObject): Pieces => {
  const { citations, input, signature, text, thinking, type } = block
  if (type === "text" && typeof text === "string") {
    const cited = asObjects(citations) ?? []
    return {
      start: { ...block, text: "", ...cited.length > 0 ? { citations: [] } : undefined },
      deltas: [
        ...piecesOf(text).map((text) => ({ type: "text_delta", text })),
        ...cited.map((citation) => ({ type: "citations_delta", citation }))
      ]
    }
  }
  if (type === "thinking" && typeof thinking === "string") {
    return {
      start: { ...block, thinking: "", ...typeof signature === "string" ? { signature: "" } : undefined },
      deltas: [
        ...piecesOf(thinking).map((thinking) => ({ type: "thinking_delta", thinking })),
        ...typeof signature === "string" ? [{ type: "signature_delta", signature }] : []
      ]
    }
  }
  if (typeof type === "string" && type.endsWith("tool_use") && input !== undefined) {
    const fields = asObject(input) ?? {}
    const json = isEmpty(fields) ? "" : asString(fields[invalidJson]) ?? JSON.stringify(input)
    return {
      start: { ...block, input: {} },
      deltas: ["", ...piecesOf(json)].map((partial_json) => ({ type: "input_json_delta", partial_json }))
    }
  }
  return { start: block, deltas: [] }
}
