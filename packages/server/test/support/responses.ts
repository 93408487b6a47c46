import type { Client } from "./server.ts"
import { json, type Reply, startStream } from "./upstream.ts"

let ids = 0

/** A whole response of OpenAI. */
export const responseOf = (output: ReadonlyArray<object>, fields: object = {}) => ({
  id: `resp_${++ids}`,
  object: "response",
  created_at: 1_700_000_000,
  status: "completed",
  error: null,
  incomplete_details: null,
  instructions: null,
  model: "m",
  output,
  parallel_tool_calls: true,
  previous_response_id: null,
  reasoning: { effort: null, summary: null },
  store: true,
  temperature: 1,
  tool_choice: "auto",
  tools: [],
  usage: {
    input_tokens: 7,
    input_tokens_details: { cached_tokens: 2 },
    output_tokens: 3,
    output_tokens_details: { reasoning_tokens: 1 },
    total_tokens: 10
  },
  ...fields
})

export const textPart = (text: string, fields: object = {}) => ({
  type: "output_text",
  annotations: [],
  logprobs: [],
  text,
  ...fields
})

export const messageItem = (...content: ReadonlyArray<object | string>) => ({
  id: `msg_${++ids}`,
  type: "message",
  status: "completed",
  role: "assistant",
  content: content.map((part) => typeof part === "string" ? textPart(part) : part)
})

export const callItem = (name: string, args: string) => ({
  id: `fc_${++ids}`,
  type: "function_call",
  status: "completed",
  call_id: `call_${ids}`,
  name,
  arguments: args
})

export const reasoningItem = (...summary: ReadonlyArray<string>) => ({
  id: `rs_${++ids}`,
  type: "reasoning",
  summary: summary.map((text) => ({ type: "summary_text", text })),
  encrypted_content: `secret ${ids}`
})

/** `sample 0`, `sample 1`, … over all requests. */
export const numberedResponses = (): Reply => {
  let count = 0
  return (response, { body }) => json(response, responseOf([messageItem(`sample ${count++}`)], { model: body.model }))
}

export const answering = (output: ReadonlyArray<object>, fields: object = {}): Reply => (response) =>
  json(response, responseOf(output, fields))

/** The text of events, numbered from a number that is not that of the server. */
export const events = (all: ReadonlyArray<readonly [type: string, fields: object]>, from = 100): string =>
  all.map(([type, fields], i) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: from + i, ...fields })}\n\n`
  ).join("")

type Event = readonly [type: string, fields: object]

/** The events of a response whose items are messages of one text, summaries of reasoning, or calls of functions. */
export const eventsFor = (
  output: ReadonlyArray<any>,
  fields: object = {},
  piecesOf: (text: string) => ReadonlyArray<string> = (text) => text.match(/[^]{1,7}/g) ?? []
): ReadonlyArray<Event> => {
  const whole = responseOf(output, fields)
  const begun = { ...whole, status: "in_progress", output: [], usage: null }
  const growing = (name: string, field: string, text: string, at: object): ReadonlyArray<Event> => [
    ...piecesOf(text).map((delta): Event => [`response.${name}.delta`, { ...at, delta }]),
    [`response.${name}.done`, { ...at, [field]: text }]
  ]
  const inner = (item: any, at: object): ReadonlyArray<Event> => {
    if (item.type === "function_call") return growing("function_call_arguments", "arguments", item.arguments, at)
    const isReasoning = item.type === "reasoning"
    const [name, index, text] = isReasoning
      ? ["reasoning_summary_part", "summary_index", "reasoning_summary_text"] as const
      : ["content_part", "content_index", "output_text"] as const
    return (isReasoning ? item.summary : item.content).flatMap((part: any, i: number) => [
      [`response.${name}.added`, { ...at, [index]: i, part: { ...part, text: "" } }],
      ...growing(text, "text", part.text, { ...at, [index]: i, logprobs: isReasoning ? undefined : [] }),
      [`response.${name}.done`, { ...at, [index]: i, part }]
    ])
  }
  return [
    ["response.created", { response: begun }],
    ["response.in_progress", { response: begun }],
    ...output.flatMap((item, output_index): ReadonlyArray<Event> => [
      ["response.output_item.added", {
        output_index,
        item: {
          ...item,
          ...item.status && { status: "in_progress" },
          ...item.content && { content: [] },
          ...item.summary && { summary: [] },
          ...item.arguments && { arguments: "" }
        }
      }],
      ...inner(item, { item_id: item.id, output_index }),
      ["response.output_item.done", { output_index, item }]
    ]),
    [`response.${whole.status}`, { response: whole }]
  ]
}

export const streaming = (output: ReadonlyArray<any>, fields: object = {}): Reply => (response) => {
  startStream(response)
  response.end(events(eventsFor(output, fields)))
}

/** The events that a client gets. Their names and numbers are as the API has them. */
export const eventsIn = (text: string): ReadonlyArray<any> =>
  text.split("\n\n").filter((event) => event.startsWith("event: ")).map((event, number) => {
    const [, type, data] = /^event: (.*)\ndata: (.*)$/.exec(event)!
    const parsed = JSON.parse(data!)
    if (parsed.type !== type || parsed.sequence_number !== number) throw new Error(`event ${number}: ${event}`)
    return parsed
  })

/** Asks for a response. */
export const respond = (
  server: Pick<Client, "send">,
  place: string,
  body: object,
  headers: Record<string, string> = {}
) => server.send(`${place}/v1/responses`, { body: { model: "m", ...body }, headers })

/** The text of an answer. */
export const outputText = (response: any): string =>
  response.output.flatMap(({ content = [] }: any) => content.map(({ text = "" }: any) => text)).join("")
