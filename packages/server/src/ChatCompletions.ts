/**
 * OpenAI's chat completions: `POST /v1/chat/completions`.
 *
 * **Details**
 *
 * A plain request has one user's text, or a system text and a user's text. Not in the key: `stream`, `stream_options`, `n`, `user`,
 * `safety_identifier`, `metadata`, `store`, `service_tier` and `prompt_cache_*`. All other fields are in it, also those that are
 * unknown here. `null` counts as absent.
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
import { makeChunkJoiner } from "./internal/chunkJoiner.ts"
import { asObject, asObjects, asString, fieldsOf, isEmpty, joinTexts } from "./internal/json.ts"
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
      message: messageOf(sample),
      logprobs: null,
      ...asObject(restOf(sample, protocol.name)["choice"]),
      finish_reason: finishReasonOf(sample.metadata.finishReason)
    })),
    ...usageField(answered, protocol.name)
  }),
  events: (call, answered) => {
    const chunk = chunkMaker(call, headOf(call, answered, "chat.completion.chunk"))
    return answered.samples.flatMap((sample, index) => deltasOf(sample).map((choice) => chunk([{ index, ...choice }])))
  },
  lastEvents: (call, answered) => {
    const chunk = chunkMaker(call, headOf(call, answered, "chat.completion.chunk"))
    return [
      ...answered.samples.map((sample, index) =>
        chunk([{ index, delta: {}, logprobs: null, finish_reason: finishReasonOf(sample.metadata.finishReason) }])
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
  const kept: Record<string, Json> = fieldsOf(message, "role", "content", "refusal")
  if (message["reasoning"] === undefined) delete kept["reasoning_content"]
  if (content !== contentOf(text, refusal, kept)) kept["content"] = content
  const rest = fieldsOf({
    message: isEmpty(kept) ? undefined : kept,
    choice: nonEmpty(fieldsOf(choice, "index", "message", "finish_reason")),
    ...shared
  })
  return Result.succeed({
    text,
    finishReason,
    refusal,
    reasoning,
    rest: isEmpty(rest) ? undefined : { [protocol.name]: rest }
  })
}

const nonEmpty = (object: JsonObject): JsonObject | undefined => isEmpty(object) ? undefined : object

/** The content of a message, unless it is told otherwise. */
const contentOf = (text: string, refusal: string | undefined, kept: JsonObject): string | null =>
  text === "" && (refusal !== undefined || "tool_calls" in kept || "function_call" in kept || "audio" in kept)
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
    ...reasoning === undefined || "reasoning" in kept ? undefined : { reasoning_content: reasoning },
    ...kept
  }
}

const headOf = (call: Call, answered: Answered, object: string): JsonObject => {
  const [first] = answered.samples
  return {
    id: answerId(answered, "chatcmpl-"),
    object,
    created: Math.floor((first?.metadata.createdAt ?? 0) / 1000),
    model: first?.metadata.model ?? call.model,
    ...fieldsOf(restOf(first, protocol.name), "message", "choice", "usage")
  }
}

// -----------------------------------------------------------------------------
// events
// -----------------------------------------------------------------------------

const deltasOf = (sample: Sample): ReadonlyArray<JsonObject> => {
  const { content, reasoning_content, refusal, tool_calls, ...others } = messageOf(sample)
  const calls = asObjects(tool_calls) ?? []
  const logprobs = asObject(restOf(sample, protocol.name)["choice"])?.["logprobs"] ?? null
  const pieces = typeof content === "string" ? piecesOf(content) : []
  const deltas: Array<JsonObject> = [
    { ...others, content: typeof content === "string" ? "" : content ?? null },
    ...typeof reasoning_content === "string"
      ? piecesOf(reasoning_content).map((reasoning_content) => ({ reasoning_content }))
      : [],
    ...pieces.map((content) => ({ content })),
    ...typeof refusal === "string" ? piecesOf(refusal).map((refusal) => ({ refusal })) : [],
    ...calls.map((call, index) => ({ tool_calls: [{ index, ...call }] }))
  ]
  const logged = pieces.length === 0
    ? 0
    : deltas.findIndex(({ content }) => typeof content === "string" && content !== "")
  return deltas.map((delta, i) => ({ delta, logprobs: i === logged ? logprobs : null, finish_reason: null }))
}
