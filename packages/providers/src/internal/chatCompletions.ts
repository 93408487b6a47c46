import * as Effect from "effect/Effect"
import { flow } from "effect/Function"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { isError, notJson, type Protocol, textless, unusable, withheld } from "./protocol.ts"
import { countOf, type Fields, fieldsOf, itemsOf, parse, stringOf, textOf } from "./wire.ts"

const contentOf = (message: Fields): string | undefined => {
  const { content } = message
  const parts = itemsOf(content)
  return parts === undefined ? stringOf(content) : textOf(parts)
}

/** `POST {baseUrl}/chat/completions`: https://platform.openai.com/docs/api-reference/chat/create */
export const chatCompletions: Protocol = {
  name: "OpenAiCompatible",
  path: "/chat/completions",
  example: "https://api.example.com/v1",
  reserved: {
    model: "give the option `model`",
    messages: "the prompt is what is sampled, give the option `system` for a system message",
    n: "ask for a `batch` when you sample, and give the option `maxBatch` for the most that a request may ask for",
    temperature: "give the option `temperature`",
    stream: "leave it out, samples come whole",
    system: "give the option `system`"
  },
  mostTokens: ["max_completion_tokens", "max_tokens"],
  sign: (key) =>
    key === undefined ? HttpClientRequest.acceptJson : flow(
      HttpClientRequest.bearerToken(key),
      HttpClientRequest.acceptJson
    ),
  body: ({ model, parameters, system, temperature }, prompt, n) => {
    const messages = [{ role: "user", content: prompt }]
    if (system !== undefined) messages.unshift({ role: "system", content: system })
    return { ...parameters, model, temperature, n, messages }
  },
  // https://platform.openai.com/docs/api-reference/chat/object, and what other servers make of it: a text in parts, an
  // error beside or in place of the choices
  generation: (answer) => {
    const completion = parse(answer.body)
    if (completion === undefined) return notJson(answer)
    const { error, model, usage } = completion
    if (error) return isError(answer)
    const choices = (itemsOf(completion["choices"]) ?? []).map(({ error, finish_reason, message }) => ({
      error,
      finishReason: stringOf(finish_reason),
      message: fieldsOf(message) ?? {}
    }))
    const samples = choices.flatMap(({ error, finishReason, message }) => {
      // What a server marks as failed is not a sample.
      const text = error ? undefined : contentOf(message)
      return text === undefined ? [] : [{ text, finishReason }]
    })
    if (samples.length > 0) {
      const { completion_tokens, prompt_tokens } = fieldsOf(usage) ?? {}
      return Effect.succeed({
        samples,
        model: stringOf(model),
        inputTokens: countOf(prompt_tokens),
        outputTokens: countOf(completion_tokens),
        ignoresN: choices.length === 1 && answer.sent.n > 1
      })
    }
    const refusalOf = ({ refusal }: Fields) => stringOf(refusal)
    const refused = choices.find(({ finishReason, message }) => refusalOf(message) || finishReason === "content_filter")
    if (refused !== undefined) return withheld(refusalOf(refused.message), answer)
    if (choices.length === 0) return unusable("the answer has no choices", answer)
    const reasons = choices.flatMap(({ finishReason }) => finishReason ?? [])
    return textless("no choice of the answer", reasons, "max_tokens", answer)
  }
}
