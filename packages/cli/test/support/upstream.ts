import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll } from "vitest"

export interface Upstream {
  /** A base URL, with `/v1`. */
  readonly url: string
  /** The prompts that it was asked, in order. */
  readonly prompts: Array<string>
  /** The keys that it was sent. */
  readonly keys: Array<string | undefined>
  /** The keys in the header `x-api-key`. */
  readonly apiKeys: Array<string | undefined>
  /** Holds the answers to later requests back until the returned function is called. */
  readonly hold: () => () => void
  /** Waits for a number of requests. */
  readonly until: (requests: number) => Promise<void>
  readonly close: () => void
}

const message = (index: number, model: string, text: string) => ({
  id: `msg_${index}`,
  type: "message",
  role: "assistant",
  model,
  content: [{ type: "text", text }],
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 5, output_tokens: 2 }
})

const messageEvents = (index: number, model: string, text: string): string =>
  [
    { type: "message_start", message: { ...message(index, model, text), content: [], stop_reason: null } },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 2 } },
    { type: "message_stop" }
  ].map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("")

/** A server of chat completions and of Anthropic's messages on loopback. Its answers are `answers` in turn, and then `more 1`, `more 2`, … */
export const startUpstream = async (answers: ReadonlyArray<string> = []): Promise<Upstream> => {
  const prompts: Array<string> = []
  const keys: Array<string | undefined> = []
  const apiKeys: Array<string | undefined> = []
  const waiting: Array<() => void> = []
  let held: Array<() => void> | undefined
  const answer = (response: Http.ServerResponse, path: string, text: string) => {
    const { messages, model, stream } = JSON.parse(text)
    const index = prompts.push(messages.at(-1).content) - 1
    for (const check of waiting) check()
    const told = answers[index] ?? `more ${index - answers.length + 1}`
    const sendMessage = () => {
      response.setHeader("content-type", stream ? "text/event-stream" : "application/json")
      response.end(stream ? messageEvents(index, model, told) : JSON.stringify(message(index, model, told)))
    }
    const sendCompletion = () =>
      response.setHeader("content-type", "application/json").end(JSON.stringify({
        id: `chatcmpl-${index}`,
        object: "chat.completion",
        created: 1_700_000_000,
        model,
        choices: [{
          index: 0,
          message: { role: "assistant", content: told },
          finish_reason: "stop"
        }],
        usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }
      }))
    const send = path.endsWith("/messages") ? sendMessage : sendCompletion
    if (held === undefined) send()
    else held.push(send)
  }
  const server = Http.createServer((request, response) => {
    let text = ""
    keys.push(request.headers.authorization)
    apiKeys.push(request.headers["x-api-key"]?.toString())
    request.setEncoding("utf8").on("data", (part: string) => void (text += part)).on(
      "end",
      () => answer(response, request.url!, text)
    )
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  afterAll(close)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    prompts,
    keys,
    apiKeys,
    close,
    hold: () => {
      const answers: Array<() => void> = held = []
      return () => {
        held = undefined
        for (const answer of answers) answer()
      }
    },
    until: (requests) =>
      new Promise((resolve) => {
        const check = () => {
          if (prompts.length >= requests) resolve()
        }
        waiting.push(check)
        check()
      })
  }
}
