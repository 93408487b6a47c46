import { ServerFault } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { asName, asObject, asString, asTokenCount, parseObject } from "./json.ts"
import type { Answer, Protocol } from "./protocol.ts"
import { failNotJson } from "./readObject.ts"
import { failCut, failedPart, failWithoutAnswer } from "./unusableAnswer.ts"

/** `POST {baseUrl}/api/chat`: https://docs.ollama.com/api/chat */
export const ollamaChat: Protocol = {
  module: "Ollama",
  urlOption: "baseUrl",
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
    const lines = linesOf(answer.body)
    let text: string | undefined
    let reasoning = ""
    for (const [i, line] of lines.entries()) {
      const piece = parseObject(line)
      if (piece === undefined) {
        // A cut connection leaves half a line at the end only.
        const isCut = i === lines.length - 1 && (i > 0 || line.startsWith("{"))
        return isCut ? failCut(answer) : failNotJson(answer)
      }
      const { done, done_reason, error, eval_count, model, prompt_eval_count } = piece
      const message = asObject(piece["message"] ?? {})
      const { content = null, thinking } = message ?? {}
      if (error) return Effect.fail(failedPart(piece, answer))
      if (message === undefined || (content !== null && typeof content !== "string")) {
        return failWithoutAnswer("a line of the answer is malformed", answer)
      }
      if (content !== null) text = (text ?? "") + content
      reasoning += asString(thinking) ?? ""
      if (done !== true) continue
      const finishReason = asName(done_reason, answer.request.excerpt)
      if (finishReason === "load" || finishReason === "unload") return failLoaded(answer)
      if (text === undefined && finishReason === undefined) {
        return failWithoutAnswer("the answer has neither a text nor a `done_reason`", answer)
      }
      return Effect.succeed({
        samples: [{ text: text ?? "", finishReason, reasoning: reasoning || undefined }],
        model: asName(model, answer.request.excerpt),
        inputTokens: asTokenCount(prompt_eval_count),
        outputTokens: asTokenCount(eval_count)
      })
    }
    if (lines.length === 0) return failNotJson(answer)
    const isOfProtocol = lines.length > 1 || parseObject(lines[0]!)?.["message"] !== undefined
    return isOfProtocol ? failCut(answer) : failWithoutAnswer("the answer has no `message`", answer)
  }
}

// A gateway may make events of the lines, or write one object over several lines.
const linesOf = (body: string): ReadonlyArray<string> => {
  const lines = body.split("\n")
    .map((line) => line.replace(/^data:|^(?:event|id|retry)?:.*/, "").trim())
    .filter((line) => line !== "" && line !== "[DONE]")
  const [first = ""] = lines
  return parseObject(first) === undefined && parseObject(body) !== undefined ? [body] : lines
}

// The server loaded the model, or put it away, and did not ask it: https://docs.ollama.com/api/chat
const failLoaded = ({ request, status }: Answer) =>
  Effect.fail(
    new ServerFault({ description: `the server loaded ${request.model} and did not ask it: try again`, status })
  )

/** The parameters beside `options`, by the protocol's documentation. */
const topLevelParameters = ["format", "think", "keep_alive"]
