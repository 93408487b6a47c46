import type { LlmModel, SampleError } from "@llm-cache/core"
import { Anthropic, HttpProvider, type ModelOptions, Ollama, OpenAiCompatible } from "@llm-cache/providers"
import { Effect, type Layer, Redacted, Schedule, Schema } from "effect"
import type { HttpClient } from "effect/http"
import { completion, json, type Received, type Reply, text } from "./server.ts"

export interface Protocol {
  readonly path: string
  /** A model of a server. It does not retry unless `retry` is given. */
  readonly layer: (
    url: string,
    options?: Partial<Omit<ModelOptions.ModelOptions, "parameters">>
  ) => Layer.Layer<LlmModel.LlmModel, SampleError.InvalidInput, HttpClient.HttpClient>
  /** Numbered samples, for requests that the documentation of the protocol allows. */
  readonly success: () => Reply
  /** An answer without its end. */
  readonly half: string
  /** The form of an error. */
  readonly error: (message: string) => unknown
}

const common = { model: "gpt-mock", temperature: 1, retry: Schedule.recurs(0) }
const apiKey = Redacted.make("sk-test")

// -----------------------------------------------------------------------------
// Ollama: https://docs.ollama.com/api/chat
// -----------------------------------------------------------------------------

const refusal = (conditions: Record<string, boolean>) =>
  Object.entries(conditions).filter(([, holds]) => !holds).map(([name]) => name).join(", ")

const isMessages = (roles: ReadonlyArray<string>, messages: unknown): boolean =>
  Array.isArray(messages) && messages.length > 0 &&
  messages.every((message) =>
    roles.includes(message.role) && typeof message.content === "string" && Object.keys(message).length === 2
  )

const only = (received: Received, ...fields: ReadonlyArray<string>) =>
  Object.keys(received.body).every((field) => fields.includes(field))

const optionsOfOllama = ["temperature", "num_predict", "num_ctx", "top_p", "top_k", "min_p", "seed", "stop"]

export const lines = (...lines: ReadonlyArray<unknown>) => lines.map((line) => JSON.stringify(line) + "\n").join("")

export const piece = (content: string) => ({
  model: "gpt-mock",
  created_at: "2026-11-25T00:00:00Z",
  message: { role: "assistant", content },
  done: false
})

export const last = { ...piece(""), done: true, done_reason: "stop", prompt_eval_count: 7, eval_count: 3 }

export const ndjson = (body: string): Reply => text(200, body, { "content-type": "application/x-ndjson" })

/** Answers requests that follow the documentation, one character per line, and rejects all others. */
export const ollama = (): Reply => {
  let given = 0
  return (response, received) => {
    const { messages, model, options = {}, stream } = received.body
    const wrong = refusal({
      method: received.method === "POST",
      path: received.path === "/api/chat",
      fields: only(received, "model", "messages", "stream", "options", "format", "think", "keep_alive"),
      model: typeof model === "string",
      messages: isMessages(["system", "user", "assistant"], messages),
      stream: stream === true,
      options: typeof options === "object" &&
        Object.keys(options!).every((name) => optionsOfOllama.includes(name))
    })
    const reply = wrong === ""
      ? ndjson(lines(...[..."sample " + given++].map(piece), last))
      : json(400, { error: `wrong: ${wrong}` })
    reply(response, received)
  }
}

// -----------------------------------------------------------------------------
// Anthropic: https://platform.claude.com/docs/en/api/messages/create
// -----------------------------------------------------------------------------

export const message = (fields: object) =>
  json(200, {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "gpt-mock-1",
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 7, output_tokens: 3 },
    ...fields
  })

export const anthropicError = (type: string, message: string) => ({
  type: "error",
  error: { type, message },
  request_id: "req_1"
})

