import * as Effect from "effect/Effect"
import { flow } from "effect/Function"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { isError, notJson, type Protocol, textless, unusable, withheld } from "./protocol.ts"
import { Count, empty, optional, Parts, textOf } from "./wire.ts"

// -----------------------------------------------------------------------------
// the answer: https://platform.openai.com/docs/api-reference/chat/object, and what other servers make of it: a text in
// parts, an error beside or in place of the choices
// -----------------------------------------------------------------------------

const Message = Schema.Struct({
  content: optional(Schema.Union([Schema.String, Parts])),
  refusal: optional(Schema.String)
})

const Choice = Schema.Struct({
  message: optional(Message),
  finish_reason: optional(Schema.String),
  error: optional(Schema.Unknown)
})

const Completion = Schema.fromJsonString(Schema.Struct({
  model: optional(Schema.String),
  choices: optional(Schema.Array(Choice.pipe(Schema.catchDecoding(() => empty)))),
  usage: optional(Schema.Struct({
    prompt_tokens: optional(Count),
    completion_tokens: optional(Count)
  })),
  error: optional(Schema.Unknown)
}))

const decode = Schema.decodeUnknownOption(Completion)

// What a server marks as failed is not a sample.
const contentOf = ({ error, message }: typeof Choice.Type): string | undefined => {
  const content = error ? undefined : message?.content
  return content === undefined || typeof content === "string" ? content : textOf(content)
}

// -----------------------------------------------------------------------------
// the protocol
// -----------------------------------------------------------------------------

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
  generation: (answer) => {
    const completion = Option.getOrUndefined(decode(answer.body))
    if (completion === undefined) return notJson(answer)
    const { choices = [], error, model, usage } = completion
    if (error) return isError(answer)
    const samples = choices.flatMap((choice) => {
      const text = contentOf(choice)
      return text === undefined ? [] : [{ text, finishReason: choice.finish_reason }]
    })
    if (samples.length > 0) {
      return Effect.succeed({
        samples,
        model,
        inputTokens: usage?.prompt_tokens,
        outputTokens: usage?.completion_tokens,
        ignoresN: choices.length === 1 && answer.sent.n > 1
      })
    }
    const refused = choices.find(({ finish_reason, message }) => message?.refusal || finish_reason === "content_filter")
    if (refused !== undefined) return withheld(refused.message?.refusal, answer)
    if (choices.length === 0) return unusable("the answer has no choices", answer)
    const reasons = choices.flatMap(({ finish_reason }) => finish_reason ?? [])
    return textless("no choice of the answer", reasons, "max_tokens", answer)
  }
}
