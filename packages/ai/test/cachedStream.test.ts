import { assert, describe, it } from "@effect/vitest"
import type { CachedModel } from "@llm-cache/ai"
import { Independent, LlmModel, MemoryStore, Persistent, Repeatable, type SampleStore } from "@llm-cache/core"
import { Deferred, Effect, Fiber, Latch, Layer, Queue, Result, Stream } from "effect"
import { AiError, LanguageModel, type Response } from "effect/ai"
import { samplesOf } from "./support/listed.ts"
import { cached, deltas, finish, replayed, scripted, text } from "./support/scripted.ts"

const stream = LanguageModel.streamText({ prompt: "x" })

/** A slice over the model beneath. */
const slice = Persistent.layer({ store: MemoryStore.layer })

const partsOf = <E, R>(self: Stream.Stream<Response.StreamPart<{}>, E, R>) => Stream.runCollect(self)

/** A provider whose stream waits after its second part until it is told to go on. */
const waiting = (end: ReadonlyArray<Response.StreamPartEncoded> | AiError.AiError = deltas("a", "b").slice(2)) => {
  const goOn = Latch.makeUnsafe()
  const ended: Array<string> = []
  const provider = scripted(undefined, () =>
    Stream.fromIterable(deltas("a").slice(0, 2)).pipe(
      Stream.rechunk(1),
      Stream.concat(Stream.fromEffectDrain(goOn.await)),
      Stream.concat(AiError.isAiError(end) ? Stream.fail(end) : Stream.fromIterable(end)),
      Stream.onExit((exit) => Effect.sync(() => ended.push(exit._tag)))
    ))
  return { ...provider, goOn: goOn.open, ended }
}

const networkError = AiError.make({
  module: "LanguageModel",
  method: "streamText",
  reason: new AiError.NetworkError({ reason: "TransportError", method: "POST", url: "u" })
})

