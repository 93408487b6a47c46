import { assert, describe, it } from "@effect/vitest"
import {
  Attempt,
  Fork,
  Identity,
  Independent,
  LlmModel,
  Persistent,
  RepeatableModel,
  SampleError
} from "@llm-cache/core"
import { Data, Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { makeDirectory } from "./support/directory.ts"
import { makeGate, makeProvider, using } from "./support/provider.ts"

class Refused extends Data.TaggedError("Refused")<{ readonly answer: string }> {}

/** Draws twice the same and once another, and accepts the sample that it is told to. */
const attempt = (accepted: string) =>
  Effect.gen(function*() {
    const first = yield* LlmModel.sampleOne("a")
    assert.strictEqual(yield* RepeatableModel.sampleOne("a"), first)
    yield* LlmModel.sampleOne(`b of ${first}`)
    return first === accepted ? first : yield* new Refused({ answer: first })
  })

const errors = {
  miss: (path: string) =>
    new SampleError.ReplicationCacheMiss({
      identity: Effect.runSync(Identity.make({ model: "m" })),
      prompt: "",
      promptHash: "",
      path: [],
      position: 0,
      present: [],
      store: path,
      nearest: undefined
    }),
  provider: (reason: SampleError.ProviderErrorReason) => new SampleError.ProviderError({ provider: "mock", reason }),
  store: (kind: SampleError.StoreError["kind"]) =>
    new SampleError.StoreError({ kind, store: "s", operation: "get", description: "" })
}

describe("retry", () => {
  it.effect("makes attempts until one succeeds, each with samples of its own", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeProvider()
      const program = Attempt.retry(attempt("a #4"), { schedule: Schedule.recurs(9) }).pipe(
        Effect.provide(Independent.layer),
        Effect.provide(Persistent.layer({ directory })),
        using(provider.model)
      )
      const result = yield* program
      assert.deepStrictEqual(result, { value: "a #4", attempts: 3, lastError: new Refused({ answer: "a #2" }) })
      assert.strictEqual(provider.requests.length, 6)
      // and again from the cache
      assert.deepStrictEqual(yield* program, result)
      assert.strictEqual(provider.requests.length, 6)
    }))

  it.effect("tells how many attempts there were, and what the last failed with, when the schedule ends", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const error = yield* Attempt.retry(attempt("none"), { schedule: Schedule.recurs(2) }).pipe(
        Effect.provide(Independent.layer),
        using(provider.model),
        Effect.flip
      )
      assert.instanceOf(error, Attempt.AttemptsExhausted)
      assert.strictEqual(error.attempts, 3)
      assert.deepStrictEqual(error.lastError, new Refused({ answer: "a #4" }))
      assert.include(error.message, "3")
    }))

  it.effect("needs one attempt where that succeeds", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const result = yield* Attempt.retry(attempt("a #0"), { schedule: Schedule.forever }).pipe(
        Effect.provide(Independent.layer),
        using(provider.model)
      )
      assert.deepStrictEqual(result, { value: "a #0", attempts: 1, lastError: undefined })
    }))

  const reasons = SampleError
  const fields = { description: "d" }

  it.effect.each<readonly [SampleError.SampleError, boolean]>([
    [errors.miss("s"), false],
    [errors.provider(new reasons.BadKey(fields)), false],
    [errors.provider(new reasons.BadRequest(fields)), false],
    [errors.provider(new reasons.ContentPolicy(fields)), false],
    [errors.provider(new reasons.ContextTooLong(fields)), false],
    [errors.provider(new reasons.RateLimited(fields)), true],
    [errors.provider(new reasons.ServerFault(fields)), true],
    [errors.provider(new reasons.Transport(fields)), true],
    [errors.provider(new reasons.Timeout(fields)), true],
    [errors.provider(new reasons.UnusableResponse(fields)), true],
    [errors.store("Damaged"), false],
    [errors.store("InvalidName"), false],
    [errors.store("Unavailable"), true]
  ])("retries only what a new try can mend: %s", ([error, isRetried]) =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      let attempts = 0
      const failing = Effect.suspend(() => {
        attempts++
        return Effect.fail(error)
      })
      const failed = yield* Attempt.retry(failing, { schedule: Schedule.recurs(3) }).pipe(
        Effect.provide(Independent.layer),
        using(provider.model),
        Effect.flip
      )
      assert.strictEqual(attempts, isRetried ? 4 : 1)
      assert.strictEqual(failed._tag, isRetried ? "AttemptsExhausted" : error._tag)
      if (!isRetried) assert.strictEqual(failed, error)
    }))

  it.effect("does not swallow a miss in replication", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeProvider()
      const miss = yield* Attempt.retry(attempt("none"), { schedule: Schedule.forever }).pipe(
        Effect.provide(Independent.layer),
        Effect.provide(Persistent.layer({ directory, replication: true })),
        using(provider.model),
        Effect.flip
      )
      assert.strictEqual(miss._tag, "ReplicationCacheMiss")
    }))

  it.effect("takes a schedule's delays, its inputs and its own condition", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const inputs: Array<string> = []
      const schedule = Schedule.max([Schedule.exponential("1 second"), Schedule.recurs(9)]).pipe(
        Schedule.setInputType<Refused | SampleError.SampleError>(),
        Schedule.tap(({ input }) => Effect.sync(() => inputs.push(input._tag)))
      )
      const fiber = yield* Attempt.retry(attempt("none"), {
        schedule,
        while: (error) => error._tag === "Refused" && error.answer !== "a #4"
      }).pipe(Effect.provide(Independent.layer), using(provider.model), Effect.flip, Effect.forkChild)
      yield* TestClock.adjust(0)
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(provider.requests.length, 2)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(provider.requests.length, 4)
      yield* TestClock.adjust("2 seconds")
      // the third one was refused by the condition, and is its own error
      assert.deepStrictEqual(yield* Fiber.join(fiber), new Refused({ answer: "a #4" }))
      assert.deepStrictEqual(inputs, ["Refused", "Refused", "Refused"])
    }))
})

