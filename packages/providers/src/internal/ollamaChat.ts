import { Transport } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Failure from "./failure.ts"
import { notJson, type Protocol, textless } from "./protocol.ts"
import { countOf, fieldsOf, parse, stringOf } from "./wire.ts"

// What a request has beside its options, by the documentation of the protocol.
const besideOptions = ["format", "think", "keep_alive"]

/** `POST {baseUrl}/api/chat`: https://docs.ollama.com/api/chat */
export const ollamaChat: Protocol = {
  name: "Ollama",
  path: "/api/chat",
  example: "http://localhost:11434",
  reserved: {
    model: "give the option `model`",
    messages: "the prompt is what is sampled, give the option `system` for a system message",
    n: "ask for a `batch` when you sample, and give the option `concurrency` for how many requests are sent at once",
    temperature: "give the option `temperature`",
    stream: "leave it out, samples come whole",
    system: "give the option `system`",
    options: "give what it holds as `parameters` themselves"
  },
  mostTokens: ["num_predict"],
  sign: (key) => key === undefined ? identity : HttpClientRequest.bearerToken(key),
  body: ({ model, parameters, system, temperature }, prompt) => {
    const messages = [{ role: "user", content: prompt }]
    if (system !== undefined) messages.unshift({ role: "system", content: system })
    const beside: Record<string, unknown> = {}
    const options: Record<string, unknown> = { temperature }
    for (const [name, value] of Object.entries(parameters)) {
      if (besideOptions.includes(name)) beside[name] = value
      else options[name] = value
    }
    return { ...beside, model, messages, stream: true, options }
  },
  // A line of JSON for each piece of the text, and in place of a line an error: https://docs.ollama.com/api/errors
  generation: (answer) => {
    const lines = answer.body.split("\n").filter((line) => line.trim() !== "")
    let text: string | undefined
    for (const [i, line] of lines.entries()) {
      const piece = parse(line)
      // only the last line can be one that was cut
      if (piece === undefined) {
        return i < lines.length - 1 || (i === 0 && !line.startsWith("{")) ? notJson(answer) : brokenOff(answer.status)
      }
      const { done, done_reason, error, eval_count, message, model, prompt_eval_count } = piece
      if (error) return Effect.fail(Failure.inStream(line, answer.status, answer.sent))
      const content = stringOf(fieldsOf(message)?.["content"])
      if (content !== undefined) text = (text ?? "") + content
      if (done !== true) continue
      const finishReason = stringOf(done_reason)
      if (text === undefined) {
        const reasons = finishReason === undefined ? [] : [finishReason]
        return textless("no line of the answer", reasons, "num_predict", answer)
      }
      return Effect.succeed({
        samples: [{ text, finishReason }],
        model: stringOf(model),
        inputTokens: countOf(prompt_eval_count),
        outputTokens: countOf(eval_count)
      })
    }
    return lines.length === 0 ? notJson(answer) : brokenOff(answer.status)
  }
}

const brokenOff = (status: number) =>
  Effect.fail(new Transport({ description: "the answer broke off before its last line: try again", status }))
