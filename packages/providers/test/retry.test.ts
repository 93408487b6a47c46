import { assert, describe, it } from "@effect/vitest"
import { Events, Fork, LlmModel, type SampleError } from "@llm-cache/core"
import { Clock, Duration, Effect, Fiber, identity, Logger, Random, Schedule } from "effect"
import { HttpClientError, type HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { fakeClient } from "./support/clients.ts"
import { reasonOf, sampling } from "./support/model.ts"

type Answer = (
  request: HttpClientRequest.HttpClientRequest
) => Effect.Effect<Response, HttpClientError.HttpClientError>

const status = (status: number, headers: Record<string, string> = {}): Answer => () =>
  Effect.sync(() => new Response("{}", { status, headers }))

const success: Answer = () =>
  Effect.sync(() => Response.json({ choices: [{ message: { content: "a" }, finish_reason: "stop" }] }))

const broken: Answer = (request) =>
  Effect.fail(
    new HttpClientError.HttpClientError({
      reason: new HttpClientError.TransportError({ request, cause: new Error("reset") })
    })
  )

/** The result of one draw after an hour, and the seconds of its requests. The last answer answers all later ones. */
const draw = (
  answers: ReadonlyArray<Answer>,
  options?: {
    readonly retry?: Schedule.Schedule<unknown, SampleError.ProviderError> | undefined
    readonly timeout?: Duration.Input
  },
  around: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SampleError.InvalidInput, R> = identity
) =>
  Effect.gen(function*() {
    const times: Array<number> = []
    const client = fakeClient((request) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        times.push(now / 1000)
        return answers[Math.min(times.length, answers.length) - 1]!(request)
      })
    )
    const fiber = yield* around(LlmModel.sampleOne("p")).pipe(
      sampling(client, "http://127.0.0.1:1", { retry: undefined, ...options }),
      Effect.result,
      Effect.forkChild
    )
    yield* TestClock.adjust("1 hour")
    return { times, result: yield* Fiber.join(fiber) }
  })

/** Makes a schedule's jitter come out in the middle, at its least, or near its most. */
const withRandom = (next: number) =>
  Effect.provideService(Random.Random, {
    nextDoubleUnsafe: () => next,
    nextIntUnsafe: () => 0
  })

const failureOf = (drawn: Effect.Success<ReturnType<typeof draw>>) => {
  assert.strictEqual(drawn.result._tag, "Failure")
  return drawn.result._tag === "Failure" ? drawn.result.failure : undefined
}

describe("the default schedule", () => {
  it.effect("doubles the wait up to six retries", () =>
    Effect.gen(function*() {
      const drawn = yield* draw([status(500)])
      assert.deepStrictEqual(drawn.times, [0, 1, 3, 7, 15, 31, 63])
      reasonOf(failureOf(drawn), "ServerFault")
    }).pipe(withRandom(0.5)))

  it.effect("ends with an error that says how often and how long the model tried, also in a fork", () =>
    Effect.gen(function*() {
      const error = failureOf(yield* draw([status(500)])) as SampleError.ProviderError
      assert.strictEqual(error.tries, 7)
      assert.deepStrictEqual(error.elapsed, Duration.seconds(63))
      assert.include(error.message, "127.0.0.1:1 (gpt-mock), 7 tries in 63 s: the provider failed (500)")
      const forked = failureOf(yield* draw([status(500)], undefined, Fork.fork("trial"))) as SampleError.ProviderError
      assert.include(forked.message, "(gpt-mock), fork trial, 7 tries in 63 s: ")
      const slow = failureOf(yield* draw([() => Effect.never], { retry: Schedule.recurs(1), timeout: "10 seconds" }))
      assert.include((slow as SampleError.ProviderError).message, ", 2 tries in 20 s: no whole answer")
      const refused = failureOf(yield* draw([status(401)])) as SampleError.ProviderError
      assert.isUndefined(refused.tries)
      assert.include(refused.message, "127.0.0.1:1 (gpt-mock): ")
    }).pipe(withRandom(0.5)))

  it.effect("varies each wait by at most a fifth", () =>
    Effect.gen(function*() {
      const total = Effect.map(draw([status(500)]), ({ times }) => times.at(-1)! - times[0]!)
      assert.closeTo(yield* withRandom(0)(total), 63 * 0.8, 0.01)
      assert.closeTo(yield* withRandom(1)(total), 63 * 1.2, 0.01)
      assert.notStrictEqual(yield* total, yield* total)
    }))

  it.effect("gives the sample of the first success", () =>
    Effect.gen(function*() {
      const { result, times } = yield* draw([status(500), broken, status(429), success])
      assert.deepInclude(result, { _tag: "Success", success: "a" })
      assert.deepStrictEqual(times, [0, 1, 3, 7])
    }).pipe(withRandom(0.5)))

  it.effect("begins anew for every draw", () =>
    Effect.gen(function*() {
      const first = yield* draw([status(500)])
      const second = yield* draw([status(500)])
      assert.deepStrictEqual(second.times.map((time) => time - 3600), first.times)
    }).pipe(withRandom(0.5)))

  it.effect("gives a request ten minutes, and each retry as long again", () =>
    Effect.gen(function*() {
      const { result, times } = yield* draw([() => Effect.never, () => Effect.never, success])
      assert.deepStrictEqual(times, [0, 601, 1203])
      assert.strictEqual(result._tag, "Success")
    }).pipe(withRandom(0.5)))
})

