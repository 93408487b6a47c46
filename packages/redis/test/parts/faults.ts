import { assert, describe, it } from "@effect/vitest"
import { LlmModel, SampleStore } from "@llm-cache/core"
import { RedisStore } from "@llm-cache/redis"
import { Cause, Context, Effect, Exit, Fiber, Layer, Schedule, Scope } from "effect"
import type { Redis } from "effect/persistence"
import * as ChildProcess from "node:child_process"
import * as Net from "node:net"
import { connect } from "../../src/internal/nodeClient.ts"
import {
  configure,
  entry,
  killConnections,
  makeKey,
  makeProvider,
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
} from "../support/server.ts"

/** A way to the server on which the answer to what has a text in it gets lost, once. */
const lossy = (text: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly lost: () => number; readonly server: Net.Server }>((resume) => {
      const { hostname, port } = new URL(urlOf())
      let lost = 0
      const server = Net.createServer((client) => {
        const upstream = Net.connect(Number(port), hostname)
        let isArmed = false
        client.on("data", (data) => {
          isArmed ||= lost === 0 && data.includes(text)
          upstream.write(data)
        })
        upstream.on("data", (data) => {
          // a script that the server did not have yet is sent again
          if (!isArmed || data.includes("NOSCRIPT")) {
            client.write(data)
            return
          }
          lost++
          client.destroy()
          upstream.destroy()
        })
        for (const [socket, other] of [[client, upstream], [upstream, client]] as const) {
          socket.on("error", () => other.destroy())
          socket.on("close", () => other.destroy())
        }
      })
      server.listen(0, "127.0.0.1", () => {
        const url = new URL(urlOf())
        url.port = String((server.address() as Net.AddressInfo).port)
        resume(Effect.succeed({ url: url.href, lost: () => lost, server }))
      })
    }),
    ({ server }) => Effect.sync(() => server.close())
  )

const until = <A>(effect: Effect.Effect<A>, holds: (value: A) => boolean) =>
  Effect.repeat(effect, {
    schedule: Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(500)]),
    until: holds
  }).pipe(Effect.tap((value) => holds(value) ? Effect.void : Effect.die(new Error("in vain"))))

/** The server cannot save its data: the process that saves is killed. */
export const cannotSave = Effect.gen(function*() {
  yield* configure("rdb-key-save-delay", "1000000", "0")
  yield* configure("save", "3600 1", "")
  yield* send("SET", newPlace().prefix, "something to save")
  const pid = yield* serverProcess
  yield* send("BGSAVE")
  const children = Effect.sync(() =>
    ChildProcess.spawnSync("pgrep", ["-P", `${pid}`], { encoding: "utf8" }).stdout.trim()
  )
  process.kill(Number(yield* until(children, (found) => found !== "")), "SIGKILL")
  yield* until(send<string>("INFO", "persistence"), (info) => info.includes("rdb_last_bgsave_status:err"))
})

/** The server is a replica of another one. */
export const isReplica = Effect.acquireRelease(
  send("REPLICAOF", "127.0.0.1", "1"),
  () => send("REPLICAOF", "NO", "ONE")
)

const stopped = Effect.acquireRelease(
  Effect.tap(serverProcess, (pid) => Effect.sync(() => process.kill(pid, "SIGSTOP"))),
  (pid) => Effect.sync(() => process.kill(pid, "SIGCONT"))
)

/** A store on a client that takes a server to be away after some milliseconds. */
const openImpatient = (prefix: string) =>
  Effect.flatMap(connect(urlOf(), 300), (context: Context.Context<Redis.Redis>) =>
    Effect.map(
      Layer.build(Layer.provide(RedisStore.layer({ prefix }), Layer.succeedContext(context))),
      Context.get(SampleStore.SampleStore)
    ))

