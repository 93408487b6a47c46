import { assert, describe, it } from "@effect/vitest"
import { LlmModel, SampleError } from "@llm-cache/core"
import { RedisStore } from "@llm-cache/redis"
import { Context, Duration, Effect, Layer } from "effect"
import { RateLimiter } from "effect/persistence"
import { makeProvider, newPlace } from "../support/server.ts"

/** Rate limits over a client of their own, as another machine has them. */
const makeLimiter = (prefix: string) =>
  Effect.map(
    Layer.build(Layer.fresh(
      RateLimiter.layer.pipe(
        Layer.provide(RateLimiter.layerStoreRedis({ prefix: `${prefix}:limit:` })),
        Layer.provide(RedisStore.layerClient({ url: newPlace().url }))
      )
    )),
    Context.get(RateLimiter.RateLimiter)
  )

const limit = { key: "mock", limit: 5, window: "1 hour" } as const

export const defineLimits = () => {
  describe("beside Effect's RateLimiter", () => {
    it.live("two clients together keep the limit of requests, and what is stored costs none", () =>
      Effect.gen(function*() {
        const place = newPlace()
        const source = yield* makeProvider
        const limiters = [yield* makeLimiter(place.prefix), yield* makeLimiter(place.prefix)]
        // as in the README, and failing instead of waiting
        const limited = (limiter: RateLimiter.RateLimiter) =>
          Layer.fresh(Layer.effect(
            LlmModel.LlmModel,
            Effect.map(LlmModel.LlmModel, (model) => {
              const token = Effect.mapError(limiter.consume({ ...limit, onExceeded: "fail" }), ({ message }) =>
                new SampleError.ProviderError({
                  provider: model.identity.name,
                  reason: new SampleError.RateLimited({ description: message })
                }))
              return LlmModel.fromDraw({
                ...model,
                draw: (...args) =>
                  Effect.andThen(token, model.draw(...args))
              })
            })
          ))
        const draw = (i: number) =>
          LlmModel.sampleOne(`prompt ${i}`).pipe(
            Effect.provide(RedisStore.layerPersistent(place)),
            Effect.provide(limited(limiters[i % 2]!)),
            Effect.provide(source.layer),
            Effect.result
          )
        const prompts = Array.from({ length: 12 }, (_, i) => i)
        const first = yield* Effect.forEach(prompts, draw, { concurrency: "unbounded" })
        const second = yield* Effect.forEach(prompts, draw, { concurrency: "unbounded" })
        assert.strictEqual(source.requests(), 5)
        for (const results of [first, second]) {
          assert.strictEqual(results.filter(({ _tag }) => _tag === "Success").length, 5)
        }
      }))

    it.live("two clients that wait for the limit are put one behind the other", () =>
      Effect.gen(function*() {
        const { prefix } = newPlace()
        const limiters = [yield* makeLimiter(prefix), yield* makeLimiter(prefix)]
        const results = yield* Effect.forEach(
          Array.from({ length: 15 }, (_, i) => i),
          (i) => limiters[i % 2]!.consume({ ...limit, onExceeded: "delay" }),
          { concurrency: "unbounded" }
        )
        const windows = results.map(({ delay }) => Math.ceil(Duration.toHours(delay)))
        assert.deepStrictEqual(windows.toSorted((a, b) => a - b), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
      }))
  })
}
