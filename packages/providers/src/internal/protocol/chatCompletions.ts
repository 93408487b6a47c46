import type { GeneratedSample } from "@llm-cache/core/LlmModel"
import type { ProviderErrorReason } from "@llm-cache/core/SampleError"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { flow, identity } from "effect/Function"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Result from "effect/Result"
import {
  asName,
  asObject,
  asObjects,
  asString,
  asTokenCount,
  joinTextParts,
  joinTexts,
  type JsonObject
} from "./json.ts"
import type { Answer, Protocol } from "./protocol.ts"
import { type JoinEvents, readObject } from "./readObject.ts"
import { failedPart, failError, failWithoutAnswer, unusable } from "./unusableAnswer.ts"

/** `POST {baseUrl}/chat/completions`: https://platform.openai.com/docs/api-reference/chat/create */
export const chatCompletions: Protocol = {
  module: "OpenAiCompatible",
  urlOption: "baseUrl",
  path: "/chat/completions",
  exampleUrl: "https://api.example.com/v1",
  reservedParameters: {
    model: "give the option `model`",
    messages: "pass the prompt when you sample, and give the option `system` for a system message",
    n: "ask for a `batch` when you sample, and give the option `maxBatch` for the most samples of one request",
    temperature: "give the option `temperature`",
    stream: "leave it out, samples come whole",
    system: "give the option `system`"
  },
  outputTokenLimits: ["max_completion_tokens", "max_tokens"],
  setHeaders: (key) =>
    flow(
      key === undefined ? identity : HttpClientRequest.bearerToken(key),
      HttpClientRequest.acceptJson
    ),
  requestBody: ({ model, parameters, system, temperature }, prompt, n) => {
    const messages = [{ role: "user", content: prompt }]
    if (system !== undefined) messages.unshift({ role: "system", content: system })
    // Some servers refuse `n` itself.
    return { ...parameters, model, temperature, n: n === 1 ? undefined : n, messages }
  },
  // https://platform.openai.com/docs/api-reference/chat/object
  readAnswer: (answer) =>
    Effect.flatMap(readObject(answer, joinChunks), (completion) => {
      const { error, id, model, usage } = completion
      if (error) return failError(completion, answer)
      const choices = asObjects(completion["choices"]) ?? []
      if (choices.length === 0) return failWithoutAnswer("the answer has no choices", answer)
      const [samples, failures] = Arr.partition(choices, (choice) => readChoice(choice, answer))
      if (samples.length === 0) return Effect.fail(failures.find(({ isRetryable }) => isRetryable) ?? failures[0]!)
      const { completion_tokens, prompt_tokens } = asObject(usage) ?? {}
      return Effect.succeed({
        samples,
        failures,
        responseId: asName(id, answer.request.excerpt),
        model: asName(model, answer.request.excerpt),
        inputTokens: asTokenCount(prompt_tokens),
        outputTokens: asTokenCount(completion_tokens),
        ignoresN: choices.length === 1 && answer.request.n > 1
      })
    })
}

// Every choice with a finish reason is an answer of the model, also one without a text. Servers put an error beside half a
// text, which is no answer.
const readChoice = (choice: JsonObject, answer: Answer): Result.Result<GeneratedSample, ProviderErrorReason> => {
  const finishReason = asName(choice["finish_reason"], answer.request.excerpt)
  if (choice["error"] || (finishReason !== undefined && failedFinishReasons.test(finishReason))) {
    return Result.fail(failedPart(choice, answer))
  }
  const message = asObject(choice["message"] ?? {})
  const text = message === undefined ? undefined : textOf(message)
  const refusal = message === undefined ? undefined : refusalOf(message)
  const isAnswer = finishReason !== undefined || refusal !== undefined || asString(text) !== undefined
  return message === undefined || text === undefined || !isAnswer
    ? Result.fail(unusable("a choice of the answer has neither a text nor a finish reason, or is malformed", {
      ...answer,
      body: JSON.stringify(choice)
    }))
    : Result.succeed({ text: text ?? "", finishReason, refusal, reasoning: reasoningOf(message) })
}

/** The finish reasons of choices that are no answers. */
// OpenRouter and Mistral: `error`. vLLM and SGLang: `abort`. DeepSeek: `insufficient_system_resource`.
export const failedFinishReasons = /^(?:error|abort|insufficient_system_resource)$/i

/** The text of a message, `null` if it has none, and `undefined` if it is malformed. */
export const textOf = ({ content = null }: JsonObject): string | null | undefined => {
  if (content === null) return null
  const parts = asObjects(content)
  return parts === undefined ? asString(content) : joinTextParts(parts)
}

export const refusalOf = ({ content, refusal }: JsonObject): string | undefined =>
  joinTexts([refusal, ...asObjects(content)?.map(({ refusal }) => refusal) ?? []])

const reasoningOf = (message: JsonObject): string | undefined => reasoningFieldOf(message)?.text

/** The reasoning of a message, and the field that holds it, if one does. */
// `reasoning_content` of DeepSeek, vLLM and llama.cpp, `reasoning` of OpenRouter and Groq, parts of type `thinking` of Mistral.
export const reasoningFieldOf = (
  { content, reasoning, reasoning_content, reasoning_details }: JsonObject
): { readonly text: string; readonly field: string | undefined } | undefined => {
  for (const [field, value] of Object.entries({ reasoning_content, reasoning })) {
    if (typeof value === "string" && value !== "") return { text: value, field }
  }
  const text = joinTexts(asObjects(reasoning_details)?.map(({ summary, text }) => text ?? summary) ?? []) ??
    joinTexts(
      asObjects(content)?.flatMap(({ thinking }) => asObjects(thinking)?.map(({ text }) => text) ?? [thinking]) ?? []
    )
  return text === undefined ? undefined : { text, field: undefined }
}

// https://platform.openai.com/docs/api-reference/chat-streaming/streaming
const joinChunks: JoinEvents = (chunks, isDone) => {
  const choices = new Map<unknown, Record<string, unknown>>()
  let whole: JsonObject = {}
  for (const chunk of chunks) {
    whole = { ...whole, ...withoutNull(chunk) }
    for (const { delta, index, message, ...fields } of asObjects(chunk["choices"]) ?? []) {
      const choice = choices.get(index) ?? { message: {} }
      choices.set(index, { ...choice, ...withoutNull(fields), message: append(choice["message"], delta ?? message) })
    }
  }
  const all = [...choices.values()]
  const isWhole = isDone || (all.length > 0 && all.every(({ finish_reason }) => finish_reason !== undefined))
  return isWhole ? { ...whole, choices: all } : undefined
}

const append = (message: unknown, delta: unknown): JsonObject => {
  const joined: Record<string, unknown> = { ...asObject(message) }
  for (const [name, piece] of Object.entries(withoutNull(asObject(delta) ?? {}))) {
    const before = joined[name]
    joined[name] = typeof before === "string" && typeof piece === "string"
      ? before + piece
      : Array.isArray(before) && Array.isArray(piece)
      ? [...before, ...piece]
      : piece
  }
  return joined
}

const withoutNull = (fields: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))
