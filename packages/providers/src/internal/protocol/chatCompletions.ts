import * as Effect from "effect/Effect"
import { flow, identity } from "effect/Function"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { asObject, asObjects, asString, asTokenCount, joinTextParts, type JsonObject, parseObject } from "./json.ts"
import type { Protocol } from "./protocol.ts"
import { failError, failNotJson, failUnusable, failWithheld, failWithoutText } from "./unusableAnswer.ts"

/** `POST {baseUrl}/chat/completions`: https://platform.openai.com/docs/api-reference/chat/create */
export const chatCompletions: Protocol = {
  module: "OpenAiCompatible",
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
    return { ...parameters, model, temperature, n, messages }
  },
  // https://platform.openai.com/docs/api-reference/chat/object
  readAnswer: (answer) => {
    const completion = parseObject(answer.body)
    if (completion === undefined) return failNotJson(answer)
    const { error, model, usage } = completion
    if (error) return failError(answer)
    const choices = (asObjects(completion["choices"]) ?? []).map(({ error, finish_reason, message }) => ({
      error,
      finishReason: asString(finish_reason),
      message: asObject(message) ?? {}
    }))
    const samples = choices.flatMap(({ error, finishReason, message }) => {
      // Servers also put an error beside half a text, which is no sample.
      const text = error ? undefined : textOf(message)
      return text === undefined ? [] : [{ text, finishReason }]
    })
    if (samples.length > 0) {
      const { completion_tokens, prompt_tokens } = asObject(usage) ?? {}
      return Effect.succeed({
        samples,
        model: asString(model),
        inputTokens: asTokenCount(prompt_tokens),
        outputTokens: asTokenCount(completion_tokens),
        ignoresN: choices.length === 1 && answer.request.n > 1
      })
    }
    const refused = choices.find(({ finishReason, message }) => refusalOf(message) || finishReason === "content_filter")
    if (refused !== undefined) return failWithheld(refusalOf(refused.message), answer)
    if (choices.length === 0) return failUnusable("the answer has no choices", answer)
    const finishReasons = choices.map(({ finishReason }) => finishReason)
    return failWithoutText("no choice of the answer", finishReasons, "max_tokens", answer)
  }
}

const textOf = ({ content }: JsonObject): string | undefined => {
  const parts = asObjects(content)
  return parts === undefined ? asString(content) : joinTextParts(parts)
}

const refusalOf = ({ refusal }: JsonObject): string | undefined => asString(refusal)
