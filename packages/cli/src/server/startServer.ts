import { SampleStore } from "@llm-cache/core/SampleStore"
import * as Server from "@llm-cache/server/Server"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Access, openCache } from "../cache/openCache.ts"
import { UsageError } from "../errors.ts"

type Pages = Parameters<typeof Server.layer<never, SampleStore | Server.Server | HttpRouter.HttpRouter>>[1]

/** Starts the server over a cache, until the scope closes. */
export const startServer = Effect.fnUntraced(function*(
  cache: string,
  sliceCache: Option.Option<string>,
  options: Server.ListenOptions,
  pages?: Pages,
  access: Access = options.replication ? "read" : "write"
) {
  const store = yield* openCache(cache, access)
  const slice = Option.isNone(sliceCache) ? undefined : yield* openCache(sliceCache.value, "write")
  if (slice?.id === store.id) {
    return yield* new UsageError({ message: "--slice names the cache itself: give it another place" })
  }
  const layer = Layer.provide(Server.layer({ ...options, slice }, pages), [
    Layer.succeed(SampleStore, store),
    options.replication ? FetchHttpClient.layer : layerUndici
  ])
  const context = yield* Layer.build(layer).pipe(
    Effect.catchTag("ServeError", ({ cause }) => new UsageError({ message: cannotListen(options, cause) }))
  )
  return {
    store,
    runs: Context.get(context, Server.Server).runs,
    url: HttpServer.formatAddress(Context.get(context, HttpServer.HttpServer).address)
  }
})

// A replication sends no requests, and `undici` takes 5 MB.
const layerUndici = Layer.unwrap(
  Effect.promise(async () => (await import("@effect/platform-node/NodeHttpClient")).layerUndici)
)

const cannotListen = ({ host = "127.0.0.1", port = 4141 }: Server.ListenOptions, cause: unknown): string => {
  const code = cause instanceof Error && "code" in cause ? cause.code : cause
  return code === "EADDRINUSE"
    ? `port ${port} of ${host} is in use: give another one with --port, or --port 0 for a free one`
    : `the server cannot listen at port ${port} of ${host} (${String(code)}): give others with --port and --host`
}
