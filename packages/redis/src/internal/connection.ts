import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { RedisClient } from "redis"

/** How long a connected server may be silent, in milliseconds. The client pings it five times in that time. */
const silenceLimit = 10_000

/** How long running commands have to end when the scope closes. */
const closeTimeout = "1 second"

// The client logs each try to connect, and each refused PING of a read-only user. Errors say enough.
const quietly = Effect.provideService(References.MinimumLogLevel, "None")

/** Whether the client accepts this URL. The reason is not shown, because the URL may hold a password. */
export const isUrl = (url: string): boolean => {
  try {
    RedisClient.parseURL(url)
    return true
  } catch {
    return false
  }
}

/**
 * The Node client of a server. It fails if it cannot connect at first. Later it reconnects until its scope closes. A
 * command waits 5 seconds for a connection, the client's default.
 */
export const connect = Effect.fnUntraced(function*(
  url: string,
  socketTimeout = silenceLimit
): Effect.fn.Return<Context.Context<Redis.Redis>, Redis.RedisError, Scope.Scope> {
  let isConnected = false
  const controller = new AbortController()
  const layer = NodeRedis.layer({
    url,
    pingInterval: socketTimeout / 5,
    socket: {
      signal: controller.signal,
      socketTimeout,
      reconnectStrategy: (retries) => isConnected && Math.min(50 * 2 ** retries, 2_000)
    }
  })
  const connecting = yield* Effect.forkChild(Effect.uninterruptible(quietly(Layer.build(layer))))
  // A client that is closed while it connects waits forever for answers: its socket ends first.
  const context = yield* Effect.onInterrupt(Fiber.join(connecting), () => {
    controller.abort()
    return Fiber.await(connecting)
  })
  isConnected = true
  const { client } = Context.get(context, NodeRedis.NodeRedis)
  // The client waits forever for the answers of a lost server.
  yield* Effect.addFinalizer(() =>
    Effect.promise(() => client.close()).pipe(
      Effect.interruptible,
      Effect.timeout(closeTimeout),
      Effect.ignoreCause,
      Effect.andThen(Effect.ignoreCause(Effect.sync(() => client.destroy())))
    )
  )
  return Context.make(Redis.Redis, Context.get(context, Redis.Redis))
})