describe("streamText", () => {
  it.effect("replays the parts that it showed", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const first = yield* Effect.provide(partsOf(stream), cached(scripted().layer, { store }))
      assert.deepStrictEqual(yield* Effect.provide(partsOf(stream), scripted().layer), first)
      assert.deepStrictEqual(yield* Effect.provide(partsOf(stream), replayed(store)), first)
    }))

  it.effect("keeps surrogates that two deltas share, line ends and interleaved texts", () =>
    Effect.gen(function*() {
      const parts: ReadonlyArray<Response.StreamPartEncoded> = [
        { type: "text-start", id: "a" },
        { type: "text-start", id: "b" },
        { type: "text-delta", id: "a", delta: "\ud83d" },
        { type: "text-delta", id: "b", delta: "x\r\n" },
        { type: "text-delta", id: "a", delta: "\ude00\u2028" },
        { type: "text-end", id: "a", metadata: { p: { signature: "s" } } },
        { type: "text-end", id: "b" },
        finish()
      ]
      const store = yield* MemoryStore.make
      const provider = scripted(undefined, () => Stream.fromIterable(parts))
      const first = yield* Effect.provide(partsOf(stream), cached(provider.layer, { store }))
      assert.deepStrictEqual(yield* Effect.provide(partsOf(stream), replayed(store)), first)
      assert.strictEqual(first.length, parts.length)
      const whole = yield* Effect.provide(LanguageModel.generateText({ prompt: "x" }), replayed(store))
      assert.strictEqual(whole.text, "😀\u2028x\r\n")
    }))

  it.effect("shows the first part before the provider has the last, and records nothing before", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const { goOn, layer } = waiting()
      yield* Effect.gen(function*() {
        const shown = yield* Queue.unbounded<string>()
        const fiber = yield* Effect.forkChild(
          Stream.runForEach(stream, (part) => Queue.offer(shown, part.type))
        )
        assert.deepStrictEqual([yield* Queue.take(shown), yield* Queue.take(shown)], ["text-start", "text-delta"])
        assert.deepStrictEqual(yield* samplesOf(store), [])
        yield* goOn
        yield* Fiber.join(fiber)
        assert.strictEqual((yield* samplesOf(store)).length, 1)
      }).pipe(Effect.provide(cached(layer, { store })))
    }))

  it.effect("shows nothing before the answer is recorded if it is not live", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const { goOn, layer } = waiting()
      const counts: Array<number> = []
      yield* Stream.runForEach(
        stream,
        () => Effect.flatMap(samplesOf(store), (samples) => Effect.sync(() => counts.push(samples.length)))
      ).pipe(
        Effect.provide(cached(layer, { store, live: false })),
        Effect.zipWith(goOn, () => undefined, { concurrent: true })
      )
      assert.deepStrictEqual(counts, [1, 1, 1, 1, 1])
    }))

  it.effect("ends with the provider's own error when it is cut midway, and records nothing", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const { goOn, layer, requests } = waiting(networkError)
      yield* goOn
      const shown: Array<string> = []
      const error = yield* Stream.runForEach(stream, ({ type }) => Effect.sync(() => shown.push(type))).pipe(
        Effect.flip,
        Effect.provide(LlmModel.retry()),
        Effect.provide(cached(layer, { store }))
      )
      assert.strictEqual(error, networkError)
      assert.deepStrictEqual(shown, ["text-start", "text-delta"])
      assert.deepStrictEqual(yield* samplesOf(store), [])
      assert.strictEqual(requests.length, 1)
    }))

  it.effect("fails without a finish part, and after an error part, and records nothing", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const ends = [deltas("a").slice(0, 3), [
        ...deltas("a").slice(0, 2),
        { type: "error", error: "overloaded" } as const,
        finish()
      ]]
      for (const parts of ends) {
        const error = yield* partsOf(stream).pipe(
          Effect.flip,
          Effect.provide(cached(scripted(undefined, () => Stream.fromIterable(parts)).layer, { store }))
        )
        assert.include(["NetworkError", "InternalProviderError"], error.reason._tag)
        assert.isTrue(error.isRetryable)
      }
      assert.deepStrictEqual(yield* samplesOf(store), [])
    }))

  const leaving = (
    provider: ReturnType<typeof waiting>,
    store: SampleStore.Store,
    options: CachedModel.Options,
    after: Effect.Effect<void> = Effect.void
  ) =>
    Effect.gen(function*() {
      const first = yield* Stream.runCollect(Stream.take(stream, 1))
      assert.strictEqual(first.length, 1)
      yield* after
    }).pipe(Effect.provide(cached(provider.layer, { store, ...options })))

  const settled = Effect.repeat(Effect.yieldNow, { times: 200 })

  it.effect("records a stream that the program leaves after its first part", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const provider = waiting()
      yield* leaving(provider, store, {}, Effect.andThen(provider.goOn, Effect.asVoid(settled)))
      assert.strictEqual((yield* samplesOf(store)).length, 1)
      assert.deepStrictEqual(provider.ended, ["Success"])
    }))

  it.effect("ends the request of an abandoned stream and records nothing, if told to abort", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const provider = waiting()
      yield* leaving(provider, store, { whenAbandoned: "abort" }, Effect.asVoid(settled))
      assert.deepStrictEqual(provider.ended, ["Failure"])
      assert.deepStrictEqual(yield* samplesOf(store), [])
    }))

  it.effect("asks again for a program that joined a stream which was aborted", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const provider = waiting()
      yield* leaving(
        { ...provider },
        store,
        { whenAbandoned: "abort" },
        Effect.void
      )
      assert.strictEqual(provider.requests.length, 1)
      const joined = yield* Effect.gen(function*() {
        const hasFirst = yield* Deferred.make<void>()
        const leaver = yield* Effect.forkChild(
          Stream.runForEach(stream, () => Effect.andThen(Deferred.succeed(hasFirst, undefined), Effect.never))
        )
        yield* Deferred.await(hasFirst)
        const joiner = yield* Effect.forkChild(partsOf(stream), { startImmediately: true })
        yield* Fiber.interrupt(leaver)
        yield* provider.goOn
        return yield* Fiber.join(joiner)
      }).pipe(Effect.provide(cached(provider.layer, { store, whenAbandoned: "abort" })))
      assert.strictEqual(joined.at(-1)?.type, "finish")
      assert.strictEqual(provider.requests.length, 3)
    }))

  it.effect("gives a program that joins everything, and asks once", () =>
    Effect.gen(function*() {
      const provider = waiting()
      const [one, other] = yield* Effect.gen(function*() {
        const first = yield* Effect.forkChild(partsOf(stream), { startImmediately: true })
        const second = yield* Effect.forkChild(partsOf(stream), { startImmediately: true })
        yield* settled
        yield* provider.goOn
        return [yield* Fiber.join(first), yield* Fiber.join(second)]
      }).pipe(Effect.provide(cached(provider.layer)))
      assert.deepStrictEqual(other, one)
      assert.strictEqual(provider.requests.length, 1)
    }))

  it.effect("counts a sample as handed out from its first part on, under Independent", () =>
    Effect.gen(function*() {
      const goOn = Latch.makeUnsafe()
      const provider = scripted(undefined, (_, i) =>
        Stream.fromIterable(deltas(`first of ${i}`, "rest")).pipe(
          Stream.rechunk(1),
          Stream.tap(({ type }) => type === "text-end" ? goOn.await : Effect.void)
        ))
      const answers = yield* Effect.gen(function*() {
        yield* Stream.runDrain(Stream.take(stream, 2))
        yield* goOn.open
        yield* settled
        const parts = yield* partsOf(stream)
        return parts.flatMap((part) => part.type === "text-delta" ? [part.delta] : [])
      }).pipe(Effect.provide(Independent.layer), Effect.provide(cached(provider.layer)))
      assert.deepStrictEqual(answers, ["first of 1", "rest"])
    }))

  it.effect("draws again for a program that left before the first part, under Independent", () =>
    Effect.gen(function*() {
      const goOn = Latch.makeUnsafe()
      const provider = scripted(
        undefined,
        (_, i) => Stream.concat(Stream.fromEffectDrain(goOn.await), Stream.fromIterable(deltas(`answer ${i}`)))
      )
      const answers = yield* Effect.gen(function*() {
        const left = yield* Effect.forkChild(partsOf(stream), { startImmediately: true })
        yield* settled
        yield* Fiber.interrupt(left)
        yield* goOn.open
        const parts = yield* partsOf(stream)
        return parts.flatMap((part) => part.type === "text-delta" ? [part.delta] : [])
      }).pipe(Effect.provide(Independent.layer), Effect.provide(cached(provider.layer)))
      assert.deepStrictEqual(answers, ["answer 0"])
      assert.strictEqual(provider.requests.length, 1)
    }))

  it.effect("ends with an error if another process recorded another answer first", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const { goOn, layer } = waiting()
      const error = yield* Effect.gen(function*() {
        const first = yield* Effect.forkChild(partsOf(stream), { startImmediately: true })
        yield* settled
        yield* Effect.provide(
          LanguageModel.generateText({ prompt: "x" }),
          cached(scripted(() => [text("other"), finish()]).layer, { store })
        )
        yield* goOn
        return yield* Effect.flip(Fiber.join(first))
      }).pipe(Effect.provide(cached(layer, { store })))
      assert.include(error.message, "lease")
      assert.isFalse(error.isRetryable)
    }))

  /** A provider whose first answer is cut off. */
  const cutOffOnce = () =>
    scripted(
      undefined,
      (_, i) => Stream.fromIterable([...deltas(`answer ${i}`).slice(0, 3), finish(i === 0 ? "length" : "stop")])
    )

  it.effect("shows no part of an answer that the cache excludes", () =>
    Effect.gen(function*() {
      for (const layer of [Layer.empty, Repeatable.layer, Independent.layer, slice]) {
        const provider = cutOffOnce()
        const parts = yield* partsOf(stream).pipe(
          Effect.provide(layer),
          Effect.provide(cached(provider.layer, { cache: { excludeFinishReasons: ["length"] } }))
        )
        assert.deepStrictEqual(parts.flatMap((part) => part.type === "text-delta" ? [part.delta] : []), ["answer 1"])
        assert.strictEqual(provider.requests.length, 2)
      }
    }))

  it.effect("ends with an error if a model of one's own asks for another answer, and does not say so", () =>
    Effect.gen(function*() {
      const provider = cutOffOnce()
      const silent = Layer.effect(
        LlmModel.LlmModel,
        Effect.map(LlmModel.LlmModel, (model) => LlmModel.fromDraw({ ...model, leavesSamplesOut: undefined }))
      )
      const error = yield* partsOf(stream).pipe(
        Effect.flip,
        Effect.provide(silent),
        Effect.provide(cached(provider.layer, { cache: { excludeFinishReasons: ["length"] } }))
      )
      assert.include(error.message, "leavesSamplesOut")
      assert.strictEqual(provider.requests.length, 1)
    }))

  it.effect("shows one answer of two that a model of one's own asks for at once, and fails if the other is drawn", () =>
    Effect.gen(function*() {
      for (const drawn of [0, 1]) {
        const provider = scripted(
          undefined,
          (_, i) =>
            Stream.fromIterable(deltas(`answer ${i}`, "!")).pipe(Stream.rechunk(1), Stream.tap(() => Effect.yieldNow))
        )
        const both = Layer.effect(
          LlmModel.LlmModel,
          Effect.map(LlmModel.LlmModel, (model) =>
            LlmModel.fromDraw({
              ...model,
              draw: (key) =>
                Effect.map(
                  Effect.all([model.draw(key, 0, 1), model.draw(key, 1, 1)], { concurrency: "unbounded" }),
                  (samples) => samples[drawn]!
                )
            }))
        )
        const shown: Array<string> = []
        const exit = yield* Stream.runForEach(stream, (part) =>
          Effect.sync(() => {
            if (part.type === "text-delta") shown.push(part.delta)
          })).pipe(Effect.result, Effect.provide(both), Effect.provide(cached(provider.layer)))
        assert.deepStrictEqual(shown, ["answer 0", "!"])
        assert.strictEqual(provider.requests.length, 2)
        if (Result.isSuccess(exit)) assert.strictEqual(drawn, 0)
        else assert.include(exit.failure.message, "not the one that is recorded")
        assert.strictEqual(Result.isFailure(exit), drawn === 1)
      }
    }))

  it.effect("ends with the layer while a program that has left would let it finish", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const provider = waiting()
      yield* leaving(provider, store, {})
      assert.deepStrictEqual(provider.ended, ["Failure"])
      assert.deepStrictEqual(yield* samplesOf(store), [])
    }))
})

it.effect("a sample of 1,000 deltas has at most 10 kB", () =>
  Effect.gen(function*() {
    const store = yield* MemoryStore.make
    const words = Array.from({ length: 1000 }, (_, i) => `w${i} `)
    const provider = scripted(undefined, () => Stream.fromIterable(deltas(...words)))
    yield* Effect.provide(Stream.runDrain(stream), cached(provider.layer, { store }))
    const [sample] = yield* samplesOf(store)
    assert.isAtMost(Buffer.byteLength(sample!.text), 10_000)
  }))