export const defineFaults = () => {
  describe("does not store twice what it stored without being told", () => {
    for (const [what, count] of [["one sample", 1], ["a purchase of a hundred", 100]] as const) {
      it.live(what, () =>
        Effect.gen(function*() {
          const { prefix, url } = newPlace()
          yield* put(yield* open({ prefix, url }), yield* makeKey(), entry(1, "taken"))
          const way = yield* lossy("the last")
          const store = yield* open({ prefix, url: way.url })
          const key = yield* makeKey()
          const entries = Array.from(
            { length: count },
            (_, i) => entry(i, i === count - 1 ? "the last" : `${i}`, `id ${i}`)
          )
          const error = yield* Effect.flip(put(store, key, ...entries))
          assert.strictEqual(error.kind, "Unavailable")
          assert.strictEqual(way.lost(), 1)
          assert.strictEqual((yield* store.positions(key)).length, count + 1)
          const places = yield* put(store, key, ...entries)
          assert.strictEqual(new Set(places).size, count)
          assert.strictEqual((yield* store.positions(key)).length, count + 1)
        }))
    }
  })

  describe("refuses, says what to do, and goes on when the server can:", () => {
    const faults: Readonly<Record<string, readonly [Effect.Effect<unknown, never, Scope.Scope>, ...Array<string>]>> = {
      "the memory is used up": [configure("maxmemory", "1", "0"), "OOM", "`maxmemory`", "kept in memory"],
      "the server is a replica": [isReplica, "READONLY", "connect to the primary"],
      ...(serverFolder === undefined
        ? {}
        : { "the server cannot write its disk": [cannotSave, "MISCONF", "make room", "kept in memory"] })
    }
    for (const [what, [fault, ...messages]] of Object.entries(faults)) {
      it.live(what, () =>
        Effect.gen(function*() {
          const store = yield* open(newPlace())
          const key = yield* makeKey()
          yield* put(store, key, entry(0, "a"))
          yield* Effect.scoped(Effect.gen(function*() {
            yield* fault
            for (
              const operation of [
                store.prepare(key),
                put(store, key, entry(1, "b", "id b"), entry(2, "c", "id c")),
                put(store, yield* makeKey("another"), entry(0, "d"))
              ]
            ) {
              const error = yield* Effect.flip(operation)
              assert.strictEqual(error.kind, "Unavailable")
              for (const message of messages) assert.include(error.message, message)
            }
            assert.deepStrictEqual(yield* textsOf(store, key), ["a"])
          }))
          assert.deepStrictEqual(yield* put(store, key, entry(1, "b", "id b"), entry(2, "c", "id c")), [1, 2])
          assert.deepStrictEqual(yield* textsOf(store, key), ["a", "b", "c"])
        }), 20_000)
    }

    for (const right of ["-hsetnx", "-zadd", "-evalsha", "-@write"]) {
      it.live(`the user may not do something any more: ${right}`, () =>
        Effect.gen(function*() {
          const user = yield* makeUser(...writing)
          const store = yield* open(newPlace(user))
          const key = yield* makeKey()
          yield* put(store, key, entry(0, "a"))
          yield* send("ACL", "SETUSER", user, right)
          const error = yield* Effect.flip(put(store, key, entry(1, "b", "id b"), entry(2, "c", "id c")))
          assert.include(error.message, "Give the user the right to it")
          assert.deepStrictEqual(yield* textsOf(store, key), ["a"])
          yield* send("ACL", "SETUSER", user, right.replace("-", "+"))
          assert.deepStrictEqual(yield* put(store, key, entry(1, "b", "id b"), entry(2, "c", "id c")), [1, 2])
        }))
    }
  })

  it.live("goes on when its connections and its scripts are gone between the draws", () =>
    Effect.gen(function*() {
      const source = yield* makeProvider
      const place = newPlace()
      const texts = yield* Effect.forEach(Array.from({ length: 12 }, (_, i) => i), (i) =>
        Effect.andThen(
          i % 2 === 0 ? killConnections : send("SCRIPT", "FLUSH"),
          LlmModel.sampleMany("a", i + 1).pipe(Effect.retry({ times: 3 }))
        )).pipe(Effect.provide(RedisStore.layerPersistent(place)), Effect.provide(source.layer))
      assert.deepStrictEqual(texts.at(-1), Array.from({ length: 12 }, (_, i) => `${i} 0`))
      assert.deepStrictEqual(yield* textsOf(yield* open(place), yield* makeKey("a")), texts.at(-1))
    }))

  describe.skipIf(serverFolder === undefined)("on a server of LLM_CACHE_TEST_SERVERS, which the tests may stop", () => {
    it.live(
      "waits for one that says nothing, but not without end, and goes on afterwards",
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
            for (const error of results) assert.include(error.message, "the connection is made anew")
          }))
          assert.strictEqual((yield* store.get(key, 0))?.text, "a")
          yield* put(store, key, entry(1, "b", "id b"))
          assert.deepStrictEqual(yield* textsOf(store, key), ["a", "b"])
        }),
      20_000
    )

    it.live("comes to its end with a server that says nothing", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const store = yield* open(newPlace()).pipe(Scope.provide(scope))
        const key = yield* makeKey()
        yield* stopped
        const reading = yield* Effect.forkScoped(Effect.exit(store.get(key, 0)), { startImmediately: true })
        yield* Scope.close(scope, Exit.void)
        // at once, not when its own time is over
        const exit = yield* Effect.timeout(Fiber.join(reading), "2 seconds")
        assert.isTrue(Exit.isFailure(exit) && Cause.hasFails(exit.cause))
      }), 20_000)

    it.live(
      "fails in a bounded time without a server, comes to its end, and goes on where there is one again",
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
}
