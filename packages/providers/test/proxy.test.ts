// The recommended client with a proxy from the environment, as the README builds it.
import { NodeHttpClient } from "@effect/platform-node"
import { EnvHttpProxyAgent } from "@effect/platform-node/Undici"
import { assert, describe, it } from "@effect/vitest"
import { LlmModel } from "@llm-cache/core"
import { Effect, Layer, Schedule } from "effect"
import * as Http from "node:http"
import * as Net from "node:net"
import { reasonOf, sampling } from "./support/model.ts"
import { makeServer } from "./support/server.ts"

const agent = Effect.acquireRelease(
  Effect.sync(() => new EnvHttpProxyAgent()),
  (agent) => Effect.promise(() => agent.destroy())
)

const client = NodeHttpClient.layerUndiciNoDispatcher.pipe(
  Layer.provide(Layer.effect(NodeHttpClient.Dispatcher, agent))
)

/** A proxy that notes where clients go through it. */
const makeProxy = Effect.acquireRelease(
  Effect.promise(() =>
    new Promise<{ readonly url: string; readonly http: Http.Server; readonly asked: Array<string> }>((resolve) => {
      const asked: Array<string> = []
      const http = Http.createServer((request, response) => {
        asked.push(new URL(request.url!).host)
        const { headers, method } = request
        request.pipe(Http.request(request.url!, { method: method!, headers }, (answer) => {
          response.writeHead(answer.statusCode!, answer.headers)
          answer.pipe(response)
        }))
      })
      http.on("connect", (request, socket, head) => {
        asked.push(request.url!)
        const { hostname, port } = new URL(`http://${request.url}`)
        const tunnel = Net.connect(Number(port), hostname, () => {
          socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
          tunnel.write(head)
          tunnel.pipe(socket).pipe(tunnel)
        })
        for (const end of [tunnel, socket]) end.on("error", () => end.destroy())
      })
      http.listen(
        0,
        "127.0.0.1",
        () => resolve({ http, asked, url: `http://127.0.0.1:${(http.address() as Net.AddressInfo).port}` })
      )
    })
  ),
  ({ http }) =>
    Effect.sync(() => {
      http.close()
      http.closeAllConnections()
    })
)

const withEnvironment = (variables: Record<string, string>) => {
  const before = Object.fromEntries(Object.keys(variables).map((name) => [name, process.env[name]]))
  return Effect.acquireRelease(
    Effect.sync(() => Object.assign(process.env, variables)),
    () =>
      Effect.sync(() => {
        for (const [name, value] of Object.entries(before)) {
          if (value === undefined) delete process.env[name]
          else process.env[name] = value
        }
      })
  )
}

describe("a proxy from the environment", () => {
  it.effect("passes the requests on, except to hosts of NO_PROXY", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const proxy = yield* makeProxy
      const draw = sampling(client, server.url)(LlmModel.sampleOne("p"))
      yield* withEnvironment({ http_proxy: proxy.url, no_proxy: "" })
      assert.strictEqual(yield* draw, "sample 0")
      assert.deepStrictEqual(proxy.asked, [new URL(server.url).host])
      yield* withEnvironment({ no_proxy: "127.0.0.1" })
      assert.strictEqual(yield* draw, "sample 1")
      assert.lengthOf(proxy.asked, 1)
      assert.lengthOf(server.received, 2)
    }))

  it.effect("that asks for a password is a BadRequest, also before a tunnel", () =>
    Effect.gen(function*() {
      const proxy = yield* makeProxy
      proxy.http.removeAllListeners("connect")
      proxy.http.on("connect", (_, socket) => socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"))
      yield* withEnvironment({ https_proxy: proxy.url, no_proxy: "" })
      const error = yield* LlmModel.sampleOne("p").pipe(
        sampling(client, "https://127.0.0.1:1", { retry: Schedule.recurs(3) }),
        Effect.flip
      )
      assert.include(reasonOf(error, "BadRequest").description, "the proxy's user and password")
    }))
})
