import { assert, it } from "@effect/vitest"
import { Limits } from "@llm-cache/providers"
import { RedisStore } from "@llm-cache/redis"
import { Clock, Context, Duration, Effect, Layer, Redacted } from "effect"
import { RateLimiter } from "effect/persistence"
import { describeRedis, newPlace } from "./support/server.ts"

/** Limits over a client of their own, like those of another machine. */
const makeLimits = (options: Limits.Options, prefix: string) =>
  Effect.map(
    Layer.build(Layer.fresh(
      Limits.layer(options).pipe(
        Layer.provide(RateLimiter.layerStoreRedis({ prefix: `${prefix}:limit:` })),
        Layer.provide(RedisStore.layerClient({ url: newPlace().url }))
      )
    )),
    Context.get(Limits.Limits)
  )

/** A clock whose time passes only in sleeps, at once. */
const makeClock = Effect.map(Clock.Clock, (clock): Clock.Clock & { readonly elapsed: () => number } => {
  const start = clock.currentTimeMillisUnsafe()
  let elapsed = 0
  const now = () => start + elapsed
  const nanos = () => BigInt(now()) * 1_000_000n
  return {
    elapsed: () => elapsed,
    currentTimeMillisUnsafe: now,
    currentTimeMillis: Effect.sync(now),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) => Effect.sync(() => void (elapsed += Duration.toMillis(duration)))
  }
})

const account = (key: string): Limits.Account => ({ host: "api.example.com", key: Redacted.make(key) })

describeRedis("Redis beneath the Limits of providers", () => {
  const spacings: ReadonlyArray<[string, Limits.Options, seconds: number]> = [
    ["requests", { requestsPerMinute: 3 }, 20],
    ["tokens", { tokensPerMinute: 60 }, 10]
  ]
  it.live.each(spacings)(
    "two clients together keep the limit of %s per minute",
    ([, options, seconds]) =>
      Effect.gen(function*() {
        const { prefix } = newPlace()
        const [here, there] = [yield* makeLimits(options, prefix), yield* makeLimits(options, prefix)]
        const clock = yield* makeClock
        const sent: Array<readonly [string, number]> = []
        const send = (limits: typeof here, key: string) =>
          limits.run(
            account(key),
            10,
            Effect.sync(() => {
              sent.push([key, clock.elapsed() / 1000])
              return { samples: ["a"] }
            })
          )
        yield* Effect.gen(function*() {
          for (const limits of [here, there, there, here]) yield* send(limits, "sk-one")
          // Another account has a count of its own.
          yield* send(there, "sk-two")
        }).pipe(Effect.provideService(Clock.Clock, clock))
        assert.deepStrictEqual(sent, [
          ["sk-one", 0],
          ["sk-one", seconds],
          ["sk-one", 2 * seconds],
          ["sk-one", 3 * seconds],
          ["sk-two", 3 * seconds]
        ])
      })
  )

  it.live("requests of several clients at once go one behind the other", () =>
    Effect.gen(function*() {
      const { prefix } = newPlace()
      const all = yield* Effect.replicateEffect(makeLimits({ requestsPerMinute: 60_000 }, prefix), 4)
      let sent = 0
      const request = Effect.sync(() => ({ samples: [`${sent++}`] }))
      const clock = yield* makeClock
      yield* Effect.forEach(all, (limits) => Effect.replicateEffect(limits.run(account("sk"), 10, request), 25), {
        concurrency: "unbounded"
      }).pipe(Effect.provideService(Clock.Clock, clock))
      assert.strictEqual(sent, 100)
      assert.isAtLeast(clock.elapsed(), 99)
    }))
})
