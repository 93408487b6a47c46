import { Identity, Key, LlmModel, Persistent, SampleStore } from "@llm-cache/core"
import { RedisStore } from "@llm-cache/redis"
import { Cause, Effect, Exit, Layer, Scope } from "effect"
import { Redis } from "effect/persistence"
import * as CP from "node:child_process"
import { inspect } from "node:util"
const url = process.env["LLM_CACHE_TEST_REDIS"]!
const sh = (c: string) => CP.execFileSync("scripts/servers.sh", [c, "/tmp/redis-dev", "redis"], { stdio: "inherit" })
const cli = (...a: Array<string>) => CP.execFileSync("redis-cli", ["-u", url, ...a]).toString().trim()
const show = (e: Exit.Exit<unknown, unknown>) =>
  Exit.isSuccess(e) ? e.value : Cause.pretty(e.cause).split("\n    at")[0]
const open = (o: any = {}) =>
  Layer.build(
    Layer.fresh(
      RedisStore.layer({ prefix: "c", ...o }).pipe(Layer.provide(RedisStore.layerClient({ url: o.url ?? url })))
    )
  ).pipe(Effect.map((c) => {
    const s = (c as any).mapUnsafe.get(SampleStore.SampleStore.key)
    return s as SampleStore.Store
  }))
const main = Effect.gen(function*() {
  const identity = yield* Identity.make({ model: "m" })
  const key = new Key.Key(identity, "p", [])
  const entry = { position: 0, drawn: { text: "a", metadata: {}, origins: [] } }
  for (
    const bad of [
      "redis://u:secret@[bad",
      "redis://u:sec%ret@localhost",
      "http://u:secret@x",
      "redis://u:secret@127.0.0.1/x",
      url.replace("//", "//u:secret@"),
      "redis://localhost:1",
      "rediss://u:secret@127.0.0.1:" + new URL(url).port,
      "redis://nohost.invalid"
    ]
  ) {
    const e = yield* Effect.exit(Effect.scoped(open({ url: bad })))
    console.log(
      bad,
      "=>",
      show(e),
      inspect(e, { depth: 10 }).includes("secret") || JSON.stringify(e).includes("secret")
    )
  }
  cli("ACL", "SETUSER", "reader", "reset", "on", ">pw", "~c:*", "+@read")
  cli("ACL", "SETUSER", "nothing", "reset", "on", ">pw", "~other:*", "+@all")
  const store = yield* open()
  console.log(store.id)
  console.log(show(yield* Effect.exit(store.put(key, [entry], "drop"))))
  const reader = yield* open({ url: url.replace("//", "//reader:pw@") })
  console.log(show(yield* Effect.exit(reader.get(key, 0))))
  console.log(show(yield* Effect.exit(reader.prepare(key))))
  console.log(show(yield* Effect.exit(reader.put(key, [entry], "drop"))))
  console.log(show(yield* Effect.exit(open({ url: url.replace("//", "//nothing:pw@") }))))
  cli("CONFIG", "SET", "maxmemory", "1")
  console.log(
    "OOM",
    show(yield* Effect.exit(store.put(key, [entry], "drop"))),
    show(yield* Effect.exit(store.prepare(key)))
  )
  cli("CONFIG", "SET", "maxmemory", "0")
  cli("REPLICAOF", "127.0.0.1", "1")
  console.log(
    "RO",
    show(yield* Effect.exit(store.put(key, [entry], "drop"))),
    show(yield* Effect.exit(store.get(key, 0)))
  )
  cli("REPLICAOF", "NO", "ONE")
  yield* Effect.sleep(5000)
  console.log("scripts", cli("SCRIPT", "FLUSH"), show(yield* Effect.exit(store.put(key, [entry], "append"))))
  let t = performance.now()
  sh("pause")
  console.log(show(yield* Effect.exit(store.get(key, 0))), performance.now() - t)
  t = performance.now()
  console.log(show(yield* Effect.exit(store.get(key, 0))), performance.now() - t)
  t = performance.now()
  sh("resume")
  t = performance.now()
  console.log(show(yield* Effect.exit(store.get(key, 0))), performance.now() - t)
  t = performance.now()
  sh("pause")
  yield* Effect.forkDetach(Effect.exit(store.get(key, 0)))
  yield* Effect.sleep(50)
}).pipe(Effect.scoped)
const t = performance.now()
await Effect.runPromise(main)
console.log("closed")
sh("resume")
const scope = Effect.runSync(Scope.make())
const s2 = await Effect.runPromise(Scope.provide(open(), scope))
const pid = Number(/process_id:(\d+)/.exec(cli("INFO", "server"))![1])
process.kill(pid, "SIGSTOP")
let t2 = performance.now()
const k = new Key.Key(Effect.runSync(Identity.make({ model: "m" })), "p", [])
console.log(show(await Effect.runPromise(Effect.exit(s2.get(k, 0)))), performance.now() - t2)
t2 = performance.now()
console.log(show(await Effect.runPromise(Effect.exit(s2.get(k, 0)))), performance.now() - t2)
t2 = performance.now()
process.kill(pid, "SIGCONT")
console.log(show(await Effect.runPromise(Effect.exit(s2.get(k, 0)))), performance.now() - t2)
process.kill(pid, "SIGSTOP")
const f = Effect.runFork(Effect.exit(s2.get(k, 0)))
await new Promise((r) => setTimeout(r, 100))
t2 = performance.now()
await Effect.runPromise(Scope.close(scope, Exit.void))
console.log("closed frozen", performance.now() - t2)
process.kill(pid, "SIGCONT")