describe("a request", () => {
  const requests = (answer: Answer) =>
    Effect.map(draw([answer], { retry: Schedule.recurs(2) }), ({ times }) => times.length)

  it.effect("is retried after a connection failure, a timeout, 408, 409, 424, 425, 429, 498 and most 5xx", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* requests(broken), 3)
      assert.strictEqual(yield* requests(() => Effect.never), 3)
      for (const code of [408, 409, 424, 425, 429, 498, 500, 502, 503, 504, 529]) {
        assert.strictEqual(yield* requests(status(code)), 3, String(code))
      }
    }))

  it.effect("is not retried after another 4xx, a redirect or an unusable response", () =>
    Effect.gen(function*() {
      for (const code of [302, 307, 400, 401, 402, 403, 404, 405, 410, 413, 418, 422, 451, 501, 505]) {
        assert.strictEqual(yield* requests(status(code)), 1, String(code))
      }
      for (
        const body of [
          "",
          "<html>",
          "{}",
          "{\"error\":{\"code\":401}}",
          "{\"choices\":[{\"message\":{\"content\":null}}]}"
        ]
      ) {
        assert.strictEqual(yield* requests(() => Effect.sync(() => new Response(body))), 1, body)
      }
    }))

  it.effect("is not retried under `Schedule.recurs(0)`", () =>
    Effect.gen(function*() {
      const { times } = yield* draw([status(500)], { retry: Schedule.recurs(0) })
      assert.deepStrictEqual(times, [0])
    }))
})

describe("the user's own schedule", () => {
  it.effect("is followed", () =>
    Effect.gen(function*() {
      const { times } = yield* draw([status(500)], {
        retry: Schedule.spaced("10 seconds").pipe(Schedule.upTo({ times: 3 }))
      })
      assert.deepStrictEqual(times, [0, 10, 20, 30])
    }))

  it.effect("receives the error", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const retry = Schedule.recurs(5).pipe(
        Schedule.setInputType<SampleError.ProviderError>(),
        Schedule.while(({ input }) => {
          seen.push(input.reason._tag)
          return Effect.succeed(input.reason._tag === "RateLimited")
        })
      )
      const { times } = yield* draw([status(429), status(429), status(500)], { retry })
      assert.deepStrictEqual(seen, ["RateLimited", "RateLimited", "ServerFault"])
      assert.lengthOf(times, 3)
    }))
})

