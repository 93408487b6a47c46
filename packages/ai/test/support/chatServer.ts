import { Effect } from "effect"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

/** An answer of the server. It gives a message whole or as a stream, as the request asks for it. */
export type Reply =
  | { readonly message: Message; readonly finish?: string; readonly cut?: boolean }
  | { readonly status: number; readonly body: unknown; readonly headers?: Record<string, string> }
  | "closed"

interface Message {
  readonly content?: string
  readonly refusal?: string
  readonly reasoning?: string
  readonly tool_calls?: ReadonlyArray<object>
}

/** A server of OpenAI's protocol on loopback. Its last reply answers all later requests, too. */
export const makeChatServer = Effect.acquireRelease(
  Effect.callback<
    {
      readonly http: Http.Server
      readonly baseUrl: string
      readonly bodies: Array<string>
      readonly replies: Array<Reply>
    }
  >((resume) => {
    const bodies: Array<string> = []
    const replies: Array<Reply> = []
    const http = Http.createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const body = Buffer.concat(chunks).toString()
        const index = bodies.push(body) - 1
        answer(response, replies.length > 1 ? replies.shift()! : replies[0]!, JSON.parse(body).stream === true, index)
      })
    })
    http.listen(0, "127.0.0.1", () => {
      const { port } = http.address() as AddressInfo
      resume(Effect.succeed({ http, baseUrl: `http://127.0.0.1:${port}/v1`, bodies, replies }))
    })
  }),
  ({ http }) =>
    Effect.callback<void>((resume) => {
      http.close(() => resume(Effect.void))
      http.closeAllConnections()
    })
)

const answer = (response: Http.ServerResponse, reply: Reply, isStream: boolean, index: number) => {
  if (reply === "closed") return void response.destroy()
  if ("status" in reply) {
    response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers })
    return void response.end(typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body))
  }
  const { cut, finish = "stop", message } = reply
  const head = { id: `chatcmpl-${index}`, created: 1_790_000_000, model: "gpt-mock-1" }
  const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 }
  if (!isStream) {
    const whole = JSON.stringify({
      ...head,
      usage,
      choices: [{ index: 0, message: { role: "assistant", content: null, ...message }, finish_reason: finish }]
    })
    response.writeHead(200, { "content-type": "application/json", ...cut ? { "content-length": whole.length } : {} })
    return cut ? void response.write(whole.slice(0, 50), () => response.destroy()) : void response.end(whole)
  }
  const chunk = (delta: object, finish_reason: string | null = null) =>
    `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta, finish_reason }] })}\n\n`
  response.writeHead(200, { "content-type": "text/event-stream" })
  response.write(deltasOf(message).map((delta) => chunk(delta)).join(""), () => {
    if (cut) return void response.destroy()
    response.end(
      `${chunk({}, finish)}data: ${JSON.stringify({ ...head, choices: [], usage })}\n\ndata: [DONE]\n\n`
    )
  })
}

/** A message in pieces: every text in two. */
const deltasOf = ({ tool_calls = [], ...texts }: Message): ReadonlyArray<object> => [
  ...Object.entries(texts).flatMap(([name, text]) => [{ [name]: text.slice(0, 3) }, { [name]: text.slice(3) }]),
  ...tool_calls.map((call, index) => ({ tool_calls: [{ index, ...call }] }))
]
