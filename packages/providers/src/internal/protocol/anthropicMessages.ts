import * as Effect from "effect/Effect"
import { flow, identity } from "effect/Function"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import { asObject, asObjects, asString, asTokenCount, joinTextParts, type JsonObject, parseObject } from "./json.ts"
import type { Protocol } from "./protocol.ts"
import { failError, failNotJson, failWithheld, failWithoutText } from "./unusableAnswer.ts"

/** `POST {baseUrl}/v1/messages`: https://platform.claude.com/docs/en/api/messages/create */
export const anthropicMessages: Protocol = {
  module: "Anthropic",
  path: "/v1/messages",
  exampleUrl: "https://api.anthropic.com",
  reservedParameters: {
    model: "give the option `model`",
    messages: "pass the prompt when you sample, and give the option `system` for a system text",
    n: "ask for a `batch` when you sample, and give the option `concurrency` for how many requests are sent at once",
    temperature: "give the option `temperature`",
    stream: "leave it out, samples come whole",
    system: "give the option `system`"
  },
  outputTokenLimits: ["max_tokens"],
  setHeaders: (key) =>
    flow(
      key === undefined ? identity : HttpClientRequest.setHeader("x-api-key", Redacted.value(key)),
      HttpClientRequest.setHeader("anthropic-version", "2023-06-01"),
      HttpClientRequest.acceptJson
    ),
  requestBody: ({ model, parameters, system, temperature }, prompt) => {
    const messages = [{ role: "user", content: prompt }]
    return { ...parameters, model, temperature, system, messages }
  },
  // https://platform.claude.com/docs/en/api/messages/create
  readAnswer: (answer) => {
    const message = parseObject(answer.body)
    if (message === undefined) return failNotJson(answer)
    const { content, error, model, stop_reason, type, usage } = message
    if (error || type === "error") return failError(answer)
    const text = joinTextParts(asObjects(content) ?? [])
    const finishReason = asString(stop_reason)
    if (text !== undefined) {
      const counts = asObject(usage) ?? {}
      return Effect.succeed({
        samples: [{ text, finishReason }],
        model: asString(model),
        inputTokens: inputTokensOf(counts),
        outputTokens: asTokenCount(counts["output_tokens"])
      })
    }
    if (finishReason === "refusal") return failWithheld(undefined, answer)
    return failWithoutText("no block of the answer", [finishReason], "max_tokens", answer)
  }
}

// Anthropic counts prompt tokens of its own cache apart from the others.
const inputTokensOf = (usage: JsonObject): number | undefined => {
  const [uncached, ...cached] = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
    .map((name) => asTokenCount(usage[name]))
  return uncached === undefined ? undefined : cached.reduce<number>((sum, tokens = 0) => sum + tokens, uncached)
}
