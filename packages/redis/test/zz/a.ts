import { NodeRedis } from "@effect/platform-node"
import { Effect, Exit, Layer, Scope } from "effect"
import { Redis } from "effect/persistence"
import * as CP from "node:child_process"
const url = process.env.LLM_CACHE_TEST_REDIS!
const sh = (c: string) => CP.execFileSync("scripts/servers.sh", [c, "/tmp/redis-dev", "redis"], { stdio: "inherit" })
const now = () => performance.now()
const main = Effect.gen(function*() {
  const scope = yield* Scope.make()
  const ctx = yield* Layer.buildWithScope(NodeRedis.layer({ url }), scope)
  const redis = yield* Effect.provide(Redis.Redis, ctx)
  console.log(yield* redis.send("PING"))
  for (const withTimeout of [false, true, false, true]) {
    const one = redis.send("HGET", "x", "y")
    const eff = withTimeout ? Effect.timeoutOrElse(one, { duration: 10000, orElse: () => Effect.fail("t") }) : one
    for (let i = 0; i < 3000; i++) yield* eff
    const t = now()
    for (let i = 0; i < 10000; i++) yield* eff
    console.log("timeout", withTimeout, (now() - t) / 10000 * 1000, "us/op")
  }
  sh("pause")
  let t = now()
  console.log(yield* Effect.exit(redis.send("PING")), now() - t)
  t = now()
  console.log("pid frozen test")
  sh("resume")
  console.log(yield* Effect.exit(redis.send("PING")), now() - t)
  sh("pause")
  yield* Effect.sleep(100)
  t = now()
  yield* Scope.close(scope, Exit.void).pipe(Effect.timeout(20000), Effect.exit)
  console.log("close while down, idle", now() - t)
  sh("resume")
  const scope2 = yield* Scope.make()
  const redis2 = yield* Effect.provide(Redis.Redis, yield* Layer.buildWithScope(NodeRedis.layer({ url }), scope2))
  sh("pause")
  yield* Effect.forkDetach(Effect.exit(redis2.send("PING")))
  yield* Effect.sleep(100)
  t = now()
  console.log(yield* Scope.close(scope2, Exit.void).pipe(Effect.timeout(20000), Effect.exit))
  console.log("close while down, queued", now() - t)
  sh("resume")
  console.log(
    "badurl",
    yield* Effect.exit(Effect.scoped(Layer.build(NodeRedis.layer({ url: "redis://u:secret@[bad" }))))
  )
  console.log(
    "badpw",
    yield* Effect.exit(Effect.scoped(Layer.build(NodeRedis.layer({ url: url.replace("//", "//u:secret@") }))))
  )
  console.log(
    "refused",
    yield* Effect.exit(Effect.scoped(Layer.build(NodeRedis.layer({ url: "redis://localhost:1" }))))
  )
})
await Effect.runPromise(main)
