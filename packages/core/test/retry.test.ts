import { assert, describe, it } from "@effect/vitest"
import {
  Events,
  Fork,
  Independent,
  LlmModel,
  MemoryStore,
  Persistent,
  Repeatable,
  Retry,
  SampleError,
  Usage
} from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Duration, Effect, Exit, Fiber, Layer, Logger, Result, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { using } from "./support/provider.ts"

const down = SampleError.providerError("ServerFault")
const busy = (retryAfter: Duration.Input) => SampleError.providerError("RateLimited", { retryAfter })

const everySecond = (times: number) => Schedule.spaced("1 second").pipe(Schedule.upTo({ times }))

/** The result of a program after an hour. */
const afterAnHour = Effect.fnUntraced(function*<A, E, R>(program: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkChild(Effect.result(program))
  yield* TestClock.adjust("1 hour")
  return yield* Fiber.join(fiber)
})

const one = LlmModel.sampleOne("a")

describe("LlmModel.retry", () => {
  it.effect("sends a request again until it brings samples, as one request", () =>
    Effect.gen(function*() {
      const { model, requests } = yield* TestModel.make({ script: [down, busy("3 seconds"), "4"] })
      const seen: Array<ReadonlyArray<unknown>> = []
      const program = Effect.gen(function*() {
        yield* Events.listen((event) => {
          if ("request" in event) seen.push([event._tag, event.request, "delay" in event ? event.delay : undefined])
        })
        return [yield* one, yield* Usage.current] as const
      }).pipe(
        Effect.scoped,
        Effect.provide(LlmModel.retry(everySecond(2))),
        Effect.provide(Usage.layer),
        Effect.provide(Events.layer),
        using(model)
      )
      const [text, { failedRequests, spent }] = Result.getOrThrow(yield* afterAnHour(program))
      assert.strictEqual(text, "4")
      assert.strictEqual(requests.length, 3)
      assert.strictEqual(spent.requests, 1)
      assert.strictEqual(failedRequests, 0)
      assert.deepStrictEqual(seen.map(([tag, _, delay]) => [tag, delay]), [
        ["RequestSent", undefined],
        ["RequestRetried", 1000],
        ["RequestRetried", 3000],
        ["RequestDone", undefined]
      ])
      assert.strictEqual(new Set(seen.map(([_, request]) => request)).size, 1)
    }))

  it.effect("fails after the last try, and says how many there were", () =>
    Effect.gen(function*() {
      const { model, requests } = yield* TestModel.make({ script: () => Effect.fail(down) })
      const result = yield* afterAnHour(
        one.pipe(Fork.fork("f"), Effect.provide(LlmModel.retry(everySecond(2))), using(model))
      )
      assert(Result.isFailure(result) && result.failure._tag === "ProviderError")
      assert.strictEqual(result.failure.tries, 3)
      assert.match(result.failure.message, /fork f, 3 tries in 2 s/)
      assert.strictEqual(requests.length, 3)
    }))

  it.effect("waits about a minute by default, and at most five as the provider asks", () =>
    Effect.gen(function*() {
      for (const [error, tries] of [[down, 7], [busy("5 minutes"), 7], [busy("301 seconds"), 1]] as const) {
        const { model, requests } = yield* TestModel.make({ script: () => Effect.fail(error) })
        const result = yield* afterAnHour(one.pipe(Effect.provide(LlmModel.retry()), using(model)))
        assert.isTrue(Result.isFailure(result))
        assert.strictEqual(requests.length, tries)
      }
      assert.strictEqual(Duration.toMinutes(Retry.longestRetryAfter), 5)
    }))

  it.effect("retries no other errors, not even after one that it retried", () =>
    Effect.gen(function*() {
      const full = new SampleError.StoreError({
        kind: "Unavailable",
        store: "s",
        operation: "put",
        description: "full"
      })
      const key = SampleError.providerError("BadKey")
      const inputs: Array<string> = []
      const schedule = everySecond(5).pipe(
        Schedule.setInputType<SampleError.ProviderError>(),
        Schedule.tap(({ input }) => Effect.sync(() => inputs.push(input.reason._tag)))
      )
      for (const [script, sent] of [[[full], 1], [[down, full], 2], [[key], 1], [[down, key], 2]] as const) {
        const { model, requests } = yield* TestModel.make({ script })
        const result = yield* afterAnHour(one.pipe(Effect.provide(LlmModel.retry(schedule)), using(model)))
        assert(Result.isFailure(result))
        const last = script.at(-1)!
        if (last === full) assert.strictEqual(result.failure, full)
        else assert.isTrue(result.failure._tag === "ProviderError" && result.failure.reason._tag === "BadKey")
        assert.strictEqual(requests.length, sent)
      }
      assert.deepStrictEqual(inputs, ["ServerFault", "BadKey", "ServerFault", "BadKey"])
    }))

  it.effect("warns once in the log, for all requests that are retried at once", () =>
    Effect.gen(function*() {
      const messages: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        messages.push(`${logLevel} ${String(message)}`)
      })
      let requests = 0
      const { model } = yield* TestModel.make({
        script: ({ prompt }) => Effect.suspend(() => ++requests <= 3 ? Effect.fail(down) : Effect.succeed([prompt]))
      })
      const program = Effect.all(["a", "b", "c"].map((prompt) => LlmModel.sampleOne(prompt)), {
        concurrency: "unbounded"
      }).pipe(Effect.provide(LlmModel.retry(everySecond(1))), using(model), Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(yield* afterAnHour(program), Result.succeed(["a", "b", "c"]))
      assert.deepStrictEqual(messages, [`Warn A request failed, and is sent again in 1s: ${down.message}`])
    }))

  it.effect.each(
    [
      ["0 millis", "at once"],
      ["20 millis", "in 20ms"],
      ["999 millis", "in 999ms"],
      ["1001 millis", "in 2s"]
    ] as const
  )(
    "warns of a wait of %s",
    ([wait, says]) =>
      Effect.gen(function*() {
        const messages: Array<string> = []
        const logger = Logger.make(({ message }) => {
          messages.push(String(message))
        })
        const { model } = yield* TestModel.make({ script: [down, "a"] })
        const program = one.pipe(
          Effect.provide(LlmModel.retry(Schedule.spaced(wait))),
          using(model),
          Effect.provide(Logger.layer([logger]))
        )
        assert.deepStrictEqual(yield* afterAnHour(program), Result.succeed("a"))
        assert.deepStrictEqual(messages, [`A request failed, and is sent again ${says}: ${down.message}`])
      })
  )

  it.effect("works beneath and above caches, which keep their shortcuts", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const retry = LlmModel.retry(Schedule.recurs(1))
      const cache = Persistent.layer({ store })
      for (
        const layers of [
          (model: Layer.Layer<LlmModel.LlmModel>) => LlmModel.stack(Independent.layer, Repeatable.layer, retry, model),
          (model: Layer.Layer<LlmModel.LlmModel>) => LlmModel.stack(retry, Independent.layer, Repeatable.layer, model),
          (model: Layer.Layer<LlmModel.LlmModel>) => LlmModel.stack(retry, cache, model)
        ]
      ) {
        const { model, requests } = yield* TestModel.make({ script: [down, "1", "2", down, "3"] })
        yield* Effect.gen(function*() {
          assert.deepStrictEqual(yield* LlmModel.sampleMany("a", 3, { batch: 1 }), ["1", "2", "3"])
          assert.strictEqual(requests.length, 5)
          const { identity, peek, sequence } = yield* LlmModel.LlmModel
          assert.strictEqual(identity, model.identity)
          assert.strictEqual(peek !== undefined, sequence === "remembered")
        }).pipe(Effect.provide(layers(Layer.succeed(LlmModel.LlmModel, model))))
      }
    }))

  it.effect("leaves the models that a model draws from to themselves", () =>
    Effect.gen(function*() {
      const inner = yield* TestModel.make({ script: () => Effect.fail(down) })
      const outer = yield* LlmModel.make({
        model: "outer",
        generate: ({ prompt }) =>
          Effect.map(LlmModel.sampleOne(prompt), (text) => ({ samples: [text] })).pipe(using(inner.model))
      })
      yield* afterAnHour(one.pipe(Effect.provide(LlmModel.retry(Schedule.recurs(1))), using(outer)))
      assert.strictEqual(inner.requests.length, 2)
    }))
})

