// Faults of a server.
import { Effect, Schedule } from "effect"
import * as ChildProcess from "node:child_process"
import { configure, newPlace, send, serverProcess } from "./server.ts"

const until = <A>(effect: Effect.Effect<A>, holds: (value: A) => boolean) =>
  Effect.repeat(effect, {
    schedule: Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(500)]),
    until: holds
  }).pipe(Effect.tap((value) => holds(value) ? Effect.void : Effect.die(new Error("the condition never held"))))

/** Keeps the server from saving: a test kills its saving process. */
export const cannotSave = Effect.gen(function*() {
  // First, because a server that failed to save before refuses writes as soon as `save` is set.
  yield* send("SET", newPlace().prefix, "something to save")
  yield* configure("rdb-key-save-delay", "1000000", "0")
  yield* configure("save", "3600 1", "")
  const pid = yield* serverProcess
  yield* send("BGSAVE")
  const children = Effect.sync(() =>
    ChildProcess.spawnSync("pgrep", ["-P", `${pid}`], { encoding: "utf8" }).stdout.trim()
  )
  process.kill(Number(yield* until(children, (found) => found !== "")), "SIGKILL")
  yield* until(send<string>("INFO", "persistence"), (info) => info.includes("rdb_last_bgsave_status:err"))
})

/** Makes the server a replica. */
export const isReplica = Effect.acquireRelease(
  send("REPLICAOF", "127.0.0.1", "1"),
  () => send("REPLICAOF", "NO", "ONE")
)
