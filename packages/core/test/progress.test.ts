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

  it.effect("is one line that changes in place on a terminal, no longer than it is wide", () =>
    Effect.gen(function*() {
      const { output, written } = makeOutput({ isTTY: true, columns: 20 })
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      yield* Effect.gen(function*() {
        yield* LlmModel.sampleOne("p").pipe(using(model))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(written, ["\r\x1b[2K0 in flight, 1 requ"])
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
