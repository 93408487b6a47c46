import { assert, describe, it } from "@effect/vitest"
import {
  DirectoryStore,
  Events,
  Fork,
  Independent,
  Key,
  LlmModel,
  MemoryStore,
  Persistent,
  Repeatable,
  SampleStore
} from "@llm-cache/core"
import { Array as Arr, Effect, Stream } from "effect"
import { makeDirectory } from "./support/directory.ts"
import { makeProvider, using } from "./support/provider.ts"
import { count } from "./support/stack.ts"

const stores = {
  "a memory store": MemoryStore.make,
  "a directory": Effect.flatMap(makeDirectory, DirectoryStore.make)
}

describe("Model.peek", () => {
  it.effect.prop(
    "returns the recorded samples that draws return, and requests none",
    { recorded: count(0, 5), position: count(0, 6), most: count(1, 7) },
    ({ most, position, recorded }) =>
      Effect.gen(function*() {
        for (const open of Object.values(stores)) {
          const provider = yield* makeProvider()
          const model = yield* Persistent.make(provider.model, yield* open)
          yield* LlmModel.sampleMany("p", recorded).pipe(using(model))
          const key = new Key.Key(model.identity, "p", [])
          const requests = provider.requests.length
          const peeked = model.peek!(key, position, most)
          assert.deepStrictEqual(
            peeked.map(({ text }) => text),
            provider.given.slice(position, recorded).slice(0, most)
          )
          for (const [i, sample] of peeked.entries()) {
            const [drawn] = yield* model.draw(key, position + i, 1)
            assert.deepStrictEqual({ ...sample }, { ...drawn })
          }
          assert.lengthOf(provider.requests, requests)
        }
      }).pipe(Effect.scoped)
  )

  it.effect("stops at a gap and at a damaged sample, and the draw has the error", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const provider = yield* makeProvider()
      const model = yield* Persistent.make(provider.model, store)
      yield* LlmModel.sampleMany("p", 4).pipe(using(model))
      const key = new Key.Key(model.identity, "p", [])
      yield* store.remove(key, [2])
      assert.lengthOf(model.peek!(key, 0, Infinity), 1)
      assert.lengthOf(model.peek!(key, 0, 4), 2)
      assert.lengthOf(model.peek!(key, 2, 4), 0)
      assert.lengthOf(model.peek!(key, 3, 4), 1)
    }).pipe(Effect.scoped))

  it.effect("is absent from a model that wraps another model without giving it", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const repeatable = yield* Repeatable.make(provider.model)
      assert.isFunction(repeatable.peek)
      assert.isUndefined(LlmModel.fromDraw({ ...repeatable }).peek)
      assert.isFunction(LlmModel.fromDraw({ ...repeatable, peek: repeatable.peek }).peek)
      let draws = 0
      const counting = LlmModel.fromDraw({
        ...repeatable,
        draw: (...args) => Effect.suspend(() => (draws++, repeatable.draw(...args)))
      })
      for (let i = 0; i < 3; i++) yield* LlmModel.sampleOne("p").pipe(using(counting))
      yield* LlmModel.sample("p").pipe(Stream.take(2), Stream.runDrain, using(counting))
      assert.strictEqual(draws, 5)
    }).pipe(Effect.scoped))

  it.effect("is absent from a store that wraps another store without giving it", () =>
    Effect.gen(function*() {
      for (const open of Object.values(stores)) {
        const store = yield* open
        assert.isFunction(store.peek)
        let reads = 0
        const counting = SampleStore.make({
          ...store,
          getMany: (...args) => Effect.suspend(() => (reads++, store.getMany(...args)))
        })
        const provider = yield* makeProvider()
        const model = yield* Persistent.make(provider.model, counting)
        yield* LlmModel.sampleOne("p").pipe(using(model))
        const before = reads
        assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(using(model)), "p #0")
        assert.isAbove(reads, before)
      }
    }).pipe(Effect.scoped))

  it.effect("is absent from Independent, and from a cache above it, because each read takes a sample", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const independent = yield* Independent.make(yield* Repeatable.make(provider.model))
      assert.isUndefined(independent.peek)
      assert.isUndefined((yield* Persistent.make(independent, yield* MemoryStore.make)).peek)
    }).pipe(Effect.scoped))
})

