import { assert, describe, it } from "@effect/vitest"
import { Independent, Key, LlmModel, MemoryStore, Persistent, Repeatable, SampleError } from "@llm-cache/core"
import { Effect, Exit, Fiber, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { makeGate, makeProvider, using } from "./support/provider.ts"

const refused = new SampleError.ProviderError({
  provider: "wrapper",
  reason: new SampleError.ContentPolicy({ description: "moderated" })
})

/** A model whose draws are those of another, changed. */
const wrap = (inner: LlmModel.Model, change: (draw: ReturnType<LlmModel.Model["draw"]>) => typeof draw) =>
  LlmModel.fromDraw({ ...inner, draw: (...args) => change(inner.draw(...args)) })

const withText = (inner: LlmModel.Model, text: (text: string) => string) =>
  wrap(inner, (draw) =>
    Effect.map(draw, ([first, ...others]) => {
      const changed = (sample: typeof first) => ({ ...sample, text: text(sample.text) })
      return [changed(first), ...others.map(changed)]
    }))

describe("A model that wraps another", () => {
  it.effect.each(["Persistent", "Repeatable", "Independent"] as const)(
    "and fails after the draw fails the draw of %s, which keeps no sample",
    (combinator) =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        const store = yield* MemoryStore.make
        const moderated = wrap(provider.model, (draw) => Effect.andThen(draw, Effect.fail(refused)))
        const model = combinator === "Persistent"
          ? yield* Persistent.make(moderated, store)
          : combinator === "Repeatable"
          ? yield* Repeatable.make(moderated)
          : yield* Independent.make(moderated)
        assert.strictEqual(yield* Effect.flip(LlmModel.sampleOne("p").pipe(using(model))), refused)
        assert.deepStrictEqual(yield* store.positions(new Key.Key(model.identity, "p", [])), [])
      }).pipe(Effect.scoped)
  )

  it.effect("and draws again does not record the sample that it rejected", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      let requests = 0
      provider.gate = Effect.sync(() => {
        if (++requests === 2) provider.failures = 1
      })
      const picky = LlmModel.fromDraw({
        ...provider.model,
        draw: (...args) =>
          Effect.flatMap(
            provider.model.draw(...args),
            (samples) => samples[0].text.endsWith("#0") ? provider.model.draw(...args) : Effect.succeed(samples)
          )
      })
      const cache = yield* Repeatable.make(picky)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(LlmModel.sampleOne("p").pipe(using(cache)))))
    }).pipe(Effect.scoped))

  it.effect("and changes texts never has an unchanged text recorded, also if the cache closes meanwhile", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const slow = wrap(provider.model, (draw) => Effect.tap(draw, () => Effect.sleep("1 minute")))
      const store = yield* MemoryStore.make
      const scope = yield* Scope.make()
      const cache = yield* Persistent.make(withText(slow, () => "[censored]"), store).pipe(Scope.provide(scope))
      const fiber = yield* Effect.forkChild(LlmModel.sampleOne("p").pipe(using(cache)), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.interrupt(fiber)
      const samples = yield* store.getMany(new Key.Key(cache.identity, "p", []), 0, 9)
      assert.notInclude(samples.map(({ text }) => text), "p #0")
    }))

  it.effect("and counts draws counts exactly the samples that a stream takes", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const cache = yield* Persistent.make(provider.model, yield* MemoryStore.make)
      yield* LlmModel.sampleMany("p", 20).pipe(using(cache))
      let counted = 0
      const counting = wrap(
        cache,
        (draw) => Effect.tap(draw, (samples) => Effect.sync(() => counted += samples.length))
      )
      yield* LlmModel.sample("p").pipe(Stream.take(6), Stream.runDrain, using(counting))
      assert.strictEqual(counted, 6)
    }).pipe(Effect.scoped))

  it.effect("and refuses a sample of Independent gets the next one, from sampleMany as from sampleOne", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const picky = wrap(
        yield* Independent.make(provider.model),
        (draw) =>
          Effect.flatMap(
            draw,
            (samples) => samples[0].text.endsWith("#0") ? Effect.fail(refused) : Effect.succeed(samples)
          )
      )
      yield* Effect.flip(LlmModel.sampleMany("p", 1).pipe(using(picky)))
      assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 1).pipe(using(picky)), ["p #1"])
    }).pipe(Effect.scoped))

  it.effect("and changes texts gives samples back as they were, in order", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = withText(yield* Independent.make(provider.model), (text) => `${text}!`)
      let requests = 0
      provider.gate = Effect.sync(() => {
        if (++requests === 3) provider.failures = 1
      })
      yield* Effect.flip(LlmModel.sampleMany("p", 3, { batch: 1 }).pipe(using(model)))
      assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 3).pipe(using(model)), ["p #0!", "p #1!", "p #2!"])
    }).pipe(Effect.scoped))

  it.effect("and gives back a sample while another request is in flight does not lose it", () =>
    Effect.gen(function*() {
      const turns = Effect.replicateEffect(Effect.yieldNow, 20, { discard: true })
      const provider = yield* makeProvider()
      const changed = withText(yield* Independent.make(provider.model), (text) => text)
      const inner = yield* Independent.make(provider.model)
      const renamed = wrap(
        inner,
        (draw) => Effect.map(draw, ([sample]) => [{ ...sample, metadata: { ...sample.metadata } }])
      )
      for (const model of [changed, renamed]) {
        provider.given.length = 0
        const gate = yield* makeGate
        let requests = 0
        provider.gate = Effect.suspend(() => requests++ === 0 ? Effect.void : gate.wait)
        const one = yield* Effect.forkChild(LlmModel.sampleMany("p", 2, { batch: 1 }).pipe(using(model)), {
          startImmediately: true
        })
        yield* turns
        const other = yield* Effect.forkChild(LlmModel.sampleMany("p", 3).pipe(using(model)), {
          startImmediately: true
        })
        yield* turns
        yield* Fiber.interrupt(one)
        yield* gate.open
        const got = [...yield* Fiber.join(other), ...yield* LlmModel.sampleMany("p", 5).pipe(using(model))]
        assert.include(got, "p #0")
      }
    }).pipe(Effect.scoped))
})
