import { Effect } from "effect"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

/** The options of a server in front of one upstream. */
export const upstreams = (url: string, fields: object = {}) => ({ upstreams: [{ name: "test", url, ...fields }] })

export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string
  readonly body: any
}

export type Reply = (response: Http.ServerResponse, received: Received, index: number) => void

export interface Upstream {
  readonly url: string
  readonly received: Array<Received>
  /** Replaces the reply to later requests. */
  reply: Reply
  /** The answers about its models by path, packed if they are bytes. Their requests are not among the received. */
  models: { readonly [path: string]: object }
  /** Holds the replies to later requests back until the returned function is called. */
  readonly hold: () => () => void
  /** Waits until so many requests have come. */
  readonly until: (requests: number) => Effect.Effect<void>
}

let ids = 0

/** One choice for each sample, `sample 0`, `sample 1`, … over all requests. */
export const numbered = (fields: object = {}): Reply => {
  let count = 0
  return (response, { body }) => {
    const choices = Array.from({ length: body.n ?? 1 }, (_, index) => ({
      index,
      message: { role: "assistant", content: `sample ${count++}`, refusal: null },
      logprobs: null,
      finish_reason: "stop"
    }))
    json(response, completion(choices, { model: body.model, ...fields }))
  }
}

export const completion = (choices: ReadonlyArray<object>, fields: object = {}) => ({
  id: `chatcmpl-${++ids}`,
  object: "chat.completion",
  created: 1_700_000_000,
  model: "m",
  choices,
  usage: { prompt_tokens: 7, completion_tokens: 3 * choices.length, total_tokens: 7 + 3 * choices.length },
  ...fields
})

export const message = (fields: object, choice: object = {}): Reply => (response, { body }) =>
  json(
    response,
    completion([{ index: 0, message: { role: "assistant", ...fields }, finish_reason: "stop", ...choice }], {
      model: body.model
    })
  )

export const json = (response: Http.ServerResponse, body: unknown, status = 200, headers: object = {}): void => {
  response.writeHead(status, { "content-type": "application/json", ...headers })
  response.end(typeof body === "string" ? body : JSON.stringify(body))
}

/** The chunks of a stream with one choice. */
export const chunks = (
  deltas: ReadonlyArray<object>,
  { finish = "stop", id = `chatcmpl-${++ids}` }: { finish?: string; id?: string } = {}
): ReadonlyArray<string> => {
  const chunk = (choices: ReadonlyArray<object>, fields: object = {}) =>
    `data: ${
      JSON.stringify({
        id,
        object: "chat.completion.chunk",
        created: 1_700_000_000,
        model: "m",
        choices,
        usage: null,
        ...fields
      })
    }\n\n`
  return [
    chunk([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }]),
    ...deltas.map((delta) => chunk([{ index: 0, delta, finish_reason: null }])),
    chunk([{ index: 0, delta: {}, finish_reason: finish }]),
    chunk([], { usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } }),
    "data: [DONE]\n\n"
  ]
}

export const startStream = (response: Http.ServerResponse): void => {
  response.writeHead(200, { "content-type": "text/event-stream" })
}

export const streamed = (deltas: ReadonlyArray<object>, options?: { finish?: string }): Reply => (response) => {
  startStream(response)
  for (const chunk of chunks(deltas, options)) response.write(chunk)
  response.end()
}

/** A scripted upstream on loopback, closed with the scope. */
export const makeUpstream = (reply: Reply = numbered()) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<Upstream & { readonly http: Http.Server }>((resolve) => {
        const waiting: Array<() => void> = []
        const http = Http.createServer((request, response) => {
          const parts: Array<Buffer> = []
          request.on("data", (part: Buffer) => parts.push(part))
          request.on("end", () => {
            if (request.method !== "POST" && /\/models(?:\/|\?|$)/.test(request.url!)) {
              const body = upstream.models[request.url!.replace(/^\/v1/, "")]
              if (Buffer.isBuffer(body)) {
                response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" })
                return response.end(body)
              }
              return json(response, body ?? { error: { message: "no such path" } }, body === undefined ? 404 : 200)
            }
            const text = Buffer.concat(parts).toString()
            const one = {
              method: request.method!,
              path: request.url!,
              headers: request.headers,
              text,
              body: text.startsWith("{") ? JSON.parse(text) : undefined
            }
            upstream.received.push(one)
            for (const tell of waiting) tell()
            upstream.reply(response, one, upstream.received.length - 1)
          })
        })
        const upstream = {
          http,
          url: "",
          received: [] as Array<Received>,
          models: {} as Upstream["models"],
          reply,
          hold: () => {
            const held: Array<() => void> = []
            const { reply } = upstream
            upstream.reply = (...args) => held.push(() => reply(...args))
            return () => {
              upstream.reply = reply
              for (const go of held) go()
            }
          },
          until: (requests: number) =>
            Effect.callback<void>((resume) => {
              const tell = () => {
                if (upstream.received.length >= requests) resume(Effect.void)
              }
              waiting.push(tell)
              tell()
            })
        }
        http.listen(0, "127.0.0.1", () => {
          upstream.url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/v1`
          resolve(upstream)
        })
      })
    ),
    ({ http }) =>
      Effect.sync(() => {
        http.close()
        http.closeAllConnections()
      })
  )
