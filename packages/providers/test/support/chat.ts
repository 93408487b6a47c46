import { assert } from "@effect/vitest"
import type { SampleError } from "@llm-cache/core"
import * as ChatCompletionsModel from "@llm-cache/providers/ChatCompletionsModel"
import { Effect, Layer, Redacted, Schedule } from "effect"
import { AiError, type LanguageModel } from "effect/ai"
import type { HttpClient } from "effect/http"
import { json, type Reply } from "./server.ts"

/** Runs an effect with a language model of a server. It does not retry unless `retry` is given. */
export const chatting = (
  client: Layer.Layer<HttpClient.HttpClient>,
  url: string,
  options?: Partial<ChatCompletionsModel.CommonOptions>
) =>
<A, E, R>(effect: Effect.Effect<A, E, R | LanguageModel.LanguageModel>): Effect.Effect<
  A,
  E | SampleError.InvalidInput,
  Exclude<R, LanguageModel.LanguageModel>
> =>
  Effect.provide(
    effect,
    ChatCompletionsModel.layer({
      baseUrl: `${url}/v1`,
      apiKey: Redacted.make("sk-secret-test-key"),
      model: "gpt-mock",
      retry: Schedule.recurs(0),
      ...options
    }).pipe(Layer.provide(client))
  )

/** Fails the test unless the error is an `AiError` with that reason. */
export const aiReasonOf = <Tag extends AiError.AiErrorReason["_tag"]>(
  error: unknown,
  tag: Tag
): Extract<AiError.AiErrorReason, { readonly _tag: Tag }> => {
  assert.instanceOf(error, AiError.AiError)
  const { reason } = error
  assert.strictEqual(reason._tag, tag, error.message)
  return reason as Extract<AiError.AiErrorReason, { readonly _tag: Tag }>
}

// -----------------------------------------------------------------------------
// whole answers
// -----------------------------------------------------------------------------

export const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 }

/** A whole answer with one message. */
export const answer = (message: object, finish_reason: string | null = "stop", fields: object = {}): Reply =>
  json(200, {
    id: "chatcmpl-1",
    created: 1_790_000_000,
    model: "gpt-mock-1",
    choices: [{ index: 0, message: { role: "assistant", content: null, ...message }, finish_reason }],
    usage,
    ...fields
  })

export const call = (id: string, name: string, args: unknown) => ({
  id,
  type: "function",
  function: { name, arguments: typeof args === "string" ? args : JSON.stringify(args) }
})

// -----------------------------------------------------------------------------
// streams
// -----------------------------------------------------------------------------

/** A chunk of a stream. */
export const chunk = (delta: object, finish_reason: string | null = null) => ({
  id: "chatcmpl-1",
  created: 1_790_000_000,
  model: "gpt-mock-1",
  choices: [{ index: 0, delta, finish_reason }]
})

export const usageChunk = { id: "chatcmpl-1", created: 1_790_000_000, model: "gpt-mock-1", choices: [], usage }

export const event = (data: unknown) => `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`

export const events = (...data: ReadonlyArray<unknown>) => data.map(event).join("")

/** Sends pieces of a body one by one, each in a packet of its own, and ends unless `isOpen`. */
export const pieces = (
  body: ReadonlyArray<Uint8Array | string>,
  then: "end" | "hang" | "cut" = "end",
  headers: Record<string, string> = {}
): Reply =>
(response) => {
  response.writeHead(200, { "content-type": "text/event-stream", ...headers })
  const next = (i: number) => {
    if (i < body.length) response.write(body[i], () => setImmediate(next, i + 1))
    else if (then === "end") response.end()
    else if (then === "cut") response.destroy()
  }
  next(0)
}

export const sse = (...data: ReadonlyArray<unknown>): Reply => pieces([events(...data, "[DONE]")])
