import { assert, describe, it } from "@effect/vitest"
import { LlmModel, type SampleError, Usage } from "@llm-cache/core"
import { Anthropic, Limits, Ollama, OpenAiCompatible } from "@llm-cache/providers"
import { Clock, Duration, Effect, Fiber, Layer, Logger, Redacted, Schedule } from "effect"
import { HttpClient } from "effect/http"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { fakeClient } from "./support/clients.ts"
import { reasonOf } from "./support/model.ts"

interface Sent {
  readonly at: number
  readonly model: string
  readonly prompt: string
}

type Answer = (sent: Sent, index: number) => Effect.Effect<Response>

const usage = (tokens: number) => ({ prompt_tokens: tokens - 1, completion_tokens: 1 })

const success = (tokens?: number) =>
  Response.json({
    choices: [{ message: { content: "a" } }],
    ...(tokens === undefined ? {} : { usage: usage(tokens) })
  })

const busy = (headers: Record<string, string> = {}) => new Response("{}", { status: 429, headers })

/** A client that notes its requests, their seconds, and how many are in flight at once. */
const makeVendor = (answer: Answer = () => Effect.sync(() => success())) => {
  const sent: Array<Sent> = []
  const open = { now: 0, most: 0 }
  const client = fakeClient((request) =>
    Effect.acquireUseRelease(
      Effect.sync(() => (open.most = Math.max(open.most, ++open.now))),
      () =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const body = request.body._tag === "Uint8Array" ? JSON.parse(new TextDecoder().decode(request.body.body)) : {}
          const one = { at: now / 1000, model: body.model, prompt: body.messages.at(-1).content }
          sent.push(one)
          return answer(one, sent.length - 1)
        }),
      () => Effect.sync(() => open.now--)
    )
  )
  return { sent, open, client, times: () => sent.map(({ at }) => at) }
}

const model = (options: Partial<OpenAiCompatible.Options> = {}) =>
  OpenAiCompatible.layer({
    baseUrl: "http://127.0.0.1:1/v1",
    apiKey: Redacted.make("sk-test"),
    model: "m",
    retry: Schedule.recurs(0),
    ...options
  })

const slow = (seconds: number): Answer => () => Effect.delay(Effect.sync(() => success()), Duration.seconds(seconds))

/** Draws of as many prompts at once, in order. */
const prompts = (n: number) =>
  Effect.forEach(Array.from({ length: n }, (_, i) => i), (i) => Effect.result(LlmModel.sampleOne(`${i}`)), {
    concurrency: "unbounded"
  })

/** Lets seconds pass one by one, and everyone act in each. */
const seconds = (n: number) =>
  Effect.repeat(
    Effect.andThen(Effect.promise(() => new Promise((resolve) => setImmediate(resolve))), TestClock.adjust("1 second")),
    { times: n - 1 }
  )

const ordered = (n: number) => Array.from({ length: n }, (_, i) => `${i}`)

