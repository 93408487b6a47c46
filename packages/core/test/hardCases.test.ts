import { assert, describe, it } from "@effect/vitest"
import {
  Events,
  Key,
  LlmModel,
  MemoryStore,
  Metrics,
  Persistent,
  Prefetch,
  Progress,
  Repeatable,
  SampleError,
  SampleStore,
  Usage
} from "@llm-cache/core"
import { Cause, Clock, Deferred, Effect, Exit, Fiber, Layer, Logger, Metric, References, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { makeDirectory, samplesIn } from "./support/directory.ts"
import { makeGate, makeProvider, using } from "./support/provider.ts"
import { directoryStore } from "./support/stack.ts"

const memory = Effect.provide(SampleStore.SampleStore, MemoryStore.layer)

/** Samples are numbered; those of `reasons` end with the reason of their number, the others with `stop`. */
const makeEnding = (reasons: Record<number, string>, maxBatch?: number) =>
  Effect.gen(function*() {
    const state = { next: 0, requests: 0 }
    const model = yield* LlmModel.make({
      model: "m",
      maxBatch,
      generate: ({ n }) =>
        Effect.sync(() => {
          state.requests++
          return {
            samples: Array.from({ length: n }, () => {
              const number = state.next++
              return { text: `${number}`, finishReason: reasons[number] ?? "stop" }
            }),
            inputTokens: 10,
            outputTokens: n
          }
        })
    })
    return { model, state }
  })

const some = (n: number, batch?: number) => Stream.runCollect(Stream.take(LlmModel.sample("p", { batch }), n))

describe("several requests at once", () => {
  const makeSingle = (
    generate: (request: number) => Effect.Effect<string, SampleError.SampleError>,
    concurrency = 4
  ) => {
    let requests = 0
    return LlmModel.make({
      model: "m",
      maxBatch: 1,
      concurrency,
      generate: () => Effect.map(Effect.suspend(() => generate(requests++)), (text) => ({ samples: [text] }))
    })
  }

  it.effect("law 8: what some have brought is kept when the program ends while another is under way", () =>
    Effect.gen(function*() {
      const directory = yield* makeDirectory
      const started = yield* Deferred.make<void>()
      const model = yield* makeSingle((i) =>
        i === 3 ? Effect.andThen(Deferred.succeed(started, undefined), Effect.never) : Effect.succeed(`${i}`)
      )
      yield* Effect.scoped(Effect.gen(function*() {
        const cached = yield* Persistent.make(model, yield* directoryStore(directory))
        yield* Effect.forkChild(Effect.exit(LlmModel.sampleMany("p", 4).pipe(using(cached))), {
          startImmediately: true
        })
        yield* Deferred.await(started)
        for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      }))
      assert.deepStrictEqual(Object.values(samplesIn(directory)), ["0", "1", "2"])
    }))
})

describe("refuse", () => {
  it.effect("law 10: a replication by layerReplication replays what a refusing program got", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({ 0: "length" })
      const directory = yield* makeDirectory
      const source = Layer.succeed(LlmModel.LlmModel, model)
      const recorded = yield* some(2).pipe(
        Effect.provide(Layer.provide(Persistent.layer({ directory, excludeFinishReasons: ["length"] }), source))
      )
      const options = { directory, model: "m", excludeFinishReasons: ["length"] }
      const replayed = yield* Effect.result(some(2).pipe(Effect.provide(Persistent.layerReplication(options))))
      assert.deepStrictEqual((replayed as any).success, recorded)
    }))

  it.effect("law 2 in a run: a sample that is removed and drawn again as a refused one does not double its neighbour", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({ 3: "length" })
      const store = yield* memory
      const cached = yield* Persistent.make(model, store, { excludeFinishReasons: ["length"] })
      yield* some(3).pipe(using(cached))
      yield* store.remove(new Key.Key(cached.identity, "p", []), [1])
      const texts = yield* some(3).pipe(using(cached))
      assert.lengthOf(new Set(texts), 3, texts.join())
    }))

  it.effect("`refused` counts samples, not how many fibers met them", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({ 0: "length" })
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

  it.effect("a run from the first draw on goes on where the last process gave up", () =>
    Effect.gen(function*() {
      const { model, state } = yield* makeEnding(Object.fromEntries(Array(12).fill("length").entries()))
      const store = yield* memory
      const prefetch = Effect.flatMap(
        Persistent.make(model, store, { excludeFinishReasons: ["length"] }),
        (cached) => Prefetch.prefetch([{ prompt: "p" }]).pipe(using(cached))
      )
      assert.lengthOf((yield* prefetch).failed, 1)
      assert.deepStrictEqual(yield* prefetch, { samples: 1, failed: [] }, `${state.requests} requests`)
    }))
})

