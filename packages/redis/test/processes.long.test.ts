import { assert, describe, it } from "@effect/vitest"
import { SampleStore } from "@llm-cache/core"
import { RedisStore } from "@llm-cache/redis"
import { ProcessTest } from "@llm-cache/testing"
import { Cause, Context, Effect, Exit, Fiber, Layer, Schedule, Scope } from "effect"
import type { Redis } from "effect/persistence"
import { connect } from "../src/internal/connection.ts"
import { cannotSave, isReplica } from "./support/faults.ts"
import {
  configure,
  describeRedis,
  entry,
  killConnections,
  makeKey,
  makeUser,
  newPlace,
  open,
  put,
  send,
  serverFolder,
  serverProcess,
  servers,
  textsOf,
  urlOf,
  writing
} from "./support/server.ts"
import type { Place } from "./support/store.ts"

const module = new URL("./support/store.ts", import.meta.url)

const place = Effect.sync(() => JSON.stringify(newPlace()))

/** A place of a user with only the needed rights. */
const ownPlace = Effect.map(makeUser(...writing), (user) => JSON.stringify(newPlace(user)))

const revoked = (right: string) => ({ place }: ProcessTest.Faulty) => {
  const { url }: Place = JSON.parse(place)
  const user = new URL(url).username
  return Effect.acquireRelease(
    send("ACL", "SETUSER", user, `-${right}`),
    () => send("ACL", "SETUSER", user, `+${right}`)
  )
}

describeRedis("Redis with many processes", () => {
  ProcessTest.suite("Redis", { module, place, hasLeases: true })

  ProcessTest.faults("Redis", {
    module,
    place: ownPlace,
    faults: {
      "its connections end again and again": () =>
        Effect.forkScoped(Effect.repeat(killConnections, Schedule.spaced("10 millis"))),
      "the memory is used up": () => configure("maxmemory", "1", "0"),
      "the server becomes a replica": () => isReplica,
      "it loses the right to write": revoked("@write"),
      "it loses the right to read": revoked("@read"),
      "it loses the right to run scripts": revoked("@scripting")
    }
  })

  describe.skipIf(serverFolder === undefined)("on a server that stops (needs LLM_CACHE_TEST_SERVERS)", () => {
    ProcessTest.faults("Redis", {
      module,
      place,
      faults: {
        "the server cannot write its disk": () => cannotSave,
        "the server stops and starts later": () => Effect.acquireRelease(servers("pause"), () => servers("resume")),
        "the server restarts again and again": () =>
          Effect.forkScoped(Effect.repeat(servers("restart"), Schedule.spaced("300 millis")))
      }
    })
  })
})

// -----------------------------------------------------------------------------
// a silent or absent server
// -----------------------------------------------------------------------------

const stopped = Effect.acquireRelease(
  Effect.tap(serverProcess, (pid) => Effect.sync(() => process.kill(pid, "SIGSTOP"))),
  (pid) => Effect.sync(() => process.kill(pid, "SIGCONT"))
)

/** A store on a client that waits only 300 ms for a silent server. */
const openImpatient = (prefix: string) =>
  Effect.flatMap(connect(urlOf(), 300), (context: Context.Context<Redis.Redis>) =>
    Effect.map(
      Layer.build(Layer.provide(RedisStore.layerWithClient({ prefix }), Layer.succeedContext(context))),
      Context.get(SampleStore.SampleStore)
    ))

describeRedis("Redis with a silent or absent server", () => {
  describe.skipIf(serverFolder === undefined)("(needs LLM_CACHE_TEST_SERVERS)", () => {
    it.live(
      "fails after a limited wait for a silent server, and goes on afterwards",
      () =>
        Effect.gen(function*() {
          const store = yield* openImpatient(newPlace().prefix)
          const key = yield* makeKey()
          yield* put(store, key, entry(0, "a"))
          yield* Effect.scoped(Effect.gen(function*() {
            yield* stopped
            const results = yield* Effect.all([
              Effect.flip(store.get(key, 0)),
              Effect.flip(put(store, key, entry(1, "b", "id b")))
            ], { concurrency: "unbounded" })
            for (const error of results) assert.include(error.message, "see that it runs")
          }))
          assert.strictEqual((yield* store.get(key, 0))?.text, "a")
          yield* put(store, key, entry(1, "b", "id b"))
          assert.deepStrictEqual(yield* textsOf(store, key), ["a", "b"])
        }),
      20_000
    )

    it.live("closes although the server is silent", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const store = yield* open(newPlace()).pipe(Scope.provide(scope))
        const key = yield* makeKey()
        yield* stopped
        const reading = yield* Effect.forkScoped(Effect.exit(store.get(key, 0)), { startImmediately: true })
        yield* Scope.close(scope, Exit.void)
        // at once, and not when its own time is over
        const exit = yield* Effect.timeout(Fiber.join(reading), "2 seconds")
        assert.isTrue(Exit.isFailure(exit) && Cause.hasFails(exit.cause))
      }), 20_000)

    it.live(
      "fails after a limited wait for an absent server, closes, and goes on when the server is back",
      () =>
        Effect.gen(function*() {
          const place = newPlace()
          const [store, other] = [yield* open(place), yield* Scope.make()]
          const key = yield* makeKey()
          const another = yield* open(place).pipe(Scope.provide(other))
          yield* put(store, key, entry(0, "a"))
          yield* Effect.scoped(Effect.gen(function*() {
            yield* Effect.acquireRelease(servers("pause"), () => servers("resume"))
            for (
              const operation of [
                Effect.asVoid(store.get(key, 0)),
                Effect.asVoid(put(store, key, entry(1, "b", "id b")))
              ]
            ) {
              assert.strictEqual((yield* Effect.flip(operation)).kind, "Unavailable")
            }
            yield* Effect.forkScoped(Effect.exit(another.get(key, 0)), { startImmediately: true })
            yield* Scope.close(other, Exit.void)
          }))
          assert.deepStrictEqual(yield* put(store, key, entry(1, "b", "id b")), [1])
          assert.deepStrictEqual(yield* textsOf(store, key), ["a", "b"])
        }),
      40_000
    )
  })
})
