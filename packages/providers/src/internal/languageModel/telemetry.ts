import { addGenAIAnnotations } from "effect/ai/Telemetry"
import type { Span } from "effect/Tracer"
import type { JsonObject } from "../protocol/json.ts"
import type { AnswerEnd } from "./answerParts.ts"

/** Writes the request into the span of the language model, as Effect's own providers do. */
export const annotateRequest = (span: Span, provider: string, config: JsonObject): void =>
  addGenAIAnnotations(span, {
    provider: { name: provider },
    operation: { name: "chat" },
    request: {
      model: asText(config["model"]),
      temperature: asNumber(config["temperature"]),
      topK: asNumber(config["top_k"]),
      topP: asNumber(config["top_p"]),
      maxTokens: asNumber(config["max_completion_tokens"]) ?? asNumber(config["max_tokens"]),
      stopSequences: stopOf(config["stop"]),
      frequencyPenalty: asNumber(config["frequency_penalty"]),
      presencePenalty: asNumber(config["presence_penalty"]),
      seed: asNumber(config["seed"])
    }
  })

/** Writes the answer into the span. */
export const annotateResponse = (span: Span, end: AnswerEnd): void =>
  addGenAIAnnotations(span, {
    response: {
      id: end.responseId,
      model: end.model,
      finishReasons: end.finishReason === undefined ? undefined : [end.finishReason]
    },
    usage: { inputTokens: end.inputTokens, outputTokens: end.outputTokens }
  })

const asText = (value: unknown) => typeof value === "string" ? value : undefined

const asNumber = (value: unknown) => typeof value === "number" ? value : undefined

const stopOf = (stop: unknown): ReadonlyArray<string> | undefined =>
  typeof stop === "string" ? [stop] : Array.isArray(stop) ? stop.filter((text) => typeof text === "string") : undefined