describe("events", () => {
  for (const tag of ["RequestSent", "RequestDone", "Stored", "Miss", "Hit"] as const) {
    it.effect(`law 8 and 2: a listener that throws at ${tag} loses no paid sample, and doubles none`, () =>
      Effect.gen(function*() {
        const directory = yield* makeDirectory
        const provider = yield* makeProvider()
        const cached = yield* Persistent.make(provider.model, yield* directoryStore(directory))
        let throws = true
        const listening = Effect.andThen(
          Events.listen((event) => {
            if (throws && event._tag === tag) {
              throws = false
              throw new Error("a bug in a listener")
            }
          }),
          Effect.exit(LlmModel.sampleMany("p", 2).pipe(using(cached)))
        )
        yield* listening.pipe(Effect.scoped, Effect.provide(Events.layer))
        const texts = yield* LlmModel.sampleMany("p", 3).pipe(using(cached))
        assert.deepStrictEqual(texts, provider.given.slice(0, 3))
        assert.deepStrictEqual(Object.values(samplesIn(directory)), provider.given)
      }))
  }

  it.effect("a listener that throws does not keep the others from hearing", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      let heard = 0
      yield* Effect.gen(function*() {
        yield* Events.listen(() => {
          throw new Error("a bug in a listener")
        })
        yield* Events.listen(() => heard++)
        yield* Effect.exit(LlmModel.sampleOne("p").pipe(using(provider.model)))
      }).pipe(Effect.scoped, Effect.provide(Events.layer))
      assert.strictEqual(heard, 2)
    }))

  it.effect("a listener that is added by a listener hears from the next event on", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const late: Array<string> = []
      yield* Effect.gen(function*() {
        const events = yield* Events.Events
        const scope = yield* Effect.scope
        let added = false
        yield* Events.listen(() => {
          if (added) return
          added = true
          Effect.runSync(Scope.provide(events.listen((event) => late.push(event._tag)), scope))
        })
        yield* LlmModel.sampleOne("p").pipe(using(provider.model))
      }).pipe(Effect.scoped, Effect.provide(Events.layer))
      assert.deepStrictEqual(late, ["RequestDone"])
    }))

  it.effect("the layers of the docs can be merged: each hears", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const written: Array<string> = []
      const usage = yield* Effect.andThen(LlmModel.sampleOne("p").pipe(using(provider.model)), Usage.current).pipe(
        Effect.provide(Layer.mergeAll(
          Layer.provideMerge(Usage.layer, Events.layer),
          Layer.provideMerge(Progress.layer({ output: { write: (text) => void written.push(text) } }), Events.layer)
        ))
      )
      assert.strictEqual(usage.spent.requests, 1)
      assert.include(written.join(), "1 requests")
    }))

  it.effect("debug logs hold no text of prompts, system text included", () =>
    Effect.gen(function*() {
      const model = yield* LlmModel.make({
        model: "m",
        parameters: { system: "secret system prompt" },
        generate: () => Effect.succeed({ samples: ["a"] })
      })
      const logged: Array<unknown> = []
      const logger = Logger.make(({ fiber, message }) => {
        logged.push([message, fiber.getRef(References.CurrentLogAnnotations)])
      })
      yield* LlmModel.sampleOne("p").pipe(
        using(model),
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      assert.notInclude(JSON.stringify(logged), "secret")
    }))
})

