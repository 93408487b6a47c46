/** The common part of OpenAI's protocols. */
import type { Json } from "@llm-cache/core/Identity"
import type { GeneratedSample, Generation } from "@llm-cache/core/LlmModel"
import type { JsonObject } from "@llm-cache/core/Sample"
import { type ProviderErrorReason, UnusableResponse } from "@llm-cache/core/SampleError"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import type { Answered, Call, Failure, StreamEvent } from "../Protocol.ts"
import { usageOf } from "./answer.ts"
import { begunField } from "./choicesJoiner.ts"
import { asCount, asObject, asObjects, asString, omit } from "./json.ts"

/** Fields of requests that change no sample. */
export const withoutEffect = [
  "metadata",
  "n",
  "prompt_cache_key",
  "prompt_cache_options",
  "prompt_cache_retention",
  "safety_identifier",
  "service_tier",
  "store",
  "stream",
  "stream_options",
  "user"
]

/** The prompts of a field that takes one or many: texts, or lists of tokens. */
export const promptsOf = (given: Json | undefined): ReadonlyArray<Json> | undefined => {
  if (isPrompt(given)) return [given]
  return Array.isArray(given) && given.length > 0 && given.every(isPrompt) ? given : undefined
}

const isPrompt = (value: Json | undefined): value is string | ReadonlyArray<number> =>
  typeof value === "string" ||
  (Array.isArray(value) && value.length > 0 && value.every((token) => asCount(token) !== undefined))

const tokenFields = ["prompt_tokens", "completion_tokens", "total_tokens"]

/** The samples of an answer, made of its choices. A choice gets the other fields of the answer. */
export const readChoices = (
  answer: JsonObject,
  n: number,
  readChoice: (choice: JsonObject, shared: JsonObject) => Result.Result<GeneratedSample, ProviderErrorReason>
): Result.Result<Generation, ProviderErrorReason> => {
  const choices = asObjects(answer["choices"]) ?? []
  const usage = asObject(answer["usage"])
  const shared: JsonObject = {
    ...usage && Object.keys(usage).some((name) => !tokenFields.includes(name)) && { usage },
    ...omit(answer, "id", "object", "created", "model", "choices", "usage", "error", begunField),
    ...asObject(answer[begunField])
  }
  const [failures, samples] = Arr.partition(choices, (choice) => Result.flip(readChoice(choice, shared)))
  if (samples.length === 0) {
    return Result.fail(failures[0] ?? new UnusableResponse({ description: "the answer has no choices" }))
  }
  return Result.succeed({
    samples,
    failures,
    responseId: asString(answer["id"]),
    model: asString(answer["model"]),
    inputTokens: asCount(usage?.["prompt_tokens"]),
    outputTokens: asCount(usage?.["completion_tokens"]),
    ignoresN: choices.length === 1 && n > 1
  })
}

// A server puts an error beside half a text, which is no answer.
export const failedFinishReasons = /^(?:error|abort|insufficient_system_resource)$/i

/** Samples of other protocols are told in the words of this one. */
const finishReasons: { readonly [reason: string]: string } = {
  end_turn: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  refusal: "content_filter",
  stop_sequence: "stop",
  tool_use: "tool_calls"
}

export const finishReasonOf = (finishReason = "stop"): string => finishReasons[finishReason] ?? finishReason

export const usageField = ({ samples }: Answered, protocol: string): JsonObject => {
  const usage = usageOf(samples, protocol)
  if (usage === undefined) return {}
  const { inputTokens, outputTokens, own } = usage
  return {
    usage: own ?? {
      prompt_tokens: inputTokens,
      completion_tokens: outputTokens,
      total_tokens: inputTokens + outputTokens
    }
  }
}

/** Makes the chunks of a stream, which all have the head of their answer. */
export const chunkMaker = (call: Call, answerHead: JsonObject) => {
  const head = { ...answerHead, ...includesUsage(call) ? { usage: null } : undefined }
  return (choices: ReadonlyArray<Json>, fields?: JsonObject): StreamEvent => ({
    data: JSON.stringify({ ...head, choices, ...fields })
  })
}

export const includesUsage = ({ body }: Call): boolean => asObject(body["stream_options"])?.["include_usage"] === true

/** The options of a stream that an upstream is asked for. */
export const streamFields = (body: JsonObject, isStreamed: boolean) => ({
  stream: isStreamed ? true : undefined,
  stream_options: isStreamed ? { ...asObject(body["stream_options"]), include_usage: true } : undefined
})

export const failure = ({ code, message, status }: Failure): JsonObject => ({
  error: { message, type: status < 500 ? "invalid_request_error" : "server_error", param: null, code: code ?? null }
})
