import { assert, describe, it } from "@effect/vitest"
import {
  Events,
  Fork,
  Independent,
  Key,
  LlmModel,
  MemoryStore,
  Persistent,
  Prefetch,
  Repeatable,
  SampleError,
  SampleStore,
  Usage
} from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Effect, Layer, Schema, Stream } from "effect"
import { makeDirectory } from "./support/directory.ts"
import { using } from "./support/provider.ts"
import { count } from "./support/stack.ts"

const memory = Effect.provide(SampleStore.SampleStore, MemoryStore.layer)

/** A provider whose samples are numbered, and end with the reason of their number, or else with `stop`. */
const makeEnding = (reasons: Record<number, string>, maxBatch?: number) =>
  Effect.map(Effect.sync(() => ({ next: 0, requests: 0 })), (state) => ({
    state,
    model: Effect.map(
      TestModel.make({
        model: "m",
        temperature: undefined,
        maxBatch,
        concurrency: 20,
        script: ({ n }) =>
          Effect.map(Effect.yieldNow, () => {
            state.requests++
            return Array.from({ length: n }, () => {
              const number = state.next++
              return { text: `${number}`, finishReason: reasons[number] ?? "stop" }
            })
          })
      }),
      ({ model }) => model
    )
  }))

const some = (n: number, batch?: number) => Stream.runCollect(Stream.take(LlmModel.sample("p", { batch }), n))