describe("usage", () => {
  it.effect("samples without the name of a request are counted once, also through a slice", () =>
    Effect.gen(function*() {
      const { model } = yield* makeEnding({})
      const [big, slice] = [yield* memory, yield* memory]
      const cached = yield* Persistent.make(model, big)
      const old = { text: "old", metadata: {}, origins: [] }
      yield* big.put(new Key.Key(model.identity, "p", []), [{ position: 0, drawn: old }], "drop")
      const sliced = yield* Persistent.make(cached, slice)
      const one = LlmModel.sampleOne("p").pipe(using(sliced))
      const [, usage] = yield* Usage.measure(Effect.andThen(one, one))
      assert.strictEqual(usage.replayed.samples, 1)
    }))

  it.effect("one share at once", () =>
    Effect.gen(function*() {
      // a draw that is given up within the measurement: its request is paid for
      const provider = yield* makeProvider()
      const gate = yield* makeGate
      provider.gate = gate.wait
      const model = yield* Repeatable.make(provider.model)
      const [, usage] = yield* Usage.measure(Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(LlmModel.sampleOne("p").pipe(using(model)), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        yield* gate.open
        yield* LlmModel.sampleOne("p").pipe(using(model))
      }))
      assert.strictEqual(usage.spent.requests, 1)
      assert.strictEqual(usage.replayed.requests, 0)
    }))
})

describe("time", () => {
  it.effect("of a request is one, in the event and in the metadata: what is spent cold is replayed warm", () =>
    Effect.gen(function*() {
      let now = 0
      const tick = () => ++now
      const clock = Object.assign(Object.create(yield* Clock.Clock), {
        currentTimeMillis: Effect.sync(tick),
        currentTimeMillisUnsafe: tick
      })
      const { model } = yield* makeEnding({})
      const store = yield* memory
      const run = Effect.gen(function*() {
        const cached = yield* Persistent.make(model, store)
        return (yield* Usage.measure(LlmModel.sampleOne("p").pipe(using(cached))))[1]
      }).pipe(Effect.provideService(Clock.Clock, clock))
      const cold = yield* run
      assert.deepStrictEqual((yield* run).replayed, cold.spent)
    }))
})

describe("metrics", () => {
  it.effect("have a number of series that does not grow with the attempts of a program", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      yield* Effect.repeat(
        LlmModel.sampleOne("p").pipe(Effect.provide(Layer.provide(Repeatable.layer, provider.layer))),
        { times: 99 }
      ).pipe(Effect.provide(Layer.provideMerge(Metrics.layer, Events.layer)))
      const misses = (yield* Metric.snapshot).filter(({ id }) => id === "llm_cache.misses")
      assert.isAtMost(misses.length, 2)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("have the provider's name", () =>
    Effect.gen(function*() {
      const model = yield* LlmModel.make({
        model: "m",
        provider: "openai",
        generate: () => Effect.succeed({ samples: ["a"] })
      })
      yield* LlmModel.sampleOne("p").pipe(
        using(model),
        Effect.provide(Layer.provideMerge(Metrics.layer, Events.layer))
      )
      const [metric] = (yield* Metric.snapshot).filter(({ id }) => id === "gen_ai.client.operation.duration")
      assert.include(JSON.stringify(metric!.attributes), "openai")
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
})

describe("progress", () => {
  const showing = (options: Progress.Options) =>
    Effect.provide(Layer.provideMerge(Progress.layer(options), Events.layer))

  it.effect("an output that throws does not fail a program that succeeded", () =>
    Effect.gen(function*() {
      const output = {
        write: () => {
          throw new Error("EPIPE")
        }
      }
      const exit = yield* Effect.exit(Effect.succeed(1).pipe(showing({ output })))
      assert.isTrue(Exit.isSuccess(exit))
    }))

  it.effect("a terminal that does not know its width has a line of 80", () =>
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
    it.effect(`refuses an interval of ${interval} by a typed error`, () =>
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

  it.effect("has no requests fewer than none in flight, where it is built while one is under way", () =>
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

  it.effect("shows the rate of hits of what was bought before", () =>
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
