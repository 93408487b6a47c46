/**
 * OpenAI's legacy completions: `POST /v1/completions`.
 *
 * **Details**
 *
 * All requests are whole: the model goes on with the text of the prompt, which is another distribution than its answers to a
 * user. A list of prompts is one request for each prompt, and shares the samples of requests for one. Not in the key: the fields
 * that `ChatCompletions` leaves out. With `best_of` the samples of one request depend on each other, so `n` is in the key.
 *
 * @since 0.1.0
 */
import type { GeneratedSample } from "@llm-cache/core/LlmModel"
import type { JsonObject, Sample } from "@llm-cache/core/Sample"
import { type ProviderErrorReason, UnusableResponse } from "@llm-cache/core/SampleError"
import * as Result from "effect/Result"
import { answerId, piecesOf, restOf } from "./internal/answer.ts"
import { bad, parametersOf, readCall, type Refused, uncacheable, wholeForm } from "./internal/call.ts"
import { asObject, asString, fieldsOf, isEmpty, omit } from "./internal/json.ts"
import {
  chunkMaker,
  failedFinishReasons,
  failure,
  includesUsage,
  promptsOf,
  readChoices,
  streamFields,
  usageField,
  withoutEffect
} from "./internal/openAi.ts"
import { makeTextJoiner } from "./internal/textJoiner.ts"
import type { Answered, Call, Protocol } from "./Protocol.ts"

/**
 * The protocol.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol: Protocol = {
  name: "completions",
  api: "openai",
  path: "/completions",
  hasCount: true,
  read: (body) => readCalls(body),
  requestBody: ({ body }, { isStreamed, model, n }) => ({
    ...body,
    model,
    n: n === 1 ? undefined : n,
    ...streamFields(body, isStreamed)
  }),
  generation: (answer, n) => readChoices(answer, n, readChoice),
  makeJoiner: makeTextJoiner,
  answer: (call, answered) => ({
    ...headOf(call, answered),
    choices: answered.samples.map((sample, index) => ({
      text: sample.text,
      index,
      logprobs: null,
      ...choiceOf(sample),
      finish_reason: finishReasonOf(sample)
    })),
    ...usageField(answered, protocol.name)
  }),
  events: (call, answered) => {
    const chunk = chunkMaker(call, headOf(call, answered))
    return answered.samples.flatMap((sample, index) =>
      piecesOfChoice(sample).map((piece) => chunk([{ index, ...piece }]))
    )
  },
  lastEvents: (call, answered) => {
    const chunk = chunkMaker(call, headOf(call, answered))
    return [
      ...answered.samples.map((sample, index) =>
        chunk([{ index, text: "", ...choiceOf(sample), logprobs: null, finish_reason: finishReasonOf(sample) }])
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

const readCalls = (body: JsonObject): Result.Result<Call, Refused> => {
  const { best_of, n = 1 } = fieldsOf(body)
  const prompts = promptsOf(body["prompt"])
  if (prompts === undefined) {
    return bad("`prompt` is no prompt: give a text, a list of tokens, or a list that is not empty of one of them")
  }
  if (typeof best_of === "number" && new Set(prompts.map((prompt) => JSON.stringify(prompt))).size < prompts.length) {
    return uncacheable("`best_of` chooses among the samples of equal prompts together")
  }
  const parameters = {
    ...parametersOf(body, "prompt", ...withoutEffect),
    ...typeof best_of === "number" && n !== 1 ? { n } : undefined
  }
  const calls = prompts.map((prompt) =>
    readCall({ ...body, prompt }, protocol, wholeForm(protocol.name, "prompt", prompt, parameters))
  )
  return Result.map(
    Result.all(calls),
    (calls) => calls.length === 1 ? calls[0]! : { ...calls[0]!, body, parts: calls }
  )
}

// -----------------------------------------------------------------------------
// samples of an answer
// -----------------------------------------------------------------------------

const readChoice = (choice: JsonObject, shared: JsonObject): Result.Result<GeneratedSample, ProviderErrorReason> => {
  const text = asString(choice["text"])
  const finishReason = asString(choice["finish_reason"])
  if (choice["error"] || (finishReason !== undefined && failedFinishReasons.test(finishReason))) {
    return Result.fail(new UnusableResponse({ description: "a choice of the answer failed" }))
  }
  if (text === undefined) {
    return Result.fail(new UnusableResponse({ description: "a choice of the answer has no text" }))
  }
  const kept = omit(choice, "index", "text", "finish_reason")
  if (kept["logprobs"] === null) delete kept["logprobs"]
  const rest = { ...!isEmpty(kept) && { choice: kept }, ...shared }
  return Result.succeed({ text, finishReason, rest: isEmpty(rest) ? undefined : { [protocol.name]: rest } })
}

// -----------------------------------------------------------------------------
// the answer of samples
// -----------------------------------------------------------------------------

const choiceOf = (sample: Sample): JsonObject => asObject(restOf(sample, protocol.name)["choice"]) ?? {}

const finishReasonOf = ({ metadata: { finishReason = "stop" } }: Sample): string => finishReason

const headOf = (call: Call, answered: Answered): JsonObject => {
  const [first] = answered.samples
  return {
    id: answerId(answered, "cmpl-"),
    object: "text_completion",
    created: Math.floor((first?.metadata.createdAt ?? 0) / 1000),
    model: first?.metadata.model ?? call.model,
    ...omit(restOf(first, protocol.name), "choice", "usage")
  }
}

// -----------------------------------------------------------------------------
// events
// -----------------------------------------------------------------------------

/** The first piece has the log probabilities of all. */
const piecesOfChoice = (sample: Sample): ReadonlyArray<JsonObject> => {
  const pieces = piecesOf(sample.text)
  const { logprobs = null, ...others } = choiceOf(sample)
  return (pieces.length === 0 && logprobs !== null ? [""] : pieces).map((text, i) => ({
    text,
    ...others,
    logprobs: i === 0 ? logprobs : null,
    finish_reason: null
  }))
}
