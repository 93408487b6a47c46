import { type Client, send } from "./server.ts"
import { json, type Reply, startStream } from "./upstream.ts"

let ids = 0

/** A whole answer of Anthropic. */
export const messageOf = (content: ReadonlyArray<object>, fields: object = {}) => ({
  id: `msg_${++ids}`,
  type: "message",
  role: "assistant",
  model: "claude",
  content,
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 7, output_tokens: 3 },
  ...fields
})

export const text = (text: string) => ({ type: "text", text })

/** `sample 0`, `sample 1`, … over all requests. */
export const numberedMessages = (): Reply => {
  let count = 0
  return (response) => json(response, messageOf([text(`sample ${count++}`)]))
}

export const answering = (content: ReadonlyArray<object>, fields: object = {}): Reply => (response) =>
  json(response, messageOf(content, fields))

/** The text of events, in the way of Anthropic. */
export const events = (...all: ReadonlyArray<readonly [type: string, fields?: object]>): string =>
  all.map(([type, fields]) => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`).join("")

export const start = (fields: object = {}): readonly [string, object] => [
  "message_start",
  {
    message: messageOf([], {
      stop_reason: null,
      usage: { input_tokens: 7, cache_read_input_tokens: 2, output_tokens: 1 },
      ...fields
    })
  }
]

export const block = (
  index: number,
  content_block: object,
  ...deltas: ReadonlyArray<object>
): ReadonlyArray<readonly [string, object]> => [
  ["content_block_start", { index, content_block }],
  ...deltas.map((delta) => ["content_block_delta", { index, delta }] as const),
  ["content_block_stop", { index }]
]

export const end = (stop_reason = "end_turn", fields: object = {}): ReadonlyArray<readonly [string, object]> => [
  ["message_delta", { delta: { stop_reason, stop_sequence: null, ...fields }, usage: { output_tokens: 30 } }],
  ["message_stop", {}]
]

export const textBlock = (index: number, ...pieces: ReadonlyArray<string>) =>
  block(index, text(""), ...pieces.map((text) => ({ type: "text_delta", text })))

export const streamedMessage = (...all: ReadonlyArray<readonly [string, object?]>): Reply => (response) => {
  startStream(response)
  response.end(events(start(), ...all))
}

/** The events that a client gets. */
export const eventsIn = (text: string): ReadonlyArray<any> =>
  text.split("\n\n").filter((event) => event.startsWith("event: ")).map((event) => {
    const [, type, data] = /^event: (.*)\ndata: (.*)$/.exec(event)!
    const parsed = JSON.parse(data!)
    if (parsed.type !== type) throw new Error(event)
    return parsed
  })

/** Asks for a message. */
export const ask = (
  server: Pick<Client, "url">,
  place: string,
  body: object,
  headers: { readonly [name: string]: string } = {}
) =>
  send(server.url, `${place}/v1/messages`, {
    body: { model: "claude", max_tokens: 100, ...body },
    headers: { "anthropic-version": "2023-06-01", ...headers }
  })
