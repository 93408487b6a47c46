import * as Effect from "effect/Effect"
import { flow, identity } from "effect/Function"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { isError, notJson, type Protocol, textless, withheld } from "./protocol.ts"
import { Count, optional, Parts, textOf } from "./wire.ts"

// -----------------------------------------------------------------------------
// the answer: https://platform.claude.com/docs/en/api/messages/create
// -----------------------------------------------------------------------------

const Message = Schema.fromJsonString(Schema.Struct({
  type: optional(Schema.String),
  model: optional(Schema.String),
  content: optional(Parts),
  stop_reason: optional(Schema.String),
  usage: optional(Schema.Struct({
    input_tokens: optional(Count),
    output_tokens: optional(Count)
  })),
  error: optional(Schema.Unknown)
}))

const decode = Schema.decodeUnknownOption(Message)

// -----------------------------------------------------------------------------
// the protocol
// -----------------------------------------------------------------------------

/** `POST {baseUrl}/v1/messages`: https://platform.claude.com/docs/en/api/messages/create */
export const anthropicMessages: Protocol = {
  name: "Anthropic",
  path: "/v1/messages",
  example: "https://api.anthropic.com",
  reserved: {
    model: "give the option `model`",
    messages: "the prompt is what is sampled, give the option `system` for a system text",
    n: "ask for a `batch` when you sample, and give the option `concurrency` for how many requests are sent at once",
    temperature: "give the option `temperature`",
    stream: "leave it out, samples come whole",
    system: "give the option `system`"
  },
  mostTokens: ["max_tokens"],
  sign: (key) =>
    flow(
      key === undefined ? identity : HttpClientRequest.setHeader("x-api-key", Redacted.value(key)),
      HttpClientRequest.setHeader("anthropic-version", "2023-06-01"),
      HttpClientRequest.acceptJson
    ),
  body: ({ model, parameters, system, temperature }, prompt) => {
    const messages = [{ role: "user", content: prompt }]
    return { ...parameters, model, temperature, system, messages }
  },
  generation: (answer) => {
    const message = Option.getOrUndefined(decode(answer.body))
    if (message === undefined) return notJson(answer)
    const { content = [], error, model, stop_reason, type, usage } = message
    if (error || type === "error") return isError(answer)
    const text = textOf(content)
    if (text !== undefined) {
      return Effect.succeed({
        samples: [{ text, finishReason: stop_reason }],
        model,
        inputTokens: usage?.input_tokens,
        outputTokens: usage?.output_tokens
      })
    }
    if (stop_reason === "refusal") return withheld(undefined, answer)
    const reasons = stop_reason === undefined ? [] : [stop_reason]
    return textless("no block of the answer", reasons, "max_tokens", answer)
  }
}
