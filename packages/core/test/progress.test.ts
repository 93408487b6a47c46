import { assert, describe, it } from "@effect/vitest"
import { Events, LlmModel, Progress, Repeatable } from "@llm-cache/core"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { makeProvider, using } from "./support/provider.ts"

const makeOutput = (terminal?: { readonly isTTY: true; readonly columns: number }) => {
  const written: Array<string> = []
  return { written, output: { write: (text: string) => void written.push(text), ...terminal } }
}

const showing = (options: Progress.Options) => Effect.provide(Layer.provideMerge(Progress.layer(options), Events.layer))

describe("progress", () => {
  it.effect("is lines, where the output is no terminal: one for each interval in which something happened, and a last one", () =>
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

  it.effect("comes every 30 seconds where the output is no terminal, and no interval is given", () =>
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

  it.effect("has a rate with one decimal below ten, and whole from there on", () =>
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

  it.effect("counts what is bought without a cache, and beside it what caches hand out", () =>
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

  it.effect("is one line that changes in place on a terminal, no longer than it is wide", () =>
    Effect.gen(function*() {
      const { output, written } = makeOutput({ isTTY: true, columns: 20 })
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      yield* Effect.gen(function*() {
        yield* LlmModel.sampleOne("p").pipe(using(model))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(written, ["\r\x1b[2K0 in flight, 1 requ"])
        // also where nothing has changed: the rate has
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(written, Array(3).fill("\r\x1b[2K0 in flight, 1 requ"))
      }).pipe(showing({ output }))
      assert.strictEqual(
        written.at(-1),
        "\r\x1b[2K0 in flight, 1 requests, 0 hits, 1 misses, 0 + 0 tokens, 0.0 samples/s\n"
      )
    }))

  it.effect("tells the requests under way, also where they are interrupted", () =>
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
})