describe("requests in flight", () => {
  it.effect("never exceed the limit, and are sent first come, first served", () =>
    Effect.gen(function*() {
      const vendor = makeVendor(slow(1))
      const fiber = yield* prompts(10).pipe(
        Effect.provide(model({ limits: { inFlight: 3 } })),
        Effect.provide(vendor.client),
        Effect.forkChild
      )
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(vendor.open.most, 3)
      assert.deepStrictEqual(vendor.times(), [0, 0, 0, 1, 1, 1, 2, 2, 2, 3])
      assert.deepStrictEqual(vendor.sent.map(({ prompt }) => prompt), ordered(10))
    }))

  it.effect("spend their waiting and their retries in the time that Usage counts", () =>
    Effect.gen(function*() {
      const vendor = makeVendor((_, i) => i === 0 ? Effect.sync(() => busy()) : slow(1)(_, i))
      const fiber = yield* Usage.measure(prompts(2)).pipe(
        Effect.provide(model({ limits: { inFlight: 1 }, retry: Schedule.recurs(1) })),
        Effect.provide(vendor.client),
        Effect.forkChild
      )
      yield* seconds(10)
      const [, { spent }] = yield* Fiber.join(fiber)
      assert.deepStrictEqual(vendor.times(), [0, 1, 2])
      assert.strictEqual(spent.requests, 2)
      assert.strictEqual(Duration.toSeconds(spent.requestTime), 5)
    }))

  it.effect("are unlimited by default", () =>
    Effect.gen(function*() {
      const vendor = makeVendor(slow(1))
      const fiber = yield* prompts(50).pipe(Effect.provide(model()), Effect.provide(vendor.client), Effect.forkChild)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.strictEqual(vendor.open.most, 50)
    }))

  it.effect("make room when they fail or are interrupted", () =>
    Effect.gen(function*() {
      const vendor = makeVendor((_, i) =>
        i === 0 ? Effect.never : Effect.sync(() => new Response("{}", { status: 400 }))
      )
      yield* Effect.gen(function*() {
        const stuck = yield* Effect.forkChild(LlmModel.sampleOne("stuck"))
        yield* TestClock.adjust(1)
        const waiting = yield* Effect.forkChild(LlmModel.sampleOne("waiting"))
        const next = yield* Effect.forkChild(Effect.flip(LlmModel.sampleOne("next")))
        const after = yield* Effect.forkChild(Effect.flip(LlmModel.sampleOne("after")))
        yield* TestClock.adjust(1)
        yield* Fiber.interrupt(waiting)
        yield* Fiber.interrupt(stuck)
        yield* Fiber.join(next)
        yield* Fiber.join(after)
      }).pipe(Effect.provide(model({ limits: { inFlight: 1 } })), Effect.provide(vendor.client))
      assert.deepStrictEqual(vendor.sent.map(({ prompt }) => prompt), ["stuck", "next", "after"])
    }))
})

/** The most that falls into any minute. */
const mostInAMinute = (sent: ReadonlyArray<readonly [at: number, cost: number]>) =>
  Math.max(
    ...sent.map(([from]) =>
      sent.reduce((sum, [at, cost]) => at >= from && Math.round((at - from) * 1000) < 60_000 ? sum + cost : sum, 0)
    )
  )

const down = new RateLimiter.RateLimiterError({
  reason: new RateLimiter.RateLimitStoreError({ message: "Redis is gone" })
})

