import { assert, it } from "@effect/vitest"
import { RedisStore } from "@llm-cache/redis"
import { Deferred, Effect, Fiber, Layer } from "effect"
import * as Net from "node:net"
import { connect } from "../src/internal/connection.ts"

/** A server that accepts connections and never answers. `ended` is done when a client has closed its connection. */
const silentServer = Effect.gen(function*() {
  const asked = yield* Deferred.make<void>()
  const ended = yield* Deferred.make<void>()
  const server = Net.createServer((socket) => {
    socket.once("data", () => Deferred.doneUnsafe(asked, Effect.void))
    socket.on("error", () => {})
    socket.once("close", () => Deferred.doneUnsafe(ended, Effect.void))
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () => Effect.sync(() => server.close())
  )
  return { asked, ended, url: `redis://127.0.0.1:${(server.address() as Net.AddressInfo).port}` }
})

it.live("opening fails after a time of silence of a server that accepts connections", () =>
  Effect.gen(function*() {
    const { ended, url } = yield* silentServer
    const error = yield* Effect.flip(Effect.scoped(connect(url, 50)))
    assert.include(String(error.cause), "didn't receive any in 50ms")
    yield* Deferred.await(ended)
  }))

it.live("opening on a silent server can be interrupted, and closes its connection", () =>
  Effect.gen(function*() {
    const { asked, ended, url } = yield* silentServer
    const opening = yield* Effect.forkChild(Effect.scoped(Layer.build(RedisStore.layer({ url }))))
    yield* Deferred.await(asked)
    yield* Fiber.interrupt(opening)
    yield* Deferred.await(ended)
  }))
