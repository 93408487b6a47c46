import { LlmModel, SampleStore } from "@llm-cache/core"
import { RedisStore } from "@llm-cache/redis"
import { Context, Effect, Layer } from "effect"
import { Redis } from "effect/persistence"
import * as ChildProcess from "node:child_process"
import * as Path from "node:path"
import type { Place } from "./store.ts"

/** The server that the tests may use, which `packages/scripts/servers.sh` starts. */
export const server = process.env["LLM_CACHE_TEST_REDIS"]

/** Its folder, where the tests may stop and start it. */
export const serverFolder = process.env["LLM_CACHE_TEST_SERVERS"]

export const isRequired = process.env["LLM_CACHE_REQUIRE_SERVERS"] === "1"

/** What the prefixes and the users of this run of the tests start with. */
export const run = `llm-cache-test-${crypto.randomUUID().slice(0, 8)}`

/** The server, as a user sees it. */
export const urlOf = (user?: string): string => {
  const url = new URL(server!)
  if (user !== undefined) [url.username, url.password] = [user, "hunter2"]
  return url.href
}

let names = 0

export const newPlace = (user?: string): Place => ({ url: urlOf(user), prefix: `${run}-${names++}` })

export const makeClient = (url = urlOf()) =>
  Effect.map(Layer.build(RedisStore.layerClient({ url })), Context.get(Redis.Redis))

/** Sends a command as the superuser. */
export const send = <A = unknown>(command: string, ...args: ReadonlyArray<string>) =>
  Effect.suspend(() => makeClient()).pipe(
    Effect.flatMap((redis) => redis.send<A>(command, ...args)),
    Effect.scoped,
    Effect.orDie
  )

/** A user with rights, for as long as the scope is open. */
export const makeUser = (...rules: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.suspend(() => {
      const name = `${run}-${names++}`
      return Effect.as(send("ACL", "SETUSER", name, "on", ">hunter2", `~${run}*`, ...rules), name)
    }),
    (name) => send("ACL", "DELUSER", name)
  )

/** What a user needs to record. */
export const writing = ["+@read", "+@write", "+@scripting"]

export const open = (
  { prefix, url }: Place
) =>
  Effect.map(
    Layer.build(Layer.fresh(Layer.provide(RedisStore.layer({ prefix }), RedisStore.layerClient({ url })))),
    Context.get(SampleStore.SampleStore)
  )

/** All keys that start so. */
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

/** Deletes all that this run has stored. */
export const deleteAll = Effect.gen(function*() {
  const keys = [...yield* keysOf(run), ...yield* keysOf(`{${run}`)]
  for (let i = 0; i < keys.length; i += 1000) yield* send("UNLINK", ...keys.slice(i, i + 1000))
})

/** Sets what the server is configured to, and sets it back when the scope closes. */
export const configure = (name: string, value: string, back: string) =>
  Effect.acquireRelease(send("CONFIG", "SET", name, value), () => send("CONFIG", "SET", name, back))

/** How often the server has run each command while an effect ran. */
export const callsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    yield* send("CONFIG", "RESETSTAT")
    const result = yield* effect
    const stats = yield* send<string>("INFO", "commandstats")
    const calls = [...stats.matchAll(/cmdstat_(\S+):calls=(\d+)/g)].map(([, name, count]) => [name, Number(count)])
    return [result, Object.fromEntries(calls) as Readonly<Record<string, number | undefined>>] as const
  })

/** The connections of clients that are not the one that asks. */
export const killConnections = send("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

/** The number of the server's process. */
export const serverProcess = Effect.map(
  send<string>("INFO", "server"),
  (info) => Number(/process_id:(\d+)/.exec(info)![1])
)

/** Stops the server, starts it, or both. */
export const servers = (command: "pause" | "resume" | "restart") =>
  Effect.uninterruptible(Effect.callback<void>((resume) => {
    const script = Path.join(import.meta.dirname, "../../../scripts/servers.sh")
    ChildProcess.execFile(script, [command, serverFolder!, "redis"], (error) => {
      resume(error === null ? Effect.void : Effect.die(error))
    })
  }))

// -----------------------------------------------------------------------------
// samples
// -----------------------------------------------------------------------------

export { entry, makeKey, put, textsOf } from "../../../testing/test/support/samples.ts"

/** A provider that counts what is asked of it. */
export const makeProvider = Effect.sync(() => {
  let requests = 0
  const layer = LlmModel.layer({
    model: "mock",
    generate: ({ n }) =>
      Effect.sync(() => {
        const request = requests++
        return { samples: Array.from({ length: n }, (_, i) => `${request} ${i}`) }
      })
  })
  return { layer, requests: () => requests }
})