describe("Samples excluded by finish reason", () => {
  it.effect("stay in the store, and the other samples move up", () =>
    Effect.gen(function*() {
      const { model, state } = yield* makeEnding({ 0: "length", 2: "content_filter", 3: "content_filter", 6: "length" })
      const store = yield* memory
      const cached = yield* Persistent.make(yield* model, store, { excludeFinishReasons: ["content_filter", "length"] })
      assert.deepStrictEqual(yield* some(4).pipe(using(cached)), ["1", "4", "5", "7"])
      assert.strictEqual(state.next, 8)
      const all = yield* Persistent.make(yield* model, store)
      assert.deepStrictEqual(yield* some(8).pipe(using(all)), ["0", "1", "2", "3", "4", "5", "6", "7"])
      const filtered = yield* Persistent.make(yield* model, store, {
        excludeFinishReasons: ["content_filter"],
        replication: true
      })
      assert.deepStrictEqual(yield* some(4).pipe(using(filtered)), ["0", "1", "4", "5"])
      assert.strictEqual(state.next, 8)
    }))

  it.effect("are handed out by default", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({ 0: "length" })
      const cached = yield* Persistent.make(yield* model, yield* memory)
      assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(using(cached)), "0")
    }))

  it.effect("are skipped by an Independent, which continues behind them, also after a restart", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({ 1: "length", 4: "length" })
      const [big, slice] = [yield* memory, yield* memory]
      const run = (n: number) =>
        Effect.gen(function*() {
          const cached = yield* Persistent.make(yield* model, big, { excludeFinishReasons: ["length"] })
          const recording = yield* Persistent.make(yield* Independent.make(yield* Repeatable.make(cached)), slice)
          return yield* some(n).pipe(using(recording))
        })
      assert.deepStrictEqual(yield* run(2), ["0", "2"])
      assert.deepStrictEqual(yield* run(5), ["0", "2", "3", "5", "6"])
    }))

  it.effect("fail a draw after ten in a row, and the next draw continues behind them", () =>
    Effect.gen(function*() {
      for (
        const [reason, tag] of [["content_filter", "ContentPolicy"], ["PROHIBITED_CONTENT", "ContentPolicy"], [
          "length",
          "UnusableResponse"
        ]] as const
      ) {
        const { model, state } = yield* makeEnding(Object.fromEntries(Array(12).fill(reason).entries()))
        const store = yield* memory
        const cached = yield* Persistent.make(yield* model, store, { excludeFinishReasons: [reason] })
        const error = yield* Effect.flip(LlmModel.sampleOne("p").pipe(using(cached)))
        assert(error._tag === "ProviderError")
        assert.strictEqual(error.reason._tag, tag)
        assert.include(error.message, reason)
        assert.strictEqual(state.requests, 10)
        assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(using(cached)), "12")
        // What is recorded is passed over, however much it is: so a run that is repeated comes further.
        const again = yield* Persistent.make(yield* model, store, { excludeFinishReasons: [reason], replication: true })
        assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(using(again)), "12")
        assert.strictEqual(state.requests, 13)
      }
    }))

  it.effect("have exactly one of the given finish reasons", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({ 0: "max_length", 1: "Length", 2: "length_", 3: "leng", 4: "length", 5: "" })
      const cached = yield* Persistent.make(yield* model, yield* memory, { excludeFinishReasons: ["length"] })
      assert.deepStrictEqual(yield* some(6).pipe(using(cached)), ["0", "1", "2", "3", "5", "6"])
    }))

  it.effect("fail a draw with the path of its fork in the error", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding(Object.fromEntries(Array(20).fill("length").entries()))
      const cached = yield* Persistent.make(yield* model, yield* memory, { excludeFinishReasons: ["length"] })
      const draw = Effect.flip(LlmModel.sampleOne("p"))
      const inside = yield* Fork.fork("b")(Fork.fork("a")(draw)).pipe(using(cached))
      assert(inside._tag === "ProviderError")
      assert.deepStrictEqual(inside.path, ["b", "a"])
      const outside = yield* draw.pipe(using(cached))
      assert(outside._tag === "ProviderError")
      assert.isUndefined(outside.path)
    }))

  it.effect("are reported once and skipped by the next draw if the store fails behind them", () =>
    Effect.gen(function*() {
      const { model, state } = yield* makeEnding({ 0: "length" })
      const store = yield* memory
      let fails = true
      const failing: SampleStore.Store = {
        ...store,
        get: (key, position) =>
          position === 1 && fails
            ? Effect.fail(
              new SampleError.StoreError({ kind: "Unavailable", store: "mock", operation: "get", description: "down" })
            )
            : store.get(key, position)
      }
      const cached = yield* Persistent.make(yield* model, failing, { excludeFinishReasons: ["length"] })
      const [, usage] = yield* Usage.measure(
        Effect.gen(function*() {
          const error = yield* Effect.flip(LlmModel.sampleOne("p"))
          assert.strictEqual(error._tag, "StoreError")
          fails = false
          assert.strictEqual(yield* LlmModel.sampleOne("p"), "1")
        }).pipe(using(cached))
      )
      assert.strictEqual(usage.refused, 1)
      assert.strictEqual(state.next, 2)
    }))

  it.effect("are reported once to two concurrent fibers, which lose no sample", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({ 0: "length" })
      const cached = yield* Persistent.make(yield* model, yield* memory, { excludeFinishReasons: ["length"] })
      const [texts, usage] = yield* Usage.measure(
        Effect.all([LlmModel.sampleOne("p"), LlmModel.sampleOne("p")], { concurrency: "unbounded" })
      ).pipe(using(cached))
      assert.deepStrictEqual(texts, ["1", "1"])
      assert.strictEqual(usage.refused, 1)
      assert.deepStrictEqual(yield* some(3).pipe(using(cached)), ["1", "2", "3"])
    }))

  it.effect("cost a run one read of each sample, and a second read of the first sample unless it is excluded", () =>
    Effect.gen(function*() {
      for (const refused of [0, 5, 30]) {
        const { model } = yield* makeEnding({ [refused]: "length" })
        const store = yield* memory
        yield* some(20).pipe(using(yield* Persistent.make(yield* model, store)))
        const cached = yield* Persistent.make(yield* model, store, { excludeFinishReasons: ["length"] })
        const [, usage] = yield* Usage.measure(some(15).pipe(using(cached)))
        const isRefused = refused < 15 ? 1 : 0
        const again = refused === 0 ? 0 : 1
        assert.deepInclude(usage, { hits: 15 + isRefused + again, misses: 0, refused: isRefused })
      }
    }))

  it.effect("shift every later draw, also after two concurrent fibers found them", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({ 0: "length", 2: "length" })
      const cached = yield* Persistent.make(yield* model, yield* memory, { excludeFinishReasons: ["length"] })
      const both = Effect.all([LlmModel.sampleOne("p"), LlmModel.sampleOne("p")], { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* both.pipe(using(cached)), ["1", "1"])
      assert.strictEqual((yield* cached.draw(new Key.Key(cached.identity, "p", []), 2, 1))[0].text, "4")
    }))

  it.effect("are skipped when earlier samples are deleted and drawn again", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({ 5: "length", 6: "length", 7: "length" })
      const store = yield* memory
      const cached = yield* Persistent.make(yield* model, store, { excludeFinishReasons: ["length"] })
      const key = new Key.Key(cached.identity, "p", [])
      const at = (position: number) => Effect.map(cached.draw(key, position, 1), ([{ text }]) => text)
      yield* store.put(
        key,
        [{ position: 4, drawn: { text: "recorded", metadata: { finishReason: "length" }, origins: [] } }],
        "drop"
      )
      assert.deepStrictEqual(yield* Effect.forEach([0, 1, 2, 3], at), ["0", "1", "2", "3"])
      assert.strictEqual(yield* at(4), "4")
      yield* store.remove(key, [0, 1, 2])
      assert.deepStrictEqual(yield* Effect.forEach([0, 1, 2], at), ["3", "4", "8"])
    }))

  it.effect("fail a draw of a batch after its second round of requests, with any maxBatch", () =>
    Effect.gen(function*() {
      for (const maxBatch of [undefined, 1]) {
        const { model, state } = yield* makeEnding(Object.fromEntries(Array(45).fill("length").entries()), maxBatch)
        const cached = yield* Persistent.make(yield* model, yield* memory, { excludeFinishReasons: ["length"] })
        const draw = LlmModel.sampleMany("p", 20).pipe(using(cached))
        const error = yield* Effect.flip(draw)
        assert(error._tag === "ProviderError")
        assert.strictEqual(error.reason._tag, "UnusableResponse")
        assert.strictEqual(state.next, 40)
        assert.lengthOf(yield* draw, 20)
      }
    }))

  it.effect("are reported once to concurrent draws", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({ 1: "length" })
      const cached = yield* Persistent.make(yield* model, yield* memory, { excludeFinishReasons: ["length"] })
      const one = LlmModel.sampleOne("p").pipe(using(yield* Independent.make(cached)))
      const [, usage] = yield* Usage.measure(Effect.andThen(Effect.all([one, one], { concurrency: 2 }), one))
      assert.strictEqual(usage.refused, 1)
    }))

  it.effect("are published as events and counted", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({ 0: "length", 1: "length" })
      const cached = yield* Persistent.make(yield* model, yield* memory, { excludeFinishReasons: ["length"] })
      const refused: Array<string> = []
      const [, usage] = yield* Effect.andThen(
        Events.listen((event) => {
          if (event._tag === "Refused") refused.push(event.sample.text)
        }),
        Usage.measure(LlmModel.sampleOne("p").pipe(using(cached)))
      ).pipe(Effect.scoped, Effect.provide(Events.layer))
      assert.deepStrictEqual(refused, ["0", "1"])
      assert.strictEqual(usage.refused, 2)
      assert.strictEqual(usage.spent.samples, 3)
    }))

  it.effect("are skipped by a replication without a model", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({ 0: "length" })
      const store = yield* memory
      yield* some(2).pipe(using(yield* Persistent.make(yield* model, store)))
      const replication = Persistent.layerReplication({ model: "m", excludeFinishReasons: ["length"] }).pipe(
        Layer.provide(Layer.succeed(SampleStore.SampleStore, store))
      )
      assert.strictEqual(yield* Effect.provide(LlmModel.sampleOne("p"), replication), "1")
    }))

  it.effect("lead to a ReplicationCacheMiss if nothing is stored behind them", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({ 0: "length" })
      const store = yield* memory
      yield* some(1).pipe(using(yield* Persistent.make(yield* model, store)))
      const cached = yield* Persistent.make(yield* model, store, {
        excludeFinishReasons: ["length"],
        replication: true
      })
      const error = yield* Effect.flip(LlmModel.sampleOne("p").pipe(using(cached)))
      assert(error instanceof SampleError.ReplicationCacheMiss)
      assert.strictEqual(error.position, 1)
    }))

  it.effect.prop(
    "leave the other samples of any sequence in order, for any runs, batches and fibers",
    {
      refused: Schema.UniqueArray(count(0, 20)).check(Schema.isMaxLength(8)),
      runs: Schema.Array(Schema.Struct({ n: count(1, 8), batch: count(1, 4) })).check(Schema.isMaxLength(5)),
      start: count(0, 5)
    },
    ({ refused, runs, start }) =>
      Effect.gen(function*() {
        const { model, state } = yield* makeEnding(Object.fromEntries(refused.map((number) => [number, "length"])))
        const [big, slice] = [yield* memory, yield* memory]
        const expected = Array.from({ length: 40 }, (_, i) => i).filter((i) => !refused.includes(i)).map(String)
        const cached = yield* Persistent.make(yield* model, big, { excludeFinishReasons: ["length"] })
        // A position that was not led to
        if (start > 0) {
          const key = new Key.Key(cached.identity, "p", [])
          assert.strictEqual((yield* cached.draw(key, start, 1))[0].text, expected[start])
        }
        const sliced = yield* Persistent.make(cached, slice)
        yield* Effect.forEach(
          runs,
          ({ batch, n }) => Effect.map(some(n, batch), (texts) => assert.deepStrictEqual(texts, expected.slice(0, n))),
          { concurrency: "unbounded" }
        ).pipe(using(sliced))
        const requested = state.next
        const again = yield* Persistent.make(
          yield* Persistent.make(yield* model, big, { excludeFinishReasons: ["length"] }),
          yield* memory
        )
        yield* Effect.forEach(
          runs,
          ({ batch, n }) => Effect.map(some(n, batch), (texts) => assert.deepStrictEqual(texts, expected.slice(0, n)))
        ).pipe(using(again))
        assert.strictEqual(state.next, requested)
      })
  )

  it.effect.prop(
    "lead to no repeated sample in a slice or a reader beside it, also after restarts",
    {
      refused: Schema.UniqueArray(count(0, 20)).check(Schema.isMaxLength(8)),
      runs: Schema.Array(
        Schema.Array(Schema.Struct({ who: Schema.Literals(["slice", "reader", "beneath"]), n: count(1, 4) })).check(
          Schema.isMaxLength(3)
        )
      ).check(Schema.isMaxLength(3)),
      forgets: Schema.Boolean
    },
    ({ forgets, refused, runs }) =>
      Effect.gen(function*() {
        const { model } = yield* makeEnding(Object.fromEntries(refused.map((number) => [number, "length"])))
        const provider = yield* model
        const [base, big, slice] = [yield* memory, yield* memory, yield* memory]
        let recorded: ReadonlyArray<string> = []
        for (const run of runs) {
          yield* Effect.scoped(Effect.gen(function*() {
            // A memory that is lost with the program, or a store that is not.
            const beneath = forgets ? yield* Repeatable.make(provider) : yield* Persistent.make(provider, base)
            const shared = yield* Independent.make(beneath)
            const refusing = yield* Persistent.make(shared, big, { excludeFinishReasons: ["length"] })
            const reader = yield* Independent.make(refusing)
            const sliced = yield* Persistent.make(reader, slice)
            const read: Array<string> = []
            for (const { n, who } of run) {
              if (who === "slice") {
                const texts = yield* some(n).pipe(using(sliced))
                assert.deepStrictEqual(texts.slice(0, recorded.length), recorded.slice(0, n))
                if (texts.length > recorded.length) recorded = texts
              } else read.push(...(yield* some(n).pipe(using(who === "reader" ? reader : shared))))
            }
            const all = [...recorded, ...read]
            assert.lengthOf(new Set(all), all.length, all.join())
            assert.isTrue(recorded.every((text) => !refused.includes(Number(text))))
          }))
        }
      })
  )

  it.effect("replay the same in a replication by layerReplication (law 10)", () =>
    Effect.gen(function*() {
      const { model: make } = yield* makeEnding({ 0: "length" })
      const model = yield* make
      const directory = yield* makeDirectory
      const source = Layer.succeed(LlmModel.LlmModel, model)
      const recorded = yield* some(2).pipe(
        Effect.provide(Layer.provide(Persistent.layer({ directory, excludeFinishReasons: ["length"] }), source))
      )
      const options = { directory, model: "m", excludeFinishReasons: ["length"] }
      const replayed = yield* Effect.result(some(2).pipe(Effect.provide(Persistent.layerReplication(options))))
      assert.deepStrictEqual((replayed as any).success, recorded)
    }))

  it.effect("do not double their neighbour when a removed sample is drawn again as an excluded one (law 2)", () =>
    Effect.gen(function*() {
      const { model: make } = yield* makeEnding({ 3: "length" })
      const model = yield* make
      const store = yield* memory
      const cached = yield* Persistent.make(model, store, { excludeFinishReasons: ["length"] })
      yield* some(3).pipe(using(cached))
      yield* store.remove(new Key.Key(cached.identity, "p", []), [1])
      const texts = yield* some(3).pipe(using(cached))
      assert.lengthOf(new Set(texts), 3, texts.join())
    }))

  it.effect("are counted once, however many fibers meet them", () =>
    Effect.gen(function*() {
      const { model: make } = yield* makeEnding({ 0: "length" })
      const model = yield* make
      const slow = LlmModel.fromDraw({
        ...model,
        draw: (...args) => Effect.andThen(Effect.yieldNow, model.draw(...args))
      })
      const cached = yield* Persistent.make(slow, yield* memory, { excludeFinishReasons: ["length"] })
      const [, usage] = yield* Usage.measure(
        Effect.forEach(Array(8).keys(), () => LlmModel.sampleOne("p"), { concurrency: "unbounded" }).pipe(using(cached))
      )
      assert.strictEqual(usage.refused, 1)
    }))

  it.effect("are not requested again by a later process that continues behind them", () =>
    Effect.gen(function*() {
      const { model: make, state } = yield* makeEnding(Object.fromEntries(Array(12).fill("length").entries()))
      const model = yield* make
      const store = yield* memory
      const prefetch = Effect.flatMap(
        Persistent.make(model, store, { excludeFinishReasons: ["length"] }),
        (cached) => Prefetch.prefetch([{ prompt: "p" }]).pipe(using(cached))
      )
      assert.lengthOf((yield* prefetch).failed, 1)
      assert.deepStrictEqual(yield* prefetch, { samples: 1, failed: [] }, `${state.requests} requests`)
    }))
})

it.effect("A text or null in place of the finish reasons is told when the cache is built", () =>
  Effect.forEach(["stop", null], (excludeFinishReasons) =>
    Effect.gen(function*() {
      const model = yield* Effect.flatMap(makeEnding({}), (made) => made.model)
      const cache = Persistent.layer({ store: MemoryStore.layer, excludeFinishReasons: excludeFinishReasons as never })
      const error = yield* Effect.flip(
        LlmModel.sampleOne("p").pipe(Effect.provide(cache), Effect.provideService(LlmModel.LlmModel, model))
      )
      assert.strictEqual(error._tag, "InvalidInput")
      assert.include(error.message, "excludeFinishReasons")
    })))
