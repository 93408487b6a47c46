import * as Effect from "effect/Effect"
import { flow, identity } from "effect/Function"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import { isError, notJson, type Protocol, textless, withheld } from "./protocol.ts"
import { countOf, fieldsOf, itemsOf, parse, stringOf, textOf } from "./wire.ts"

// Those of the prompt that the vendor has in its cache, or puts there, are counted beside the others.
const inputTokensOf = (usage: ReturnType<typeof fieldsOf>): number | undefined => {
  const [uncached, ...cached] = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
    .map((name) => countOf(usage?.[name]))
  return uncached === undefined ? undefined : cached.reduce<number>((sum, tokens = 0) => sum + tokens, uncached)
}

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
    const message = parse(answer.body)
    if (message === undefined) return notJson(answer)
    const { content, error, model, type, usage } = message
    if (error || type === "error") return isError(answer)
    const text = textOf(itemsOf(content) ?? [])
    const finishReason = stringOf(message["stop_reason"])
    if (text !== undefined) {
      return Effect.succeed({
        samples: [{ text, finishReason }],
        model: stringOf(model),
        inputTokens: inputTokensOf(fieldsOf(usage)),
        outputTokens: countOf(fieldsOf(usage)?.["output_tokens"])
      })
    }
    if (finishReason === "refusal") return withheld(undefined, answer)
    const reasons = finishReason === undefined ? [] : [finishReason]
    return textless("no block of the answer", reasons, "max_tokens", answer)
  }
}