/** Answers requests that follow the documentation, and rejects all others. */
export const anthropic = (): Reply => {
  let given = 0
  return (response, received) => {
    const { max_tokens, messages, model, system = "" } = received.body
    const wrong = refusal({
      method: received.method === "POST",
      path: received.path === "/v1/messages",
      version: received.headers["anthropic-version"] === "2023-06-01",
      type: received.headers["content-type"]?.startsWith("application/json") === true,
      fields: only(
        received,
        "model",
        "messages",
        "max_tokens",
        "system",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "thinking"
      ),
      model: typeof model === "string",
      max_tokens: Number.isInteger(max_tokens) && Number(max_tokens) > 0,
      messages: isMessages(["user", "assistant"], messages),
      system: typeof system === "string"
    })
    const reply = received.headers["x-api-key"] !== "sk-test"
      ? json(401, anthropicError("authentication_error", "invalid x-api-key"))
      : wrong === ""
      ? message({ content: [{ type: "text", text: "sample " }, { type: "text", text: String(given++) }] })
      : json(400, anthropicError("invalid_request_error", `wrong: ${wrong}`))
    reply(response, received)
  }
}

// -----------------------------------------------------------------------------
// a protocol of the user's
// -----------------------------------------------------------------------------

const Output = Schema.Struct({
  outputs: Schema.Array(Schema.Struct({ text: Schema.String, stop: Schema.optional(Schema.String) })),
  tokens: Schema.optional(Schema.Struct({ input: Schema.Finite, output: Schema.Finite }))
})

/** A provider as a user writes it. */
export const own: Pick<HttpProvider.Options, "request" | "decode"> = {
  request: ({ model, n, parameters, prompt, system, temperature }) => ({
    ...parameters,
    model,
    text: prompt,
    system,
    temperature,
    count: n
  }),
  decode: (answer) =>
    Effect.map(Schema.decodeUnknownEffect(Output)(answer), ({ outputs, tokens }) => ({
      samples: outputs.map(({ stop, text }) => ({ text, finishReason: stop })),
      inputTokens: tokens?.input,
      outputTokens: tokens?.output
    }))
}

/** As many outputs as were asked for, or `brings`, numbered. */
export const outputs = (brings: (n: number) => number = (n) => n): Reply => {
  let given = 0
  return (response, { body }) => {
    const texts = Array.from({ length: brings(Number(body["count"])) }, () => `sample ${given++}`)
    json(200, { outputs: texts.map((text) => ({ text, stop: "end" })), tokens: { input: 7, output: 3 } })(
      response,
      { method: "POST", path: "", headers: {}, body }
    )
  }
}

// -----------------------------------------------------------------------------
// all
// -----------------------------------------------------------------------------

/** The protocols of chats. */
export const chatProtocols: ReadonlyArray<[name: string, protocol: Protocol]> = [
  ["chat completions", {
    path: "/v1/chat/completions",
    layer: (url, options) => OpenAiCompatible.layer({ ...common, apiKey, baseUrl: `${url}/v1`, ...options }),
    success: () => completion(),
    half: "{\"choices\":[{\"message\":{\"content\":\"half",
    error: (message) => ({ error: { message, type: "invalid_request_error", param: null, code: null } })
  }],
  ["Ollama", {
    path: "/api/chat",
    layer: (url, options) => Ollama.layer({ ...common, baseUrl: url, ...options }),
    success: ollama,
    half: lines(piece("half"), piece("half")) + "{\"model\":",
    error: (message) => ({ error: message })
  }],
  ["Anthropic", {
    path: "/v1/messages",
    layer: (url, options) =>
      Anthropic.layer({ ...common, apiKey, baseUrl: url, parameters: { max_tokens: 100 }, ...options }),
    success: anthropic,
    half: "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"half",
    error: (message) => anthropicError("invalid_request_error", message)
  }]
]

export const protocols: ReadonlyArray<[name: string, protocol: Protocol]> = [
  ...chatProtocols,
  ["HttpProvider", {
    path: "/generate",
    layer: (url, options) => {
      const { request: _, ...others } = options ?? {}
      return HttpProvider.layer({ ...common, ...own, apiKey, url: `${url}/generate`, ...others })
    },
    success: () => outputs(),
    half: "{\"outputs\":[{\"text\":\"half",
    error: (message) => ({ error: { message } })
  }]
]
