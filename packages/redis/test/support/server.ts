import { RedisStore } from "@llm-cache/redis"
import { Context, Effect, Layer } from "effect"
import { Redis } from "effect/persistence"
import * as ChildProcess from "node:child_process"
import * as Path from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import type { Place } from "./store.ts"

/** The server of the tests: `packages/scripts/servers.sh` starts one. */
export const server = process.env["LLM_CACHE_TEST_REDIS"]

/** The folder of the server, if the tests may stop and start it. */
export const serverFolder = process.env["LLM_CACHE_TEST_SERVERS"]

const isRequired = process.env["LLM_CACHE_REQUIRE_SERVERS"] === "1"

/** The start of the prefixes and users of this test file. */
export const prefixOfFile = `llm-cache-test-${crypto.randomUUID().slice(0, 8)}`

/** The URL of the server, for a user. */
export const urlOf = (user?: string): string => {
  const url = new URL(server!)
  if (user !== undefined) [url.username, url.password] = [user, "hunter2"]
  return url.href
}

const newName = () => `${prefixOfFile}-${crypto.randomUUID()}`

export const newPlace = (user?: string): Place => ({ url: urlOf(user), prefix: newName() })

export const makeClient = (url = urlOf()) =>
  Effect.map(Layer.build(RedisStore.layerClient({ url })), Context.get(Redis.Redis))

/** Sends a command as the superuser. */
export const send = <A = unknown>(command: string, ...args: ReadonlyArray<string>) =>
  Effect.suspend(() => makeClient()).pipe(
    Effect.flatMap((redis) => redis.send<A>(command, ...args)),
    Effect.scoped,
    Effect.orDie
  )

/** A user with rights, until the scope closes. */
export const makeUser = (...rules: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const name = newName()
      return Effect.as(send("ACL", "SETUSER", name, "on", ">hunter2", `~${prefixOfFile}*`, ...rules), name)
    }),
    (name) => send("ACL", "DELUSER", name)
  )

/** The rights that recording needs. */
export const writing = ["+@read", "+@write", "+@scripting"]

export const open = (place: Place) => RedisStore.make(place)

/** All keys with a prefix. */
export const keysOf = (prefix: string): Effect.Effect<Array<string>> =>
  Effect.gen(function*() {
    const keys: Array<string> = []
    let cursor = "0"
    do {
      const [next, some] = yield* send<readonly [string, ReadonlyArray<string>]>(
        "SCAN",
        cursor,
        "MATCH",
        `${prefix}*`,
        "COUNT",
        "1000"
      )
      cursor = next
      keys.push(...some)
    } while (cursor !== "0")
    return [...new Set(keys)].toSorted()
  })

/** Deletes all samples of this file. */
const deleteAll = Effect.gen(function*() {
  const keys = [...yield* keysOf(prefixOfFile), ...yield* keysOf(`{${prefixOfFile}`)]
  for (let i = 0; i < keys.length; i += 1000) yield* send("UNLINK", ...keys.slice(i, i + 1000))
})

/** Changes a setting of the server until the scope closes. */
export const configure = (name: string, value: string, back: string) =>
  Effect.acquireRelease(send("CONFIG", "SET", name, value), () => send("CONFIG", "SET", name, back))

/** Counts the commands that the server runs during an effect. */
export const callsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    yield* send("CONFIG", "RESETSTAT")
    const result = yield* effect
    const stats = yield* send<string>("INFO", "commandstats")
    const calls = [...stats.matchAll(/cmdstat_(\S+):calls=(\d+)/g)].map(([, name, count]) => [name, Number(count)])
    return [result, Object.fromEntries(calls) as Readonly<Record<string, number | undefined>>] as const
  })

/** Ends the connections of all other clients. */
export const killConnections = send("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

/** The number of the server's process. */
export const serverProcess = Effect.map(
  send<string>("INFO", "server"),
  (info) => Number(/process_id:(\d+)/.exec(info)![1])
)

/** Stops the server, starts it, or restarts it. */
export const servers = (command: "pause" | "resume" | "restart") =>
  Effect.uninterruptible(Effect.callback<void>((resume) => {
    const script = Path.join(import.meta.dirname, "../../../scripts/servers.sh")
    ChildProcess.execFile(script, [command, serverFolder!, "redis"], (error) => {
      resume(error === null ? Effect.void : Effect.die(error))
    })
  }))

/** Describes tests of a server. Without one it skips them, or fails if one is required. */
export const describeRedis = (name: string, define: () => void): void => {
  it(`${name}: finds a server if LLM_CACHE_REQUIRE_SERVERS is set`, () => {
    assert.isFalse(
      isRequired && server === undefined,
      "LLM_CACHE_TEST_REDIS names no server: run eval \"$(packages/scripts/servers.sh start DIR)\""
    )
  })
  const why = server === undefined ? " (skipped: LLM_CACHE_TEST_REDIS names no server)" : ""
  describe.skipIf(server === undefined)(`${name}${why}`, () => {
    afterAll(() => Effect.runPromise(deleteAll))
    define()
  })
}

// -----------------------------------------------------------------------------
// samples
// -----------------------------------------------------------------------------

export { entry, makeKey, makeProvider, put, textsOf } from "../../../testing/test/support/samples.ts"