describe("a wait for a retry", () => {
  const logged = (answers: ReadonlyArray<Answer>) =>
    Effect.gen(function*() {
      const lines: Array<[seconds: number, level: string, text: string]> = []
      const logger = Logger.make(({ date, logLevel, message }) => {
        lines.push([date.getTime() / 1000, logLevel, String(message)])
      })
      const { result, times } = yield* draw(answers).pipe(Effect.provide(Logger.layer([logger])))
      return { lines, times, result }
    })

  it.effect("is told by a warning at the first retry, and by the log at Info from ten seconds on", () =>
    Effect.gen(function*() {
      const { lines, times } = yield* logged([status(500), status(500), status(500), status(500), broken, success])
      assert.deepStrictEqual(times, [0, 1, 3, 7, 15, 31])
      assert.deepStrictEqual(lines.map(([seconds, level]) => [seconds, level]), [
        [0, "Warn"],
        [10, "Info"],
        [15, "Info"]
      ])
      assert.include(lines[0]![2], "sent again in 1s: 127.0.0.1:1 (gpt-mock): the provider failed (500)")
      assert.include(lines[1]![2], "Waits 5s")
      assert.include(lines[1]![2], "(500)")
      assert.include(lines[2]![2], "Waits 16s")
      assert.include(lines[2]![2], "no answer from")
    }).pipe(withRandom(0.5)))

  it.effect("is told once for concurrent requests to one model, and again when the next request fails", () =>
    Effect.gen(function*() {
      const levels: Array<string> = []
      const logger = Logger.make(({ logLevel }) => void levels.push(logLevel))
      let requests = -3
      const client = fakeClient((request) =>
        (requests++ < 0 ? status(400) : (requests - 1) % 6 < 3 ? status(500) : success)(request)
      )
      const draws = Effect.forEach(["p", "q", "r"], (prompt) => LlmModel.sampleOne(prompt), { concurrency: 3 })
      const refused = Effect.replicateEffect(Effect.flip(LlmModel.sampleOne("refused")), 3)
      const fiber = yield* Effect.andThen(refused, Effect.andThen(draws, draws)).pipe(
        sampling(client, "http://127.0.0.1:1", { retry: Schedule.spaced("1 second") }),
        Effect.provide(Logger.layer([logger])),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(levels, ["Warn", "Warn"])
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      assert.strictEqual(requests, 12)
      assert.lengthOf(levels, 2)
    }))

  it.effect("is told by no log without a retry", () =>
    Effect.gen(function*() {
      const { lines } = yield* logged([status(400)])
      assert.deepStrictEqual(lines, [])
      assert.deepStrictEqual((yield* logged([success])).lines, [])
    }))

  it.effect("is an event with the failure and the delay", () =>
    Effect.gen(function*() {
      const heard: Array<unknown> = []
      yield* Effect.gen(function*() {
        yield* Events.listen((event) => {
          if (event._tag !== "RequestRetried") return
          assert(event.error._tag === "ProviderError")
          heard.push([event.error.reason._tag, event.delay])
        })
        yield* draw([status(500), status(429, { "retry-after": "30" }), success])
      }).pipe(Effect.scoped, Effect.provide(Events.layer))
      assert.deepStrictEqual(heard, [["ServerFault", 1000], ["RateLimited", 30_000]])
    }).pipe(withRandom(0.5)))

  it.effect("can be interrupted before and after the log speaks", () =>
    Effect.gen(function*() {
      for (const seconds of [5, 60]) {
        const client = fakeClient(status(429, { "retry-after": "100" }))
        const fiber = yield* LlmModel.sampleOne("p").pipe(
          sampling(client, "http://127.0.0.1:1", { retry: undefined }),
          Effect.forkChild
        )
        yield* TestClock.adjust(Duration.seconds(seconds))
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
      }
    }))
})

describe("Retry-After", () => {
  const every10 = Schedule.spaced("10 seconds").pipe(Schedule.upTo({ times: 2 }))

  it.effect("delays a retry by its seconds if the schedule waits less", () =>
    Effect.gen(function*() {
      const { times } = yield* draw([status(429, { "retry-after": "25" }), status(503, { "retry-after": "3" })], {
        retry: every10
      })
      assert.deepStrictEqual(times, [0, 25, 35])
    }))

  it.effect("delays a retry until its date", () =>
    Effect.gen(function*() {
      const { times } = yield* draw(
        [status(429, { "retry-after": "Thu, 01 Jan 1970 00:01:30 GMT" }), success],
        { retry: every10 }
      )
      assert.deepStrictEqual(times, [0, 90])
    }))

  it.effect("delays the retries of the default schedule", () =>
    Effect.gen(function*() {
      const { times } = yield* draw([
        status(429, { "retry-after": "20" }),
        status(429, { "retry-after": "0" }),
        success
      ])
      assert.deepStrictEqual(times, [0, 20, 22])
    }).pipe(withRandom(0.5)))

  it.effect("does not prolong a schedule that has ended", () =>
    Effect.gen(function*() {
      const { times } = yield* draw([status(429, { "retry-after": "1" })], { retry: Schedule.recurs(0) })
      assert.deepStrictEqual(times, [0])
    }))

  it.effect("delays a retry by up to 5 minutes, and fails the draw at once if it is longer", () =>
    Effect.gen(function*() {
      const longest = yield* draw([status(429, { "retry-after": "300" }), success])
      assert.deepStrictEqual(longest.times, [0, 300])
      const longer = yield* draw([status(429, { "retry-after": "301" }), success])
      assert.lengthOf(longer.times, 1)
      const error = failureOf(longer) as SampleError.ProviderError
      const { description, retryAfter } = reasonOf(error, "RateLimited")
      assert.deepStrictEqual(retryAfter, Duration.seconds(301))
      assert.deepStrictEqual(error.retryAfter, Duration.seconds(301))
      assert.include(description, "5m 1s")
      assert.include(description, "5m")
      const huge = yield* draw([status(503, { "retry-after": "9".repeat(30) }), success])
      assert.lengthOf(huge.times, 1)
      reasonOf(failureOf(huge), "ServerFault")
    }))
})
