import { NodeRedis } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Redis } from "effect/persistence"
const url = process.env.LLM_CACHE_TEST_REDIS!
const now = () => performance.now()
const main = Effect.gen(function*() {
  const redis = yield* Redis.Redis
  const one = redis.send("HGET", "x", "y")
  const r: any = { a: [], b: [] }
  const timed = Effect.timeoutOrElse(one, { duration: 10000, orElse: () => Effect.fail("t") })
  for (let k = 0; k < 60; k++) {
    for (const [n, eff] of [["a", one], ["b", timed]] as const) {
      const t = now()
      for (let i = 0; i < 500; i++) yield* eff
      r[n].push((now() - t) / 500 * 1000)
    }
  }
  for (const n of ["a", "b"]) {
    r[n].sort((x: number, y: number) => x - y)
    console.log(n, r[n][5], r[n][30])
  }
  // cpu with sync effect
  const s = Effect.yieldNow
  const st = Effect.timeoutOrElse(s, { duration: 10000, orElse: () => Effect.fail("t") })
  for (const e of [s, st, s, st]) {
    const t = now()
    for (let i = 0; i < 50000; i++) yield* e
    console.log((now() - t) / 50000 * 1000)
  }
}).pipe(Effect.provide(NodeRedis.layer({ url })))
await Effect.runPromise(main)
