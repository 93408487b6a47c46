import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { RedisClient } from "redis"

/** How long a connected server may be silent, in milliseconds. It is tried five times in that time. */
const silence = 10_000

/** How long commands under way have to end when the scope closes. */
const grace = "1 second"

// The client logs each try to connect, and each PING that a user who may only read is refused. Errors say enough.
const quietly = Effect.provideService(References.MinimumLogLevel, "None")

/** Whether the client can take this URL. It may hold a password, so that what is wrong with it is not said. */
export const isUrl = (url: string): boolean => {
  try {
    RedisClient.parseURL(url)
    return true
  } catch {
    return false
  }
}

/**
 * The Node client of a server, which fails at once where it cannot connect at first, and afterwards connects again for
 * as long as its scope is open. A command waits for a connection for 5 seconds, which is the client's default.
 */
export const connect = Effect.fnUntraced(function*(
  url: string,
  socketTimeout = silence
): Effect.fn.Return<Context.Context<Redis.Redis>, Redis.RedisError, Scope.Scope> {
  let isConnected = false
  const context = yield* Layer.build(NodeRedis.layer({
    url,
    pingInterval: socketTimeout / 5,
    socket: {
      socketTimeout,
      reconnectStrategy: (retries) => isConnected && Math.min(50 * 2 ** retries, 2_000)
    }
  })).pipe(quietly)
  isConnected = true
  const { client } = Context.get(context, NodeRedis.NodeRedis)
  // The client would wait without end for the answers of a server that is gone.
  yield* Effect.addFinalizer(() =>
    Effect.promise(() => client.close()).pipe(
      Effect.interruptible,
      Effect.timeout(grace),
      Effect.ignoreCause,
      Effect.andThen(Effect.ignoreCause(Effect.sync(() => client.destroy())))
    )
  )
  return Context.make(Redis.Redis, Context.get(context, Redis.Redis))
})
