import { assert, describe, it } from "@effect/vitest"
import { Events, LlmModel, Progress, Repeatable, SampleError } from "@llm-cache/core"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { makeGate, makeProvider, using } from "./support/provider.ts"

const makeOutput = (terminal?: { readonly isTTY: true; readonly columns: number }) => {
  const written: Array<string> = []
  return { written, output: { write: (text: string) => void written.push(text), ...terminal } }
}

const some = (n: number, batch?: number) => Stream.runCollect(Stream.take(LlmModel.sample("p", { batch }), n))

const showing = (options: Progress.Options) => Effect.provide(Layer.provideMerge(Progress.layer(options), Events.layer))

describe("Progress", () => {
  it.effect("prints a line per interval with a change, and a last line, if the output is no terminal", () =>
    Effect.gen(function*() {
      const { output, written } = makeOutput()
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      yield* Effect.gen(function*() {
        yield* LlmModel.sampleMany("p", 20).pipe(using(model))
        assert.deepStrictEqual(written, [])
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(written, ["0 in flight, 1 requests, 19 hits, 1 misses, 0 + 0 tokens, 2.0 samples/s\n"])
        yield* TestClock.adjust("1 minute")
        assert.lengthOf(written, 1)
        provider.failures = 1
        yield* Effect.exit(LlmModel.sampleOne("q").pipe(using(model)))
        yield* TestClock.adjust("5 seconds")
      }).pipe(showing({ interval: "10 seconds", output }))
      assert.strictEqual(
        written.at(-1),
        "0 in flight, 1 requests, 1 failed, 19 hits, 2 misses, 0 + 0 tokens, 0.0 samples/s\n"
      )
      assert.lengthOf(written, 2)
    }))

  it.effect("has a default interval of 30 seconds if the output is no terminal", () =>
    Effect.gen(function*() {
      const { output, written } = makeOutput()
      const provider = yield* makeProvider()
      yield* Effect.gen(function*() {
        yield* LlmModel.sampleOne("p").pipe(using(provider.model))
        yield* TestClock.adjust(29_999)
        assert.lengthOf(written, 0)
        yield* TestClock.adjust(1)
        assert.lengthOf(written, 1)
      }).pipe(showing({ output }))
    }))

  it.effect("shows a rate below ten with one decimal, and a whole number from ten on", () =>
    Effect.gen(function*() {
      const { output, written } = makeOutput()
      const provider = yield* makeProvider()
      yield* Effect.gen(function*() {
        for (const n of [99, 100, 126]) {
          yield* LlmModel.sampleMany("p", n).pipe(using(provider.model))
          yield* TestClock.adjust("10 seconds")
        }
      }).pipe(showing({ interval: "10 seconds", output }))
      const rates = written.map((line) => line.slice(line.lastIndexOf(", ") + 2))
      assert.deepStrictEqual(rates.slice(0, 3), ["9.9 samples/s\n", "10 samples/s\n", "13 samples/s\n"])
    }))

  it.effect("adds samples of requests without a cache to samples from caches", () =>
    Effect.gen(function*() {
      const { output, written } = makeOutput()
      const [one, two] = [yield* makeProvider({ model: "one" }), yield* makeProvider({ model: "two" })]
      const cached = yield* Repeatable.make(two.model)
      yield* Effect.gen(function*() {
        for (const model of [one.model, cached, cached, one.model]) {
          yield* LlmModel.sampleMany("p", 50).pipe(using(model))
          yield* TestClock.adjust("10 seconds")
        }
      }).pipe(showing({ interval: "10 seconds", output }))
      const rates = written.map((line) => line.slice(line.lastIndexOf(", ") + 2))
      assert.deepStrictEqual(rates.slice(0, 4), Array(4).fill("5.0 samples/s\n"))
    }))

  it.effect("changes one line in place on a terminal, cut to its width", () =>
    Effect.gen(function*() {
      const { output, written } = makeOutput({ isTTY: true, columns: 20 })
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      yield* Effect.gen(function*() {
        yield* LlmModel.sampleOne("p").pipe(using(model))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(written, ["\r\x1b[2K0 in flight, 1 requ"])
        // A line follows without any event, because the rate has changed.
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(written, Array(3).fill("\r\x1b[2K0 in flight, 1 requ"))
      }).pipe(showing({ output }))
      assert.strictEqual(
        written.at(-1),
        "\r\x1b[2K0 in flight, 1 requests, 0 hits, 1 misses, 0 + 0 tokens, 0.0 samples/s\n"
      )
    }))

  it.effect("shows the requests in flight, without interrupted requests", () =>
    Effect.gen(function*() {
      const { output, written } = makeOutput()
      const provider = yield* makeProvider()
      const started = yield* Deferred.make<void>()
      provider.gate = Effect.andThen(Deferred.succeed(started, undefined), Effect.never)
      yield* Effect.gen(function*() {
        const draw = LlmModel.sampleOne("p").pipe(using(provider.model))
        const fiber = yield* Effect.forkChild(draw)
        yield* Deferred.await(started)
        yield* TestClock.adjust("30 seconds")
        assert.include(written.at(-1), "1 in flight, 0 requests")
        yield* Fiber.interrupt(fiber)
      }).pipe(showing({ output }))
      assert.include(written.at(-1), "0 in flight, 0 requests, 1 failed")
    }))

  it.effect("shows the requests that are sent again, and the last failure, until they end", () =>
    Effect.gen(function*() {
      const { output, written } = makeOutput()
      const waits = [
        SampleError.providerError("Transport"),
        SampleError.providerError("RateLimited", { retryAfter: "20 seconds" })
      ]
      const model = yield* LlmModel.make({
        model: "busy",
        generate: Effect.fnUntraced(function*({ onRetry, prompt }) {
          if (prompt === "fails") return yield* SampleError.providerError("BadKey")
          for (const error of waits) {
            yield* onRetry!({ error, delay: Duration.seconds(10) })
            yield* Effect.sleep("10 seconds")
          }
          return { samples: [prompt] }
        })
      })
      yield* Effect.gen(function*() {
        const draws = Effect.forEach(["p", "q", "fails"], (prompt) => Effect.exit(LlmModel.sampleOne(prompt)), {
          concurrency: 3
        })
        const fiber = yield* Effect.forkChild(draws.pipe(using(model)))
        yield* TestClock.adjust("5 seconds")
        assert.include(written.at(-1), "2 in flight, 2 retrying (Transport), 0 requests, 1 failed")
        yield* TestClock.adjust("10 seconds")
        assert.include(written.at(-1), "2 in flight, 2 retrying (RateLimited), 0 requests")
        yield* TestClock.adjust("10 seconds")
        assert.include(written.at(-1), "0 in flight, 2 requests, 1 failed")
        yield* Fiber.join(fiber)
      }).pipe(showing({ output, interval: "5 seconds" }))
    }))

  it.effect("does not fail a program when its output throws", () =>
    Effect.gen(function*() {
      const output = {
        write: () => {
          throw new Error("EPIPE")
        }
      }
      const exit = yield* Effect.exit(Effect.succeed(1).pipe(showing({ output })))
      assert.isTrue(Exit.isSuccess(exit))
    }))

  it.effect("cuts its line to 80 characters if the terminal has no width", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const output = { write: (text: string) => void written.push(text), isTTY: true, columns: 0 }
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      yield* Effect.gen(function*() {
        yield* LlmModel.sampleOne("p").pipe(using(model))
        yield* TestClock.adjust("1 second")
      }).pipe(showing({ output }))
      assert.include(written[0], "0 in flight, 1 requests, 0 hits, 1 misses, 0 + 0 tokens, 1.0 samples/s")
    }))

  for (const interval of [0, -1, NaN]) {
    it.effect(`fails with InvalidInput for an interval of ${interval}`, () =>
      Effect.gen(function*() {
        let lines = 0
        const exit = yield* Effect.exit(
          Effect.andThen(Effect.yieldNow, TestClock.adjust(1)).pipe(
            showing({
              interval,
              output: {
                isTTY: true,
                write: () => {
                  if (++lines > 1000) throw new Error("without end")
                }
              }
            })
          )
        )
        assert.isTrue(Exit.isFailure(exit) && Cause.hasFails(exit.cause), `${lines} lines in a millisecond, ${exit}`)
      }))
  }

  it.effect("shows no negative number in flight if it starts during a request", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const provider = yield* makeProvider()
      const gate = yield* makeGate
      provider.gate = gate.wait
      const events = yield* Events.make
      const fiber = yield* Effect.forkChild(
        LlmModel.sampleOne("p").pipe(using(provider.model), Effect.provideService(Events.Events, events)),
        { startImmediately: true }
      )
      yield* Effect.andThen(gate.open, Fiber.join(fiber)).pipe(
        Effect.provide(Progress.layer({ output: { write: (text) => void written.push(text) } })),
        Effect.provideService(Events.Events, events)
      )
      assert.include(written.at(-1), "0 in flight")
      assert.notInclude(written.at(-1), "-1")
    }))

  it.effect("shows the rate of hits of surplus samples", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      yield* Effect.gen(function*() {
        yield* some(1, 100).pipe(using(model))
        yield* TestClock.adjust("10 seconds")
        yield* some(50).pipe(using(model))
        yield* TestClock.adjust("10 seconds")
      }).pipe(showing({ interval: "10 seconds", output: { write: (text) => void written.push(text) } }))
      assert.include(written[1], "5.0 samples/s")
    }))
})
