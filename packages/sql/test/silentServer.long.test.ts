import { assert, it } from "@effect/vitest"
import { PgStore } from "@llm-cache/sql"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Net from "node:net"

const message = (type: string, ...body: ReadonlyArray<number>): Buffer =>
  Buffer.from([type.charCodeAt(0), 0, 0, 0, body.length + 4, ...body])

/** AuthenticationOk, BackendKeyData, ReadyForQuery. */
const accepted = Buffer.concat([
  message("R", 0, 0, 0, 0),
  message("K", 0, 0, 0, 1, 0, 0, 0, 2),
  message("Z", "I".charCodeAt(0))
])

/** A PostgreSQL that accepts a connection and answers no statement. A connection that cancels a statement ends at once. */
const silentServer = Effect.gen(function*() {
  const asked = yield* Deferred.make<void>()
  const ended = yield* Deferred.make<void>()
  let connections = 0
  const server = Net.createServer((socket) => {
    socket.on("error", () => {})
    if (connections++ > 0) {
      socket.once("data", () => socket.destroy())
      return
    }
    socket.once("close", () => Deferred.doneUnsafe(ended, Effect.void))
    socket.once("data", () => {
      socket.once("data", () => Deferred.doneUnsafe(asked, Effect.void))
      socket.write(accepted)
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () => Effect.sync(() => server.close())
  )
  return { asked, ended, url: `postgres://user@127.0.0.1:${(server.address() as Net.AddressInfo).port}/database` }
})

it.effect("opening fails if the server answers no statement for 30 seconds", () =>
  Effect.gen(function*() {
    const { asked, url } = yield* silentServer
    const opening = yield* Effect.forkChild(Effect.scoped(Effect.flip(PgStore.make({ url }))))
    yield* Deferred.await(asked)
    yield* TestClock.adjust("29 seconds")
    assert.isUndefined(opening.pollUnsafe())
    yield* TestClock.adjust("1 second")
    const error = yield* Fiber.join(opening)
    assert.strictEqual(error._tag, "StoreError")
    assert.include(error.message, "open: the server answers no statement. The server was not reached")
  }))

it.effect("opening on a silent server can be interrupted, and closes its connection", () =>
  Effect.gen(function*() {
    const { asked, ended, url } = yield* silentServer
    const opening = yield* Effect.forkChild(Effect.scoped(PgStore.make({ url })))
    yield* Deferred.await(asked)
    yield* Fiber.interrupt(opening)
    yield* Deferred.await(ended)
  }))
