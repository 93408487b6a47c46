import { Transport } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as ErrorReason from "../request/errorReason.ts"
import { asObject, asString, asTokenCount, parseObject } from "./json.ts"
import type { Protocol } from "./protocol.ts"
import { failNotJson, failWithoutText } from "./unusableAnswer.ts"

/** `POST {baseUrl}/api/chat`: https://docs.ollama.com/api/chat */
export const ollamaChat: Protocol = {
  module: "Ollama",
  path: "/api/chat",
  exampleUrl: "http://localhost:11434",
  reservedParameters: {
    model: "give the option `model`",
    messages: "pass the prompt when you sample, and give the option `system` for a system message",
    n: "ask for a `batch` when you sample, and give the option `concurrency` for how many requests are sent at once",
    temperature: "give the option `temperature`",
    stream: "leave it out, samples come whole",
    system: "give the option `system`",
    options: "give its fields as `parameters` themselves"
  },
  outputTokenLimits: ["num_predict"],
  setHeaders: (key) => key === undefined ? identity : HttpClientRequest.bearerToken(key),
  requestBody: ({ model, parameters, system, temperature }, prompt) => {
    const messages = [{ role: "user", content: prompt }]
    if (system !== undefined) messages.unshift({ role: "system", content: system })
    const topLevel: Record<string, unknown> = {}
    const options: Record<string, unknown> = { temperature }
    for (const [name, value] of Object.entries(parameters)) {
      if (topLevelParameters.includes(name)) topLevel[name] = value
      else options[name] = value
    }
    return { ...topLevel, model, messages, stream: true, options }
  },
  // A JSON object per line, each with a piece of the text or with an error: https://docs.ollama.com/api/errors
  readAnswer: (answer) => {
    const lines = answer.body.split("\n").filter((line) => line.trim() !== "")
    let text: string | undefined
    for (const [i, line] of lines.entries()) {
      const piece = parseObject(line)
      if (piece === undefined) {
        // A cut connection leaves half a line at the end only.
        const isCut = i === lines.length - 1 && (i > 0 || line.startsWith("{"))
        return isCut ? failCut(answer.status) : failNotJson(answer)
      }
      const { done, done_reason, error, eval_count, message, model, prompt_eval_count } = piece
      if (error) return Effect.fail(ErrorReason.fromErrorInBody(line, answer.status, answer.request))
      const content = asString(asObject(message)?.["content"])
      if (content !== undefined) text = (text ?? "") + content
      if (done !== true) continue
      const finishReason = asString(done_reason)
      if (text !== undefined) {
        return Effect.succeed({
          samples: [{ text, finishReason }],
          model: asString(model),
          inputTokens: asTokenCount(prompt_eval_count),
          outputTokens: asTokenCount(eval_count)
        })
      }
      return failWithoutText("no line of the answer", [finishReason], "num_predict", answer)
    }
    return lines.length === 0 ? failNotJson(answer) : failCut(answer.status)
  }
}

/** The parameters beside `options`, by the protocol's documentation. */
const topLevelParameters = ["format", "think", "keep_alive"]

const failCut = (status: number) =>
  Effect.fail(new Transport({ description: "the answer broke off before its last line: try again", status }))