describe("Retry.within", () => {
  it.effect("leaves results, failures and defects in time as they are", () =>
    Effect.gen(function*() {
      const slow = Effect.sleep("59 minutes")
      const within = <A>(self: Effect.Effect<A, string>) =>
        Retry.within(Effect.andThen(slow, self), "1 hour", () => "late")
      assert.deepStrictEqual(yield* afterAnHour(within(Effect.succeed(1))), Result.succeed(1))
      assert.deepStrictEqual(yield* afterAnHour(within(Effect.fail("own"))), Result.fail("own"))
      const died = yield* afterAnHour(Effect.exit(within(Effect.die("defect"))))
      assert.deepStrictEqual(died, Result.succeed(Exit.die("defect")))
    }))

  it.effect("fails when the effect that it interrupts has ended", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const slow = Effect.onInterrupt(
        Effect.never,
        () => Effect.andThen(Effect.sleep("1 minute"), Effect.sync(() => void told.push("closed")))
      )
      const fiber = yield* Retry.within(slow, "1 second", () => "late").pipe(
        Effect.flip,
        Effect.tap((error) => Effect.sync(() => void told.push(error))),
        Effect.forkChild
      )
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(told, [])
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(told, ["closed", "late"])
    }))

  it.effect("interrupts the effect with itself, and has its services", () =>
    Effect.gen(function*() {
      const told: Array<ReadonlyArray<string>> = []
      const slow = Effect.onInterrupt(Effect.never, () => Effect.map(Fork.path, (path) => void told.push(path)))
      const fiber = yield* Effect.forkChild(Fork.fork("a")(Retry.within(slow, "1 second", () => "late")))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(told, [["a"]])
    }))
})
