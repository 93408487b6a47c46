import { NodeHttpClient } from "@effect/platform-node"
import { MemoryStore } from "@llm-cache/core"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { SampleStore } from "@llm-cache/core/SampleStore"
import { Server } from "@llm-cache/server"
import { Context, Effect, Layer, Schedule, type Scope } from "effect"
import { type HttpClient, type HttpRouter, HttpServer } from "effect/http"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Os from "node:os"
import * as Path from "node:path"

export interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string
  readonly json: any
}

export interface Request {
  readonly method?: string
  readonly headers?: Http.OutgoingHttpHeaders
  readonly body?: unknown
}

export interface Client {
  readonly url: string
  readonly runs: Server.Server["Service"]["runs"]
  readonly send: (path: string, request?: Request) => Effect.Effect<Answer>
  /** Asks for chat completions. */
  readonly chat: (place: string, body: object, headers?: Http.OutgoingHttpHeaders) => Effect.Effect<Answer>
  /** The texts of the samples that a place has for a prompt. */
  readonly texts: (place: string, prompt?: string, n?: number) => Effect.Effect<ReadonlyArray<string>>
  /** Requests that were sent before have reached the server: both are in one event loop. */
  readonly settle: Effect.Effect<void>
  /** Stops the server, and waits until it has. */
  readonly stop: Effect.Effect<void>
}

export const user = (content: string) => [{ role: "user", content }]

/** A request over a connection of its own, without a client's own ideas about paths and headers. */
export const send = (url: string, path: string, { body, headers, method }: Request = {}): Effect.Effect<Answer> =>
  Effect.callback<Answer>((resume) => {
    const { hostname, port } = new URL(url)
    const payload = body === undefined || Buffer.isBuffer(body) || typeof body === "string"
      ? body
      : JSON.stringify(body)
    const request = Http.request({
      hostname,
      port,
      path,
      method: method ?? (body === undefined ? "GET" : "POST"),
      agent: false,
      headers: body === undefined ? headers : { "content-type": "application/json", ...headers }
    }, (response) => {
      const parts: Array<Buffer> = []
      response.on("data", (part: Buffer) => parts.push(part))
      response.on("error", (error) => resume(Effect.die(error)))
      response.on("end", () => {
        const text = Buffer.concat(parts).toString()
        let json: unknown
        try {
          json = JSON.parse(text)
        } catch {
          json = undefined
        }
        resume(Effect.succeed({ status: response.statusCode!, headers: response.headers, text, json }))
      })
    })
    request.on("error", (error) => resume(Effect.die(error)))
    request.end(payload)
    return Effect.sync(() => request.destroy())
  })

/** A server on a free port of loopback. Its store is in memory unless one is given. */
export const makeServer = (
  options: Server.ListenOptions = {},
  store: Layer.Layer<SampleStore, StoreError> = MemoryStore.layer,
  pages: Layer.Layer<never, never, HttpRouter.HttpRouter> = Layer.empty,
  client: Layer.Layer<HttpClient.HttpClient> = NodeHttpClient.layerUndici
): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.gen(function*() {
    // It has the clock of the test.
    const run = Effect.runPromiseWith(yield* Effect.context())
    const stopping = yield* Effect.callback<
      { readonly context: Context.Context<Server.Server | HttpServer.HttpServer>; readonly stop: Effect.Effect<void> }
    >(
      (resume) => {
        let stop = () => {}
        const stopped = new Promise<void>((resolve) => {
          stop = resolve
        })
        const done = run(
          Effect.scoped(Effect.gen(function*() {
            const context = yield* Layer.build(
              Server.layer({ port: 0, retry: Schedule.recurs(0), trace: false, ...options }, pages).pipe(
                Layer.provide(Layer.orDie(store)),
                Layer.provide(client)
              )
            )
            resume(Effect.succeed({
              context,
              stop: Effect.promise(() => {
                stop()
                return done
              })
            }))
            yield* Effect.promise(() => stopped)
          })) as Effect.Effect<void>
        )
        done.catch((error: unknown) => resume(Effect.die(error)))
      }
    )
    yield* Effect.addFinalizer(() => stopping.stop)
    const address = Context.get(stopping.context, HttpServer.HttpServer).address
    const url = HttpServer.formatAddress(address)
    const { runs } = Context.get(stopping.context, Server.Server)
    const chat: Client["chat"] = (place, body, headers) =>
      send(url, `${place}/v1/chat/completions`, { body: { model: "m", ...body }, ...headers && { headers } })
    return {
      url,
      runs,
      send: (path, request) => send(url, path, request),
      chat,
      texts: (place, prompt = "p", n = 1) =>
        Effect.map(chat(place, { messages: user(prompt), n }), ({ json, text }) => {
          if (json?.choices === undefined) throw new Error(text)
          return json.choices.map((choice: { message: { content: string } }) => choice.message.content)
        }),
      settle: Effect.asVoid(Effect.repeat(send(url, "/health"), { times: 5 })),
      stop: stopping.stop
    }
  })

export const makeDirectory = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "llm-cache-server-"))),
  (directory) => Effect.sync(() => Fs.rmSync(directory, { recursive: true, force: true }))
)