describe("race", () => {
  it.effect("takes the first that succeeds, interrupts the others, and loses none of what they bought", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeProvider()
      const gate = yield* makeGate
      const path: Array<string> = []
      const quick = Effect.gen(function*() {
        const [index] = yield* Fork.path
        if (index !== "1") yield* gate.wait
        const text = yield* LlmModel.sampleOne("a")
        path.push(index!)
        return text
      })
      const program = Attempt.race(quick, { n: 3 }).pipe(Effect.provide(Independent.layer))
      const live = program.pipe(Effect.provide(Persistent.layer({ directory })), using(provider.model))
      assert.deepStrictEqual(yield* live, { value: "a #0", index: 1 })
      assert.deepStrictEqual(path, ["1"])
      assert.deepStrictEqual(yield* live, { value: "a #0", index: 1 })
      assert.strictEqual(provider.requests.length, 1)
    }))

  it.effect("goes on while some fail, and tells when all have, or what no sample can mend", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const race = <E>(errorOf: (index: string) => E | undefined) =>
        Attempt.race(
          Effect.gen(function*() {
            const [index] = yield* Fork.path
            const error = errorOf(index!)
            return error === undefined ? index : yield* Effect.fail(error)
          }),
          { n: 3 }
        ).pipe(Effect.provide(Independent.layer), using(provider.model))
      assert.deepStrictEqual(yield* race((index) => index === "2" ? undefined : "no"), { value: "2", index: 2 })
      const failed = yield* Effect.flip(race((index) => `no ${index}`))
      assert.deepStrictEqual([failed instanceof Attempt.AttemptsExhausted && failed.attempts], [3])
      const key = errors.provider(new SampleError.BadKey({ description: "d" }))
      const straight = yield* Effect.flip(race((index) => index === "0" ? key : "no"))
      assert.strictEqual(straight, key)
    }))
})

describe("best", () => {
  const draw = Effect.map(LlmModel.sampleOne("a"), (text) => Number(text.slice(3)))

  it.effect("takes the highest score, the first of several, and replays however it is scheduled", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const provider = yield* makeProvider()
      const program = (concurrency: number) =>
        Attempt.best(Effect.andThen(Effect.replicateEffect(Effect.yieldNow, concurrency), draw), {
          n: 6,
          score: (value) => Math.min(value, 3),
          concurrency
        }).pipe(
          Effect.provide(Independent.layer),
          Effect.provide(Persistent.layer({ directory })),
          using(provider.model)
        )
      assert.deepStrictEqual(yield* program(1), { value: 3, index: 3 })
      for (const concurrency of [2, 6]) assert.deepStrictEqual(yield* program(concurrency), { value: 3, index: 3 })
      assert.strictEqual(provider.requests.length, 6)
    }))

  it.effect("leaves out attempts that fail, and fails when all do", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const below = (limit: number) =>
        Attempt.best(
          Effect.filterOrFail(draw, (value) => value < limit, (value) => new Refused({ answer: `${value}` })),
          {
            n: 3,
            score: (value) => value
          }
        ).pipe(Effect.provide(Independent.layer), using(provider.model))
      assert.deepStrictEqual(yield* below(2), { value: 1, index: 1 })
      const error = yield* Effect.flip(below(0))
      assert.instanceOf(error, Attempt.AttemptsExhausted)
      assert.deepStrictEqual(error.lastError, new Refused({ answer: "5" }))
    }))

  it.effect("refuses an n that is no number of attempts", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      for (const n of [0, -1, 1.5, NaN]) {
        const both = Effect.all([
          Effect.flip(Attempt.best(draw, { n, score: (value) => value })),
          Effect.flip(Attempt.race(draw, { n }))
        ]).pipe(Effect.provide(Independent.layer), using(provider.model))
        for (const error of yield* both) assert.strictEqual(error._tag, "ProviderError")
      }
      assert.deepStrictEqual(provider.requests, [])
    }))
})
