import type * as Http from "node:http"
import * as Anthropic from "./anthropic.ts"
import { messageOf, text } from "./anthropic.ts"
import * as Responses from "./responses.ts"
import { messageItem, outputText, responseOf } from "./responses.ts"
import { type Client, user } from "./server.ts"
import { chunks, completion, json, type Reply } from "./upstream.ts"

/** A protocol of the server, for tests that are the same for all of them. */
export interface TestedProtocol {
  readonly name: string
  readonly path: string
  /** A plain request. */
  readonly body: (prompt: string) => object
  /** An answer of the upstream. */
  readonly answer: (text: string) => object
  /** The text of an answer. */
  readonly textOf: (answer: any) => string
}

export const protocols: ReadonlyArray<TestedProtocol> = [
  {
    name: "chat completions",
    path: "/v1/chat/completions",
    body: (prompt) => ({ model: "m", messages: user(prompt) }),
    answer: (content) => completion([{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }]),
    textOf: ({ choices }) => choices[0].message.content
  },
  {
    name: "responses",
    path: "/v1/responses",
    body: (input) => ({ model: "m", input }),
    answer: (text) => responseOf([messageItem(text)]),
    textOf: outputText
  },
  {
    name: "messages",
    path: "/v1/messages",
    body: (prompt) => ({ model: "m", max_tokens: 9, messages: user(prompt) }),
    answer: (content) => messageOf([text(content)]),
    textOf: ({ content }) => content[0].text
  }
]

const completions: TestedProtocol = {
  name: "completions",
  path: "/v1/completions",
  body: (prompt) => ({ model: "m", prompt }),
  answer: (text) => ({ id: text, object: "text_completion", choices: [{ index: 0, text, finish_reason: "stop" }] }),
  textOf: ({ choices }) => choices[0].text
}

/** With that of legacy completions, whose requests are no questions of users. */
export const allProtocols = [...protocols, completions]

/** The stream of an upstream. */
export const streamBy = ({ answer, name }: TestedProtocol, text: string): string => {
  switch (name) {
    case "chat completions":
      return chunks([{ content: text }]).join("")
    case "messages":
      return Anthropic.events(Anthropic.start(), ...Anthropic.textBlock(0, text), ...Anthropic.end())
    case "responses":
      return Responses.events(Responses.eventsFor([messageItem(text)]))
    default:
      return `data: ${JSON.stringify(answer(text))}\n\ndata: [DONE]\n\n`
  }
}

/** `sample 0`, `sample 1`, … over all requests. */
export const numberedBy = ({ answer }: TestedProtocol): Reply => {
  let count = 0
  return (response) => json(response, answer(`sample ${count++}`))
}

export const askBy = (
  { body, path }: TestedProtocol,
  server: Pick<Client, "send">,
  place = "",
  headers: Http.OutgoingHttpHeaders = {}
) => server.send(`${place}${path}`, { body: body("p"), headers })