describe("LlmModel.peek", () => {
  it.effect("reads the first samples if all are recorded, and none otherwise", () =>
    Effect.gen(function*() {
      for (const open of Object.values(stores)) {
        const provider = yield* makeProvider()
        const model = yield* Persistent.make(provider.model, yield* open)
        const drawn = yield* LlmModel.sampleManyWithMetadata("p", 2).pipe(using(model))
        const key = new Key.Key(model.identity, "p", [])
        const peeked = yield* LlmModel.peek(model, key, 2)
        assert.deepStrictEqual(peeked?.map(({ metadata, text }) => ({ text, metadata })), drawn)
        assert.isUndefined(yield* LlmModel.peek(model, key, 3))
        assert.isUndefined(yield* LlmModel.peek(model, new Key.Key(model.identity, "p", ["fork"]), 1))
        assert.lengthOf(provider.requests, 1)
      }
    }).pipe(Effect.scoped))

  it.effect("reads nothing while events are observed, because it raises none", () =>
    Effect.gen(function*() {
      const model = yield* Repeatable.make((yield* makeProvider()).model)
      const key = new Key.Key(model.identity, "p", [])
      yield* LlmModel.sampleOne("p").pipe(using(model))
      const heard = yield* Events.make
      const peek = Effect.provideService(LlmModel.peek(model, key, 1), Events.Events, heard)
      assert.isDefined(yield* peek)
      yield* heard.listen(() => {})
      assert.isUndefined(yield* peek)
    }).pipe(Effect.scoped))

  it.effect("reads nothing for a prompt that no request can hold", () =>
    Effect.gen(function*() {
      const model = yield* Repeatable.make((yield* makeProvider()).model)
      yield* LlmModel.sampleOne("\ufffd").pipe(using(model))
      assert.isUndefined(yield* LlmModel.peek(model, new Key.Key(model.identity, "\ud800", []), 1))
    }).pipe(Effect.scoped))
})

describe("LlmModel.draw", () => {
  it.effect("draws the first samples of a key, in the fork that the key names", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      const key = new Key.Key(model.identity, "p", ["fork"])
      const drawn = yield* Fork.fork(LlmModel.draw(model, key, 2), "another")
      const sampled = yield* Fork.fork(LlmModel.sampleManyWithMetadata("p", 2), "fork").pipe(using(model))
      assert.deepStrictEqual(drawn.map(({ metadata, text }) => ({ text, metadata })), sampled)
      assert.lengthOf(provider.requests, 1)
    }).pipe(Effect.scoped))

  it.effect("tells the origins of samples of a reader, and gives the samples of a failure back", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider({ maxBatch: 1 })
      const model = yield* Independent.make(yield* Repeatable.make(provider.model))
      const key = new Key.Key(model.identity, "p", [])
      const origins = (n: number) => Effect.map(LlmModel.draw(model, key, n), Arr.flatMap(({ origins }) => origins))
      assert.deepStrictEqual(yield* origins(2), [0, 1])
      provider.gate = Effect.sync(() => {
        if (provider.given.length === 3) provider.failures = 1
      })
      yield* Effect.flip(origins(2))
      provider.gate = Effect.void
      assert.deepStrictEqual(yield* origins(2), [2, 3])
    }).pipe(Effect.scoped))

  it.effect("fails for a count and a key that no model can draw", () =>
    Effect.gen(function*() {
      const { model } = yield* makeProvider()
      for (const [prompt, n] of [["p", -1], ["p", 0.5], ["\ud800", 1]] as const) {
        const error = yield* Effect.flip(LlmModel.draw(model, new Key.Key(model.identity, prompt, []), n))
        assert.strictEqual(error._tag, "InvalidInput")
      }
    }))
})

describe("most of a draw", () => {
  it.effect("brings recorded samples alone, and a draw without it exactly one", () =>
    Effect.gen(function*() {
      for (const open of Object.values(stores)) {
        const provider = yield* makeProvider()
        const big = yield* Persistent.make(provider.model, yield* open)
        yield* LlmModel.sampleMany("p", 5).pipe(using(big))
        const slice = yield* Persistent.make(big, yield* MemoryStore.make)
        yield* LlmModel.sampleMany("p", 2).pipe(using(slice))
        const key = new Key.Key(big.identity, "p", [])
        assert.lengthOf(yield* big.draw(key, 1, 1, { of: big.draw, most: 3 }), 3)
        assert.lengthOf(yield* big.draw(key, 3, 1, { of: big.draw, most: 9 }), 2)
        assert.lengthOf(yield* big.draw(key, 1, 1), 1)
        assert.lengthOf(yield* slice.draw(key, 0, 1, { of: slice.draw, most: 9 }), 2)
        // Not recorded in the slice: reading ahead would record more than the run uses.
        assert.lengthOf(yield* slice.draw(key, 2, 1, { of: slice.draw, most: 9 }), 1)
        assert.lengthOf(provider.requests, 1)
      }
    }).pipe(Effect.scoped))
})