describe("requests per minute", () => {
  it.effect.each([1, 7, 60, 91, 600])(
    "never exceed %d, whenever the minute begins, and reach it",
    (limit) =>
      Effect.gen(function*() {
        const vendor = makeVendor()
        const fiber = yield* Effect.gen(function*() {
          yield* LlmModel.sampleOne("alone")
          yield* Effect.sleep("59 seconds")
          yield* prompts(Math.floor(limit * 3))
        }).pipe(
          Effect.provide(model({ limits: { requestsPerMinute: limit } })),
          Effect.provide(vendor.client),
          Effect.forkChild
        )
        yield* TestClock.adjust("59 seconds")
        for (let i = 0; i < 300; i++) yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
        const times = vendor.times()
        assert.isAtMost(mostInAMinute(times.map((at) => [at, 1])), limit)
        assert.isAtMost(times.at(-1)!, 59 + 180 + 60 / limit)
        assert.deepStrictEqual(vendor.sent.slice(1).map(({ prompt }) => prompt), ordered(times.length - 1))
      })
  )

  it.effect("include retries, and every request of a batch", () =>
    Effect.gen(function*() {
      const vendor = makeVendor((_, i) => Effect.sync(() => i === 0 ? new Response("{}", { status: 500 }) : success()))
      const fiber = yield* LlmModel.sampleMany("p", 3).pipe(
        Effect.provide(model({ maxBatch: 1, retry: Schedule.recurs(1), limits: { requestsPerMinute: 6 } })),
        Effect.provide(vendor.client),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(yield* Fiber.join(fiber), 3)
      assert.deepStrictEqual(vendor.times(), [0, 10, 20, 30])
    }))

  it.effect("do not include requests that were interrupted in the queue", () =>
    Effect.gen(function*() {
      const vendor = makeVendor()
      yield* Effect.gen(function*() {
        yield* LlmModel.sampleOne("first")
        const waiting = yield* Effect.forkChild(prompts(100))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(waiting)
        const fiber = yield* Effect.forkChild(LlmModel.sampleOne("last"))
        yield* TestClock.adjust("9 seconds")
        yield* Fiber.join(fiber)
      }).pipe(Effect.provide(model({ limits: { requestsPerMinute: 6 } })), Effect.provide(vendor.client))
      assert.deepStrictEqual(vendor.times(), [0, 10])
    }))

  it.effect("go on if every request is interrupted early, and never exceed the limit", () =>
    Effect.gen(function*() {
      for (const [pause, fewest] of [[0, 59], [5000, 10]] as const) {
        const vendor = makeVendor()
        const fiber = yield* Effect.forever(
          LlmModel.sampleOne("p").pipe(
            Effect.timeout("1100 millis"),
            Effect.exit,
            Effect.andThen(Effect.suspend(() => Effect.sleep((pause * vendor.sent.length * 7919) % 5003)))
          )
        ).pipe(
          Effect.provide(model({ limits: { requestsPerMinute: 6 } })),
          Effect.provide(vendor.client),
          Effect.forkChild
        )
        for (let i = 0; i < 6000; i++) yield* TestClock.adjust("100 millis")
        yield* Fiber.interrupt(fiber)
        const times = vendor.times()
        assert.isAtLeast(times.length, fewest)
        assert.isAtMost(mostInAMinute(times.map((at) => [at, 1])), 6)
      }
    }))

  it.effect("reach the limit if it leaves each a fraction of a millisecond", () =>
    Effect.gen(function*() {
      const vendor = makeVendor()
      const fiber = yield* prompts(401).pipe(
        Effect.provide(model({ limits: { requestsPerMinute: 90_000 } })),
        Effect.provide(vendor.client),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      const times = vendor.times()
      assert.closeTo(times.at(-1)! - times[0]!, 400 * 60 / 90_000, 0.001)
    }))

  it.effect("do not use up `timeout` while they wait", () =>
    Effect.gen(function*() {
      const vendor = makeVendor()
      const fiber = yield* prompts(5).pipe(
        Effect.provide(model({ timeout: "1 second", limits: { requestsPerMinute: 1 } })),
        Effect.provide(vendor.client),
        Effect.forkChild
      )
      yield* TestClock.adjust("4 minutes")
      const results = yield* Fiber.join(fiber)
      assert.isTrue(results.every(({ _tag }) => _tag === "Success"))
      assert.deepStrictEqual(vendor.times(), [0, 60, 120, 180, 240])
    }))

  it.effect("are counted by host and key in the RateLimiterStore, whose names do not hold the key", () =>
    Effect.gen(function*() {
      const names: Array<string> = []
      const counts = Layer.effect(
        RateLimiter.RateLimiterStore,
        Effect.map(RateLimiter.RateLimiterStore, (store) =>
          RateLimiter.RateLimiterStore.of({
            ...store,
            tokenBucket: (options) => Effect.suspend(() => (names.push(options.key), store.tokenBucket(options)))
          }))
      ).pipe(Layer.provide(RateLimiter.layerStoreMemory))
      const vendor = makeVendor()
      // two machines have layers of their own, and one store
      const machine = () =>
        prompts(3).pipe(
          Effect.provide(Layer.fresh(model({ limits: { requestsPerMinute: 6 } }))),
          Effect.provide(vendor.client)
        )
      const fiber = yield* Effect.all([machine(), machine()], { concurrency: 2 }).pipe(
        Effect.provide(counts),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(vendor.times(), [0, 10, 20, 30, 40, 50])
      assert.match(names[0]!, /^llm-cache:127\.0\.0\.1:1:[0-9a-f]{16}:requests$/)
      assert.strictEqual(new Set(names).size, 1)
    }))

  it.effect("fail with Transport and send nothing if the RateLimiterStore fails", () =>
    Effect.gen(function*() {
      const vendor = makeVendor()
      const store = Layer.effect(
        RateLimiter.RateLimiterStore,
        Effect.map(RateLimiter.RateLimiterStore, (store) => ({ ...store, tokenBucket: () => Effect.fail(down) }))
      ).pipe(Layer.provide(RateLimiter.layerStoreMemory))
      const error = yield* LlmModel.sampleOne("p").pipe(
        Effect.provide(model({ limits: { requestsPerMinute: 6 } })),
        Effect.provide(vendor.client),
        Effect.provide(store),
        Effect.flip
      )
      assert.include(reasonOf(error, "Transport").description, "Redis is gone")
      assert.lengthOf(vendor.sent, 0)
    }))
})

describe("tokens per minute", () => {
  const run = (
    limits: Limits.Options,
    tokens: ReadonlyArray<number | undefined>,
    options: Partial<OpenAiCompatible.Options> = {}
  ) =>
    Effect.gen(function*() {
      const vendor = makeVendor((_, i) => Effect.sync(() => success(tokens[i])))
      const fiber = yield* Effect.forEach(tokens, () => LlmModel.sampleOne("12345678"), { concurrency: "unbounded" })
        .pipe(Effect.provide(model({ limits, ...options })), Effect.provide(vendor.client), Effect.forkChild)
      yield* seconds(3600)
      yield* Fiber.join(fiber)
      return vendor.times().map((at) => at - vendor.times()[0]!)
    })

  it.effect("are estimated from the prompt and the token limit of a sample if the answer has no usage", () =>
    Effect.gen(function*() {
      // 2 for the prompt and 98 for the sample
      assert.deepStrictEqual(
        yield* run({ tokensPerMinute: 600 }, [undefined, undefined, undefined], { parameters: { max_tokens: 98 } }),
        [0, 10, 20]
      )
      // 2 for the prompt, 1 for the system text and 500 for the sample
      assert.deepStrictEqual(
        yield* run({ tokensPerMinute: 503 }, [undefined, undefined], { system: "1234" }),
        [0, 60]
      )
    }))

  it.effect("are estimated as without a token limit if that is below zero", () =>
    Effect.gen(function*() {
      const vendor = makeVendor(() =>
        Effect.sync(() => new Response("{\"message\":{\"content\":\"a\"},\"done\":true}"))
      )
      const fiber = yield* Effect.forEach([-1, -2, 98], (num_predict) =>
        prompts(2).pipe(
          Effect.provide(Ollama.layer({ model: "m", parameters: { num_predict }, limits: { tokensPerMinute: 501 } }))
        )).pipe(Effect.provide(vendor.client), Effect.forkChild)
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      const times = vendor.times()
      assert.deepStrictEqual([0, 2, 4].map((i) => Math.floor(times[i + 1]! - times[i]!)), [60, 60, 11])
    }))

  it.effect("do not cost an answer if counting them fails", () =>
    Effect.gen(function*() {
      for (const broken of [Effect.die("bug"), Effect.fail(down)]) {
        const vendor = makeVendor(() => Effect.sync(() => success(300)))
        let isBroken = false
        const store = Layer.effect(
          RateLimiter.RateLimiterStore,
          Effect.map(RateLimiter.RateLimiterStore, (store) => ({
            ...store,
            tokenBucket: (options) => {
              const taken = isBroken ? broken : store.tokenBucket(options)
              isBroken = true
              return taken
            }
          }))
        ).pipe(Layer.provide(RateLimiter.layerStoreMemory))
        const sample = yield* LlmModel.sampleOne("p").pipe(
          Effect.provide(model({ limits: { tokensPerMinute: 600 } })),
          Effect.provide(vendor.client),
          Effect.provide(store)
        )
        assert.strictEqual(sample, "a")
      }
    }))

  it.effect("are corrected by the provider's count, up or down", () =>
    Effect.gen(function*() {
      const parameters = { max_tokens: 98 }
      const vendor = makeVendor((_, i) => Effect.sync(() => success([300, 50, undefined][i])))
      const fiber = yield* Effect.gen(function*() {
        for (let i = 0; i < 4; i++) yield* LlmModel.sampleOne("12345678")
      }).pipe(
        Effect.provide(model({ parameters, limits: { tokensPerMinute: 600 } })),
        Effect.provide(vendor.client),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(vendor.times(), [0, 30, 35, 45])
    }))

  it.effect("are corrected for requests that already wait", () =>
    Effect.gen(function*() {
      // an estimate of 600 each, which would be a minute
      const parameters = { max_tokens: 598 }
      assert.deepStrictEqual(yield* run({ tokensPerMinute: 600 }, [10, 20, 300, 10], { parameters }), [0, 1, 3, 33])
      // no whole number of milliseconds
      assert.deepStrictEqual(
        (yield* run({ tokensPerMinute: 700 }, [11, 22, 10], { parameters })).map((at) => at.toFixed(2)),
        ["0.00", "0.94", "2.83"]
      )
      const all = { max_tokens: Number.MAX_SAFE_INTEGER }
      assert.deepStrictEqual(
        (yield* run({ tokensPerMinute: 600 }, [10, 20, 10], { parameters: all })).map(Math.round),
        [0, 1, 3]
      )
      const vendor = makeVendor((_, i) =>
        Effect.delay(Effect.sync(() => success(i === 0 ? 900 : 10)), i === 0 ? "50 seconds" : 0)
      )
      const fiber = yield* prompts(2).pipe(
        Effect.provide(model({ parameters, limits: { tokensPerMinute: 600 } })),
        Effect.provide(vendor.client),
        Effect.forkChild
      )
      yield* seconds(100)
      yield* Fiber.join(fiber)
      const [first, second] = vendor.times()
      assert.strictEqual(Math.floor(second! - first!), 90)
    }))

  it.effect("never exceed the limit by more than two requests, in any span of time", () =>
    Effect.gen(function*() {
      const tokens = Array.from({ length: 200 }, (_, i) => 1 + (i * 7919) % 400)
      const times = yield* run({ tokensPerMinute: 1000 }, tokens, { parameters: { max_tokens: 398 } })
      const spent = times.map((at, i): [number, number] => [at, tokens[i]!])
      assert.isAtMost(mostInAMinute(spent), 1000 + 2 * 400)
      assert.lengthOf(times, 200)
    }))

  it.effect("keep the requests per minute within their limit after a long wait", () =>
    Effect.gen(function*() {
      const vendor = makeVendor((_, i) => Effect.sync(() => success(i === 0 ? 600 : 10)))
      const fiber = yield* prompts(20).pipe(
        Effect.provide(
          model({ parameters: { max_tokens: 9 }, limits: { requestsPerMinute: 6, tokensPerMinute: 600 } })
        ),
        Effect.provide(vendor.client),
        Effect.forkChild
      )
      yield* seconds(300)
      yield* Fiber.join(fiber)
      assert.isAtMost(mostInAMinute(vendor.times().map((at) => [at, 1])), 6)
      assert.isAtLeast(vendor.times()[1]!, 60)
    }))

  it.effect("are free again after an interruption before the request is sent", () =>
    Effect.gen(function*() {
      const vendor = makeVendor()
      yield* Effect.gen(function*() {
        yield* LlmModel.sampleOne("12345678")
        const waiting = yield* Effect.forkChild(LlmModel.sampleOne("12345678"))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(waiting)
        const fiber = yield* Effect.forkChild(LlmModel.sampleOne("12345678"))
        yield* TestClock.adjust("9 seconds")
        yield* Fiber.join(fiber)
      }).pipe(
        Effect.provide(model({ parameters: { max_tokens: 98 }, limits: { tokensPerMinute: 600 } })),
        Effect.provide(vendor.client)
      )
      assert.deepStrictEqual(vendor.times(), [0, 10])
    }))
})

describe("a 429", () => {
  it.effect("is told by the log of a draw that waits for its pause, once ten seconds are over", () =>
    Effect.gen(function*() {
      const lines: Array<[seconds: number, text: string]> = []
      const logger = Logger.make(({ date, message }) => {
        lines.push([date.getTime() / 1000, String(message)])
      })
      const { client } = makeVendor((_, i) => Effect.sync(() => i === 0 ? busy({ "retry-after": "40" }) : success()))
      yield* Effect.gen(function*() {
        yield* Effect.flip(LlmModel.sampleOne("a"))
        const fiber = yield* Effect.forkChild(LlmModel.sampleOne("b"))
        yield* TestClock.adjust("40 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), "a")
      }).pipe(Effect.provide(model()), Effect.provide(client), Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(lines, [[10, "Waits 30s, because 127.0.0.1:1 had too many requests (429)"]])
    }))

  const refusing = (...headers: ReadonlyArray<Record<string, string> | undefined>): Answer => (_, i) =>
    Effect.sync(() => headers[i] === undefined ? success() : busy(headers[i]))

  it.effect("makes all of the provider's requests wait for its Retry-After, also those not sent yet", () =>
    Effect.gen(function*() {
      const vendor = makeVendor(refusing({ "retry-after": "20" }))
      const fiber = yield* Effect.gen(function*() {
        yield* Effect.result(LlmModel.sampleOne("refused"))
        yield* Effect.all([prompts(3), Effect.delay(LlmModel.sampleOne("later"), "5 seconds")], { concurrency: 2 })
      }).pipe(Effect.provide(model()), Effect.provide(vendor.client), Effect.forkChild)
      yield* TestClock.adjust("19 seconds")
      assert.deepStrictEqual(vendor.times(), [0])
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(vendor.times(), [0, 20, 20, 20, 20])
    }))

  it.effect("keeps the order of the requests that wait, and sends a newcomer last", () =>
    Effect.gen(function*() {
      let comes: Effect.Effect<unknown> = Effect.void
      const vendor = makeVendor((_, i) =>
        i === 0
          ? Effect.sync(() => busy({ "retry-after": "20" }))
          : Effect.andThen(
            i === 1 ? Effect.forkDetach(comes, { startImmediately: true }) : Effect.void,
            Effect.sync(() => success())
          )
      )
      const fiber = yield* Effect.gen(function*() {
        comes = Effect.exit(
          Effect.provideService(LlmModel.sampleOne("last"), LlmModel.LlmModel, yield* LlmModel.LlmModel)
        )
        yield* Effect.result(LlmModel.sampleOne("refused"))
        yield* prompts(3)
      }).pipe(Effect.provide(model()), Effect.provide(vendor.client), Effect.forkChild)
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(fiber)
      yield* seconds(2)
      assert.deepStrictEqual(vendor.sent.map(({ prompt }) => prompt), ["refused", ...ordered(3), "last"])
    }))

  it.effect("pauses requests that wait for another limit, which still holds afterwards", () =>
    Effect.gen(function*() {
      const vendor = makeVendor((_, i) =>
        i === 0
          ? Effect.delay(Effect.sync(() => busy({ "retry-after": "30" })), "5 seconds")
          : Effect.sync(() => success())
      )
      const fiber = yield* prompts(4).pipe(
        Effect.provide(model({ limits: { requestsPerMinute: 6 } })),
        Effect.provide(vendor.client),
        Effect.forkChild
      )
      yield* TestClock.adjust("2 minutes")
      yield* Fiber.join(fiber)
      const times = vendor.times()
      assert.strictEqual(times[0], 0)
      assert.isAtLeast(times[1]!, 35)
      assert.isAtMost(mostInAMinute(times.slice(1).map((at) => [at, 1])), 6)
      for (let i = 2; i < times.length; i++) assert.isAtLeast(times[i]! - times[i - 1]!, 10)
    }))

  it.effect("pauses for the longest of several waits", () =>
    Effect.gen(function*() {
      const vendor = makeVendor(refusing({ "retry-after": "30" }, { "retry-after": "2" }))
      const fiber = yield* Effect.gen(function*() {
        yield* prompts(2)
        yield* LlmModel.sampleOne("next")
      }).pipe(Effect.provide(model()), Effect.provide(vendor.client), Effect.forkChild)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(vendor.times(), [0, 0, 30])
    }))

  const withoutTime: ReadonlyArray<[string, Record<string, string>]> = [
    ["no Retry-After", {}],
    ["a Retry-After of 0", { "retry-after": "0" }],
    ["a Retry-After in the past", { "retry-after": new Date(0).toUTCString() }]
  ]
  it.effect.each(withoutTime)(
    "with %s doubles the wait each time, once for requests that fail together",
    ([, headers]) =>
      Effect.gen(function*() {
        const vendor = makeVendor((_, i) => Effect.sync(() => i < 6 || i === 8 ? busy(headers) : success()))
        const fiber = yield* Effect.gen(function*() {
          yield* prompts(4)
          for (let i = 0; i < 6; i++) yield* Effect.result(LlmModel.sampleOne("next"))
        }).pipe(Effect.provide(model()), Effect.provide(vendor.client), Effect.forkChild)
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(fiber)
        // 1 s, 2 s and 4 s, and 1 s again after a success
        assert.deepStrictEqual(vendor.times(), [0, 0, 0, 0, 1, 3, 7, 7, 7, 8])
      })
  )

  it.effect("with more than 5 minutes of Retry-After fails all requests until it is over", () =>
    Effect.gen(function*() {
      const vendor = makeVendor(refusing({ "retry-after": "3600" }))
      yield* Effect.gen(function*() {
        yield* Effect.flip(LlmModel.sampleOne("refused"))
        yield* TestClock.adjust("10 minutes")
        const error = yield* Effect.flip(LlmModel.sampleOne("next"))
        const { description, retryAfter } = reasonOf(error, "RateLimited")
        assert.deepStrictEqual(retryAfter, Duration.minutes(50))
        assert.include(description, "50m")
        assert.deepStrictEqual(vendor.times(), [0])
        yield* TestClock.adjust("50 minutes")
        yield* LlmModel.sampleOne("after")
      }).pipe(Effect.provide(model()), Effect.provide(vendor.client))
      assert.deepStrictEqual(vendor.times(), [0, 3600])
    }))

  it.effect("leaves waiting requests interruptible", () =>
    Effect.gen(function*() {
      const vendor = makeVendor(refusing({ "retry-after": "20" }))
      yield* Effect.gen(function*() {
        yield* Effect.flip(LlmModel.sampleOne("refused"))
        const waiting = yield* Effect.forkChild(prompts(3))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(waiting)
        yield* TestClock.adjust("1 hour")
      }).pipe(Effect.provide(model()), Effect.provide(vendor.client))
      assert.deepStrictEqual(vendor.times(), [0])
    }))
})

describe("models over one layer", () => {
  const over = (
    limits: Layer.Layer<Limits.Limits, SampleError.InvalidInput>,
    vendor: ReturnType<typeof makeVendor>,
    ...layers: ReadonlyArray<Layer.Layer<LlmModel.LlmModel, SampleError.InvalidInput, HttpClient.HttpClient>>
  ) =>
    Effect.forEach(layers, (layer) => Effect.provide(prompts(2), Layer.fresh(layer)), {
      concurrency: "unbounded"
    }).pipe(
      Effect.provide(vendor.client),
      Effect.provide(limits)
    )

  it.effect("share the limits of a host and a key", () =>
    Effect.gen(function*() {
      const vendor = makeVendor(slow(1))
      const fiber = yield* over(Limits.layer({ inFlight: 1 }), vendor, model(), model({ model: "other" })).pipe(
        Effect.forkChild
      )
      yield* seconds(60)
      yield* Fiber.join(fiber)
      assert.strictEqual(vendor.open.most, 1)
      assert.deepStrictEqual(vendor.times(), [0, 1, 2, 3])
      assert.strictEqual(new Set(vendor.sent.map(({ model }) => model)).size, 2)
    }))

  it.effect("share no limits if host or key differ", () =>
    Effect.gen(function*() {
      const vendor = makeVendor(slow(1))
      const fiber = yield* over(
        Limits.layer({ inFlight: 1 }),
        vendor,
        model(),
        model({ apiKey: Redacted.make("sk-other") }),
        model({ baseUrl: "http://127.0.0.2:1/v1" })
      ).pipe(Effect.forkChild)
      yield* seconds(60)
      yield* Fiber.join(fiber)
      assert.strictEqual(vendor.open.most, 3)
      assert.deepStrictEqual(vendor.times(), [0, 0, 0, 1, 1, 1])
    }))

  it.effect("have limits of their own if they are given some", () =>
    Effect.gen(function*() {
      const vendor = makeVendor(slow(1))
      const fiber = yield* over(
        Limits.layer({ inFlight: 1 }),
        vendor,
        model(),
        model({ limits: { inFlight: 2 } })
      ).pipe(Effect.forkChild)
      yield* seconds(60)
      yield* Fiber.join(fiber)
      assert.strictEqual(vendor.open.most, 3)
    }))

  it.effect("slow down together at a 429", () =>
    Effect.gen(function*() {
      const vendor = makeVendor((_, i) => Effect.sync(() => i === 0 ? busy({ "retry-after": "20" }) : success()))
      const fiber = yield* Effect.gen(function*() {
        yield* Effect.provide(Effect.flip(LlmModel.sampleOne("p")), Layer.fresh(model()))
        yield* Effect.provide(LlmModel.sampleOne("p"), Layer.fresh(model({ model: "other" })))
      }).pipe(Effect.provide(vendor.client), Effect.provide(Limits.layer({})), Effect.forkChild)
      yield* seconds(60)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(vendor.times(), [0, 20])
    }))
})

describe("invalid limits", () => {
  const bad: ReadonlyArray<[string, Limits.Options]> = [
    ...[0, -1, 1.5, NaN, Infinity].map((inFlight): [string, Limits.Options] => ["`inFlight`", { inFlight }]),
    ...[0, -1, 1.5, NaN, Infinity].flatMap((limit): Array<[string, Limits.Options]> => [
      ["`requestsPerMinute`", { requestsPerMinute: limit }],
      ["`tokensPerMinute`", { tokensPerMinute: limit }]
    ])
  ]
  it.effect("are rejected when the layer is built", () =>
    Effect.gen(function*() {
      for (const [name, limits] of bad) {
        for (
          const layer of [
            Limits.layer(limits),
            ...[
              model({ limits }),
              Ollama.layer({ model: "m", limits }),
              Anthropic.layer({ model: "m", parameters: { max_tokens: 1 }, limits })
            ].map(Layer.provide(makeVendor().client))
          ]
        ) {
          const error = yield* Effect.flip(
            Effect.scoped(Layer.build(layer as Layer.Layer<never, SampleError.InvalidInput>))
          )
          assert.include(error.message, name)
        }
      }
    }))
})
