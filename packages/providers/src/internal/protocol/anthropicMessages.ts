import * as Effect from "effect/Effect"
import { flow, identity } from "effect/Function"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
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
import type { Protocol } from "./protocol.ts"
import { type JoinEvents, readObject } from "./readObject.ts"
import { failError, failUnusable, failWithoutAnswer } from "./unusableAnswer.ts"

/** `POST {baseUrl}/v1/messages`: https://platform.claude.com/docs/en/api/messages/create */
export const anthropicMessages: Protocol = {
  module: "Anthropic",
  urlOption: "baseUrl",
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
  readAnswer: (answer) =>
    Effect.flatMap(readObject(answer, joinEvents), (message) => {
      const { content, error, id, model, stop_details, stop_reason, type, usage } = message
      if (error || type === "error") return failError(message, answer)
      const blocks = asObjects(content ?? [])
      const text = blocks === undefined ? undefined : joinTextParts(blocks)
      const finishReason = asName(stop_reason, answer.request.excerpt)
      const isAnswer = finishReason !== undefined || blocks?.some(({ type }) => type === "text") === true
      if (!isAnswer) return failWithoutAnswer("the answer has neither a text nor a `stop_reason`", answer)
      if (blocks === undefined || text === undefined) {
        return failUnusable("the content of the answer is malformed", answer)
      }
      const counts = asObject(usage) ?? {}
      return Effect.succeed({
        samples: [{
          text,
          finishReason,
          refusal: asString(asObject(stop_details)?.["explanation"]),
          reasoning: joinTexts(blocks.map(({ thinking }) => thinking))
        }],
        responseId: asName(id, answer.request.excerpt),
        model: asName(model, answer.request.excerpt),
        inputTokens: inputTokensOf(counts),
        outputTokens: asTokenCount(counts["output_tokens"])
      })
    })
}

// https://platform.claude.com/docs/en/build-with-claude/streaming
const joinEvents: JoinEvents = (events) => {
  let message: JsonObject = {}
  let isWhole = false
  const blocks = new Map<unknown, Record<string, unknown>>()
  for (const event of events) {
    const { content_block, index, type, usage } = event
    const delta = asObject(event["delta"]) ?? {}
    if (type === "message_start") message = { ...asObject(event["message"]) }
    else if (type === "content_block_start") blocks.set(index, { ...asObject(content_block) })
    else if (type === "content_block_delta") {
      const block = blocks.get(index) ?? { type: delta["type"] === "thinking_delta" ? "thinking" : "text" }
      for (const name of ["text", "thinking"]) {
        const piece = asString(delta[name])
        if (piece !== undefined) block[name] = (asString(block[name]) ?? "") + piece
      }
      blocks.set(index, block)
    } else if (type === "message_delta") {
      message = { ...message, ...delta, usage: { ...asObject(message["usage"]), ...asObject(usage) } }
    }
    if (type === "message_stop") isWhole = true
  }
  return isWhole || asString(message["stop_reason"]) !== undefined
    ? { ...message, content: [...blocks.values()] }
    : undefined
}

// Anthropic counts prompt tokens of its own cache apart from the others.
const inputTokensOf = (usage: JsonObject): number | undefined => {
  const [uncached, ...cached] = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
    .map((name) => asTokenCount(usage[name]))
  return uncached === undefined ? undefined : cached.reduce<number>((sum, tokens = 0) => sum + tokens, uncached)
}
