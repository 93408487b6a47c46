/**
 * The replaying server: repeatable, independent and persistent sampling for programs in any language, by their base URL alone.
 *
 * **When to use**
 *
 * Use `layer` to serve a cache in a program of your own. In a shell, `llm-cache serve` and `llm-cache run` do it.
 *
 * **Details**
 *
 * | path | answer |
 * | --- | --- |
 * | `POST {place}/v1/chat/completions` | samples, whole or as a stream |
 * | `POST {place}/v1/responses` | a sample, whole or as a stream |
 * | `POST {place}/v1/completions` | the same, for the legacy protocol |
 * | `POST {place}/v1/messages` | the same, for Anthropic's protocol |
 * | `POST {place}/v1/embeddings` | vectors: one sample for each input, the same in all places |
 * | other paths in `{place}/v1` | those of the upstream, uncached; 404 in replication |
 * | `GET {place}/v1/models` | the aliases, the upstream's models and those of the cache |
 * | `GET /health` | `{"status":"ok"}` |
 * | `POST /llm-cache/runs` | begins a run, with a name of yours (`{"name": …}`) or a new one |
 * | `GET /llm-cache/runs`, `GET /llm-cache/runs/NAME` | the runs that go on, and their receipts |
 * | `GET /llm-cache/runs/NAME/events` | the events of a run as they come |
 * | `DELETE /llm-cache/runs/NAME` | ends a run, and returns its receipt |
 *
 * `Place` has the grammar of places. The samples of a response have these headers:
 *
 * | header | holds |
 * | --- | --- |
 * | `cache-status` | `llm-cache; hit`, `fwd=miss; stored`, `fwd=partial; stored` or `fwd=miss; collapsed` (RFC 9211) |
 * | `llm-cache-positions` | the positions of the samples in the cache |
 * | `llm-cache-prompt` | the hash of the prompt |
 *
 * A failure has the error object of the protocol:
 *
 * | what | answer |
 * | --- | --- |
 * | a 4xx or 5xx of the upstream, after retries | its status and body, and its `Retry-After` |
 * | no connection, no answer in time | 502, 504 |
 * | a miss in replication | 404, `replication_cache_miss` |
 * | no JSON, no messages, a wrong `n`, a bad place, a name that the store cannot hold | 400 |
 * | another error of the store | 500 |
 * | a body over 32 MiB; more than 10,000 requests that wait | 413; 429 |
 * | connections that would take the last files which the process may open | 503, and one warning in the log |
 * | a foreign `Host` or `Origin`; no token | 403; 401 |
 *
 * A client that hangs up gets nothing: its positions go back to the run, the request to the upstream goes on, and a retry joins it.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Persistent from "@llm-cache/core/Persistent"
import type { ProviderError } from "@llm-cache/core/SampleError"
import { SampleStore, type Store } from "@llm-cache/core/SampleStore"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import type { HttpServerError, ServeError } from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Http from "node:http"
import { makeBypass } from "./internal/bypass.ts"
import { unknownFailure } from "./internal/complete.ts"
import { makeDispatch, vendorOf } from "./internal/dispatch.ts"
import { failureResponse } from "./internal/failure.ts"
import { isLoopback } from "./internal/guard.ts"
import { HttpServerWithShortcut } from "./internal/httpServer.ts"
import { makeKeys } from "./internal/keys.ts"
import { CurrentReplication } from "./internal/replication.ts"
import { makeShortcut, type Shortcut } from "./internal/shortcut.ts"
import { makeSource } from "./internal/source.ts"
import { makeUpstreamModels } from "./internal/upstreamModels.ts"
import * as Runs from "./Runs.ts"
import * as Upstream from "./Upstream.ts"

/**
 * How the server answers.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The servers of models. The first one of a protocol gets the requests for models without an alias.
   *
   * @default none: missing samples are refused
   */
  readonly upstreams?: ReadonlyArray<Upstream.Options> | undefined
  /** @default none */
  readonly aliases?: ReadonlyArray<Upstream.Alias> | undefined
  /**
   * Never ask an upstream, whatever the place says.
   *
   * @default false
   */
  readonly replication?: boolean | undefined
  /**
   * A store that gets exactly the samples that clients draw, at the positions that they have in the cache.
   *
   * @default none
   */
  readonly slice?: Store | undefined
  /**
   * The folder of the traces of runs, see `Trace`. `false` for none: then a run ends with the server.
   *
   * @default the folder of the user's state
   */
  readonly trace?: { readonly directory?: string | undefined } | false | undefined
  /**
   * How long a request to an upstream may take, to the last byte of its answer.
   *
   * @default 10 minutes
   */
  readonly timeout?: Duration.Input | undefined
  /**
   * When to send a request to an upstream again after a transient error.
   *
   * @default as `Retry` says, for about a minute
   */
  readonly retry?: Schedule.Schedule<unknown, ProviderError> | undefined
  /**
   * How long requests that are in flight may go on when the server stops.
   *
   * @default 30 seconds
   */
  readonly grace?: Duration.Input | undefined
  /**
   * How long a run may have no request before it ends.
   *
   * @default 24 hours
   */
  readonly runIdle?: Duration.Input | undefined
  /** @default as `Persistent` */
  readonly lease?: Persistent.StoreOptions["lease"]
  /** @default as `Persistent` */
  readonly excludeFinishReasons?: Persistent.StoreOptions["excludeFinishReasons"]
  /** @default as `Persistent` */
  readonly rescueDirectory?: Persistent.StoreOptions["rescueDirectory"]
  /**
   * Names of hosts, without ports, by which clients may reach the server beside those of loopback.
   *
   * @default none
   */
  readonly allowHosts?: ReadonlyArray<string> | undefined
  /**
   * The text that clients must send: as their API key, in the header `x-llm-cache-token`, or in the link to a page.
   *
   * @default none is needed
   */
  readonly token?: Redacted.Redacted | undefined
}

