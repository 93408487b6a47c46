import { Effect } from "effect"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

export interface CompletionRequest {
  readonly model: string
  readonly temperature?: number
  readonly n?: number
  readonly messages: ReadonlyArray<{ readonly role: string; readonly content: string }>
  readonly [parameter: string]: unknown
}

export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  /** The body, parsed. */
  readonly body: CompletionRequest
}

export type Reply = (response: Http.ServerResponse, received: Received) => void

export interface Server {
  /** The URL of the server: `http://127.0.0.1:…`. */
  readonly url: string
  readonly received: Array<Received>
  /** The replies to the next requests, in order. The last reply answers all later requests, too. */
  readonly replies: Array<Reply>
  /** Waits until this many requests were cut off by the client. */
  readonly cutOff: (requests: number) => Effect.Effect<void>
}

/** A server on loopback, closed with the scope. */
export const makeServer = (...replies: ReadonlyArray<Reply>) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<Server & { readonly http: Http.Server }>((resolve) => {
        const script = replies.length === 0 ? [completion()] : [...replies]
        const received: Array<Received> = []
        let cutOffs = 0
        let onCutOff = () => {}
        const http = Http.createServer((request, response) => {
          const chunks: Array<Buffer> = []
          response.on("close", () => {
            if (response.writableFinished) return
            cutOffs++
            onCutOff()
          })
          request.on("data", (chunk: Buffer) => chunks.push(chunk))
          request.on("end", () => {
            const text = Buffer.concat(chunks).toString()
            const one = {
              method: request.method!,
              path: request.url!,
              headers: request.headers,
              body: text === "" ? undefined : JSON.parse(text)
            }
            received.push(one)
            const reply = script.length > 1 ? script.shift()! : script[0]!
            reply(response, one)
          })
        })
        http.listen(0, "127.0.0.1", () =>
          resolve({
            http,
            url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
            received,
            replies: script,
            cutOff: (requests) =>
              Effect.promise(() =>
                new Promise<void>((resolve) => {
                  onCutOff = () => cutOffs >= requests && resolve()
                  onCutOff()
                })
              )
          }))
      })
    ),
    ({ http }) =>
      Effect.promise(() =>
        new Promise((resolve) => {
          http.close(resolve)
          http.closeAllConnections()
        })
      )
  )

// -----------------------------------------------------------------------------
// replies
// -----------------------------------------------------------------------------

export const text = (status: number, body: string, headers: Http.OutgoingHttpHeaders = {}): Reply => (response) => {
  response.writeHead(status, headers).end(body)
}

export const json = (status: number, body: unknown, headers: Http.OutgoingHttpHeaders = {}): Reply =>
  text(status, JSON.stringify(body), { "content-type": "application/json", ...headers })

export const choice = (content: unknown, finish_reason = "stop") => ({
  message: { role: "assistant", content },
  finish_reason
})

export const choices = (...choices: ReadonlyArray<unknown>): Reply => json(200, { model: "gpt-mock-1", choices })

/** As many choices as were asked for, or `brings`, numbered over the life of the reply. */
export const completion = (brings: (n: number) => number = (n) => n): Reply => {
  let given = 0
  return (response, received) => {
    const texts = Array.from({ length: brings(received.body.n ?? 1) }, () => `sample ${given++}`)
    json(200, {
      model: "gpt-mock-1",
      choices: texts.map((content) => choice(content)),
      usage: { prompt_tokens: 7, completion_tokens: 3 * texts.length, total_tokens: 7 + 3 * texts.length }
    })(response, received)
  }
}

/** Closes the connection before a byte of the answer. */
export const cut: Reply = (response) => {
  response.destroy()
}

/** Closes the connection in the middle of the body, which has a length or comes in chunks. */
export const cutInBody =
  (status: number, headers: Http.OutgoingHttpHeaders = { "content-length": 1000 }): Reply => (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers })
    response.write("{\"choices\":[{\"message\":{\"content\":\"half", () => response.destroy())
  }

export const hang: Reply = () => {}

export const hangInBody: Reply = (response) => {
  response.writeHead(200, { "content-type": "application/json" })
  response.write("{\"choices\":[")
}
