import { assert, describe, it } from "@effect/vitest"
import { CacheErrors } from "@llm-cache/ai"
import { Attempt, Independent, MemoryStore } from "@llm-cache/core"
import { Effect, Logger, Random, Schema } from "effect"
import { AiError, LanguageModel } from "effect/ai"
import { keysOf } from "./support/listed.ts"
import { cached, finish, replayed, scripted, text } from "./support/scripted.ts"

const failures: ReadonlyArray<AiError.AiErrorReason> = [
  new AiError.RateLimitError({}),
  new AiError.InternalProviderError({ description: "down" }),
  new AiError.InvalidOutputError({ description: "a part is missing" }),
  new AiError.NetworkError({ reason: "TransportError", method: "POST", url: "u" })
]

/** A model whose requests fail in 30 % of the cases, and whose objects cannot be decoded in 30 %. */
const erring = () =>
  scripted((_, i) =>
    Effect.gen(function*() {
      if ((yield* Random.next) < 0.3) {
        const reason = failures[yield* Random.nextIntBetween(0, failures.length - 1)]!
        return yield* AiError.make({ module: "Erring", method: "generateText", reason })
      }
      return [text((yield* Random.next) < 0.3 ? `{"of":"${i}"}` : `{"of":${i}}`), finish()]
    })
  )

const person = (prompt: string) => LanguageModel.generateObject({ prompt, schema: Schema.Struct({ of: Schema.Int }) })

/** Five objects, each tried until it is there. It logs the errors on the way. */
const objects = (log: Array<string>) =>
  Effect.forEach(["a", "b", "a", "c", "b"], (prompt) =>
    person(prompt).pipe(
      Effect.tapError((error) =>
        Effect.sync(() => log.push(CacheErrors.isMiss(error) ? "miss" : `${prompt}: ${error.message}`))
      ),
      Attempt.retry({ times: 50 }),
      Effect.map(({ attempts, value }) => [attempts, value.value.of])
    )).pipe(
      CacheErrors.expose,
      Effect.provide(Independent.layer),
      Effect.provideService(Logger.CurrentLoggers, new Set())
    )

const runs = { arbitrary: { runs: 20 } }

describe("Attempt.retry around generateObject, with a model that errs", () => {
  it.effect.prop(
    "replays its values, attempts and the errors of all answers",
    { seed: Schema.Int },
    ({ seed }) =>
      Effect.gen(function*() {
        const store = yield* MemoryStore.make
        const provider = erring()
        const log: Array<string> = []
        const values = yield* objects(log).pipe(
          Effect.provide(cached(provider.layer, { store })),
          Random.withSeed(seed)
        )
        assert.strictEqual(provider.requests.length, log.length + 5)
        const answered = log.filter((line) => line.includes("Structured output"))
        const replayedLog: Array<string> = []
        assert.deepStrictEqual(yield* Effect.provide(objects(replayedLog), replayed(store)), values)
        assert.deepStrictEqual(replayedLog, answered)
      }),
    runs
  )

  it.effect.prop(
    "fails at once with a miss where a recording ends",
    { seed: Schema.Int },
    ({ seed }) =>
      Effect.gen(function*() {
        const store = yield* MemoryStore.make
        yield* objects([]).pipe(Effect.provide(cached(erring().layer, { store })), Random.withSeed(seed))
        const whole: Array<string> = []
        yield* Effect.provide(objects(whole), replayed(store))
        const keys = yield* keysOf(store)
        const key = keys[Math.abs(seed) % keys.length]!
        yield* store.remove(key, [Math.max(...yield* store.positions(key))])
        const log: Array<string> = []
        const miss = yield* Effect.flip(Effect.provide(objects(log), replayed(store)))
        assert.strictEqual(miss._tag, "ReplicationCacheMiss")
        assert.strictEqual(log.pop(), "miss")
        assert.deepStrictEqual(log, whole.slice(0, log.length))
      }),
    runs
  )
})