/**
 * The address of the server.
 *
 * @category options
 * @since 0.1.0
 */
export interface ListenOptions extends Options {
  /**
   * `0` for a free port.
   *
   * @default 4141
   */
  readonly port?: number | undefined
  /**
   * The address to listen at. Another one than loopback needs a `token`.
   *
   * @default "127.0.0.1"
   */
  readonly host?: string | undefined
}

/**
 * The replaying server.
 *
 * @category services
 * @since 0.1.0
 */
export class Server extends Context.Service<Server, {
  /** Answers a request of Node's HTTP server. Paths that are not the server's are those of `pages`, behind the same guard. */
  readonly handle: <R = never>(
    pages?: Effect.Effect<HttpServerResponse.HttpServerResponse, HttpServerError, R>
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse, never, R | HttpServerRequest.HttpServerRequest>
  /**
   * Answers a request for recorded samples before `handle`, which takes longer. It calls `next` if it does not answer: give a
   * function that leads to `handle`. Requests in runs are never answered here.
   */
  readonly shortcut: Shortcut
  readonly runs: Runs.Runs
  /** Ends when the server begins to stop. Responses without an end of their own have to end then. */
  readonly stopping: Effect.Effect<void>
  /** Begins to stop: requests in flight go on. `layer` does so before it closes. */
  readonly stop: Effect.Effect<void>
}>()("@llm-cache/server/Server") {}

/**
 * Makes a server over the `SampleStore` that is provided. When the scope closes, requests in flight end within `grace`, and runs
 * pause.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options: Options = {}): Effect.fn.Return<
  Server["Service"],
  InvalidInput,
  SampleStore | HttpClient.HttpClient | Scope.Scope
> {
  const { aliases = [], allowHosts = [], excludeFinishReasons, lease, rescueDirectory, slice, token, trace = {} } =
    options
  const timeout = yield* durationOf("timeout", options.timeout ?? "10 minutes")
  const grace = yield* durationOf("grace", options.grace ?? "30 seconds")
  const idle = yield* durationOf("runIdle", options.runIdle ?? "24 hours")
  const store = yield* SampleStore
  const routes = yield* Upstream.makeRoutes(options.upstreams ?? [], aliases)
  // An excluded sample is followed by another one.
  const isLive = !excludeFinishReasons?.length
  const source = yield* makeSource({ routes, timeout, retry: options.retry, isLive })
  const replicating = yield* Persistent.make(source, store, {
    replication: true,
    excludeFinishReasons,
    rescueDirectory
  })
  const buying = options.replication ? undefined : yield* Persistent.make(source, store, {
    excludeFinishReasons,
    finishWithin: grace,
    lease,
    onClose: "finish",
    rescueDirectory
  })
  if (slice?.id === store.id) {
    return yield* invalid(`the slice ${slice.id} is the cache itself: give the slice a store of its own`)
  }
  const sliced = (model: LlmModel.Model) =>
    slice === undefined
      ? Effect.succeed(model)
      : Persistent.make(model, slice, { finishWithin: grace, onClose: "finish", rescueDirectory })
  const model = buying === undefined
    ? yield* sliced(replicating)
    : replicatingWhenAsked(yield* sliced(buying), yield* sliced(replicating))
  const runs = yield* Runs.make({ model, trace, idle })
  const guard = {
    hosts: new Set(allowHosts.map((host) => host.toLowerCase())),
    token: token && Redacted.value(token)
  }
  const stopped = Deferred.makeUnsafe<void>()
  const stopping = Deferred.await(stopped)
  const { replication = false } = options
  const bypass = yield* makeBypass({
    routes,
    runs,
    replication,
    token: guard.token,
    timeout
  })
  const upstreamModels = yield* makeUpstreamModels({ routes, token: guard.token })
  const keyOf = makeKeys()
  const answer = makeDispatch({
    bypass,
    keyOf,
    model,
    runs,
    store,
    aliases,
    guard,
    stopping,
    upstreamModels,
    replication
  })

  return {
    runs,
    shortcut: yield* makeShortcut({ model, guard, keyOf }),
    stopping,
    stop: Effect.asVoid(Deferred.succeed(stopped, undefined)),
    handle: (pages) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const incoming = NodeHttpServerRequest.toIncomingMessage(request) as Http.IncomingMessage
        const response = NodeHttpServerRequest.toServerResponse(request) as Http.ServerResponse
        return answer(incoming, response, pages).pipe(
          Effect.catchDefect((defect) =>
            Effect.as(
              Effect.logError("A request to the server died", defect),
              failureResponse(vendorOf(incoming), unknownFailure)
            )
          ),
          // A client that hangs up interrupts it.
          Effect.interruptible
        )
      })
  }
})

const replicatingWhenAsked = (buying: LlmModel.Model, replicating: LlmModel.Model): LlmModel.Model =>
  LlmModel.fromDraw({
    ...buying,
    peek: buying.peek,
    draw: (key, position, batch, options) =>
      Effect.flatMap(CurrentReplication, (isReplication) => {
        const model = isReplication ? replicating : buying
        return model.draw(key, position, batch, options && { ...options, of: model.draw })
      })
  })

const durationOf = (name: string, input: Duration.Input): Effect.Effect<Duration.Duration, InvalidInput> =>
  Option.match(Duration.fromInput(input), {
    onNone: () => invalid(`\`${name}\` is no duration: give one such as "30 seconds"`),
    onSome: Effect.succeed
  })

const invalid = (description: string) => Effect.fail(new InvalidInput({ module: "Server", description }))

const stopFirst = Layer.effectDiscard(
  Effect.flatMap(Server, ({ stop }) => Effect.addFinalizer(() => stop))
)

/** Names of runs may have more than the 100 characters that a router allows by itself. */
const routerLayer = Layer.provide(HttpRouter.layer, Layer.succeed(HttpRouter.RouterConfig)({ maxParamLength: 1000 }))

/**
 * Serves the `SampleStore` that is provided, until the layer closes. `HttpServer` says at which address.
 *
 * **Details**
 *
 * Paths that are not the server's are those of `pages`, layers that add routes to the `HttpRouter`. They have the server's guard.
 *
 * **Example** (A server over a directory)
 *
 * ```ts
 * import { DirectoryStore } from "@llm-cache/core"
 * import { Server } from "@llm-cache/server"
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 *
 * const server = Server.layer({
 *   upstreams: [{ name: "openai", url: "https://api.openai.com/v1" }],
 *   trace: { directory: "~/.llm_cache" }
 * }).pipe(
 *   Layer.provide(DirectoryStore.layer("~/.llm_cache")),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E = never, R = never>(
  options: ListenOptions = {},
  pages: Layer.Layer<never, E, R> = Layer.empty
): Layer.Layer<
  Server | HttpServer.HttpServer,
  E | InvalidInput | ServeError,
  SampleStore | HttpClient.HttpClient | Exclude<R, HttpRouter.HttpRouter | Server | HttpServer.HttpServer>
> => {
  const { host = "127.0.0.1", port = 4141 } = options
  const listening = Layer.unwrap(
    Effect.gen(function*() {
      if (!isLoopback(host) && options.token === undefined) {
        return yield* invalid(
          `the host ${host} is reached by others: give a token (\`--token-from\`), or listen at 127.0.0.1`
        )
      }
      const grace = yield* durationOf("grace", options.grace ?? "30 seconds")
      const { shortcut } = yield* Server
      const runFork = Effect.runForkWith(yield* Effect.context())
      const warn = (message: string) => void runFork(Effect.logWarning(message))
      return NodeHttpServer.layer(() => new HttpServerWithShortcut(shortcut, warn), {
        host,
        port,
        gracefulShutdownTimeout: grace
      })
    })
  )
  const served = Layer.unwrap(Effect.gen(function*() {
    const router = yield* HttpRouter.HttpRouter
    const { handle } = yield* Server
    // The router's type does not say what its routes fail with.
    // @effect-diagnostics-next-line anyUnknownInErrorContext:off
    return Layer.provideMerge(stopFirst, HttpServer.serve(handle(router.asHttpEffect() as Pages)))
  }))
  return Layer.provide(served, Layer.provideMerge(pages, routerLayer)).pipe(
    Layer.provideMerge(listening),
    Layer.provideMerge(Layer.effect(Server, make(options)))
  ) as never
}

type Pages = Effect.Effect<HttpServerResponse.HttpServerResponse, HttpServerError>
