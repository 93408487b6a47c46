import { assert, describe, it } from "@effect/vitest"
import {
  Audit,
  Events,
  Fork,
  Independent,
  LlmModel,
  MemoryStore,
  Persistent,
  Repeatable,
  SampleStore
} from "@llm-cache/core"
import { Cause, Deferred, Effect, Fiber, Layer, Logger, References, Stream } from "effect"
import { TestClock } from "effect/testing"
import { makeGate, makeProvider, using } from "./support/provider.ts"

/** An event in a few words. */
const brief = (event: Events.Event): string => {
  const at = `${event.key.prompt}${event.position}`
  switch (event._tag) {
    case "RequestSent":
      return `sent ${at} ${event.n}`
    case "RequestDone":
      return `done ${at} ${event.samples.length}`
    case "RequestFailed":
      return `failed ${at} ${event.error?._tag ?? (Cause.hasDies(event.cause) ? "defect" : "interrupt")}`
    case "Hit":
      return `${event.waited ? "waited" : "hit"} ${at}`
    case "Miss":
      return `miss ${at} ${event.asks}`
    case "Stored":
    case "Refused":
      return `${event._tag.toLowerCase()} ${at}`
  }
}

/** Runs an effect, and gives the events of it. */
const eventsOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const events: Array<Events.Event> = []
    yield* Events.listen((event) => events.push(event))
    yield* Effect.exit(self)
    return events
  }).pipe(Effect.scoped, Effect.provide(Events.layer))

const briefly = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.map(eventsOf(self), (events) => events.map(brief))

const memory = Effect.provide(SampleStore.SampleStore, MemoryStore.layer)

describe("events", () => {
  it.effect("of a provider are its requests, with the prompt, the position and what they cost", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider({ maxBatch: 2 })
      provider.gate = TestClock.adjust("3 seconds")
      const events = yield* eventsOf(LlmModel.sampleMany("p", 3).pipe(using(provider.model)))
      assert.deepStrictEqual(events.map(brief), ["sent p0 2", "done p0 2", "sent p2 1", "done p2 1"])
      const [sent, done] = events
      assert(sent?._tag === "RequestSent" && done?._tag === "RequestDone")
      assert.strictEqual(done.request, sent.request)
      assert.strictEqual(done.elapsed, 3000)
      assert.deepStrictEqual(done.samples.map(({ metadata }) => metadata.request), [sent.request, sent.request])
      assert.strictEqual(sent.key.identity, provider.model.identity)
    }))

  it.effect("of several requests for one draw have the position of the draw", () =>
    Effect.gen(function*() {
      const single = yield* LlmModel.make({
        model: "m",
        maxBatch: 1,
        concurrency: 2,
        generate: () => Effect.succeed({ samples: ["a"] })
      })
      assert.deepStrictEqual(yield* briefly(LlmModel.sampleMany("p", 3).pipe(using(single))), [
        "sent p0 1",
        "done p0 1",
        "sent p0 1",
        "done p0 1",
        "sent p2 1",
        "done p2 1"
      ])
    }))

  it.effect("tell of requests that fail, and of those that are interrupted", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      provider.failures = 1
      const draw = LlmModel.sampleOne("p").pipe(using(provider.model))
      assert.deepStrictEqual(yield* briefly(draw), ["sent p0 1", "failed p0 ProviderError"])
      provider.gate = Effect.never
      assert.deepStrictEqual(
        yield* briefly(Effect.timeout(draw, "1 second").pipe(Effect.race(TestClock.adjust("1 minute")))),
        [
          "sent p0 1",
          "failed p0 interrupt"
        ]
      )
    }))

  it.effect("tell of requests that end by a defect, also of one that is thrown", () =>
    Effect.gen(function*() {
      const bug = () => {
        throw new Error("bug")
      }
      for (const generate of [bug, () => Effect.die(new Error("bug"))]) {
        const model = yield* LlmModel.make({ model: "m", generate })
        assert.deepStrictEqual(yield* briefly(LlmModel.sampleOne("p").pipe(using(model))), [
          "sent p0 1",
          "failed p0 defect"
        ])
      }
    }))

  it.effect("of caches: each draw is one hit or one miss of each cache that is asked", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const big = yield* memory
      const cached = yield* Persistent.make(provider.model, big)
      assert.deepStrictEqual(yield* briefly(LlmModel.sampleMany("p", 2).pipe(using(cached))), [
        "miss p0 provider",
        "sent p0 2",
        "done p0 2",
        "stored p0",
        "stored p1",
        "hit p1"
      ])
      const slice = yield* memory
      const sliced = yield* Persistent.make(cached, slice)
      const events = yield* eventsOf(LlmModel.sampleOne("p").pipe(using(sliced)))
      assert.deepStrictEqual(events.map(brief), ["miss p0 cache", "hit p0", "stored p0"])
      assert.deepStrictEqual(events.map((event) => "store" in event && event.store), [slice.id, big.id, slice.id])
      const hit = events[1]!
      assert(hit._tag === "Hit")
      assert.strictEqual(hit.sample.text, "p #0")
      const independent = yield* Independent.make(sliced)
      assert.deepStrictEqual(yield* briefly(LlmModel.sampleMany("p", 2).pipe(using(independent))), [
        "hit p0",
        "miss p1 cache",
        "hit p1",
        "stored p1"
      ])
      const shared = yield* Repeatable.make(independent)
      assert.deepStrictEqual(yield* briefly(LlmModel.sampleOne("p").pipe(using(shared))), [
        "miss p0 cache",
        "miss p2 cache",
        "miss p2 provider",
        "sent p2 1",
        "done p2 1",
        "stored p2",
        "stored p2",
        "stored p0"
      ])
    }))

  it.effect("of an Independent over a provider are the provider's, and what asks it is a provider", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const independent = yield* Independent.make(provider.model)
      const draw = LlmModel.sample("p", { batch: 2 }).pipe(Stream.take(2), Stream.runDrain)
      assert.deepStrictEqual(yield* briefly(draw.pipe(using(independent))), ["sent p0 2", "done p0 2"])
      const repeatable = yield* Repeatable.make(independent)
      assert.deepStrictEqual(yield* briefly(LlmModel.sampleOne("q").pipe(using(repeatable))), [
        "miss q0 provider",
        // The reader numbers what it draws of a provider from where it is.
        "sent q2 1",
        "done q2 1",
        "stored q0"
      ])
    }))

  it.effect("of a replication are a miss that asks nothing", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = yield* Persistent.make(provider.model, yield* memory, { replication: true })
      assert.deepStrictEqual(yield* briefly(LlmModel.sampleOne("p").pipe(using(model))), ["miss p0 nothing"])
    }))

  it.effect("tell who waits for another's request, and each fiber's go to whom it runs under", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const gate = yield* makeGate
      provider.gate = gate.wait
      const model = yield* Repeatable.make(provider.model)
      const draw = LlmModel.sampleOne("p").pipe(using(model))
      const first = yield* Effect.forkChild(briefly(draw), { startImmediately: true })
      const second = yield* Effect.forkChild(briefly(draw), { startImmediately: true })
      yield* gate.open
      assert.deepStrictEqual(yield* Fiber.join(first), ["miss p0 provider", "sent p0 1", "done p0 1", "stored p0"])
      assert.deepStrictEqual(yield* Fiber.join(second), ["waited p0"])
    }))

  it.effect("tell of no wait where a sample was stored as it was about to be bought", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const store = yield* memory
      yield* LlmModel.sampleOne("p").pipe(using(yield* Persistent.make(provider.model, store)))
      let looks = 0
      const late = {
        ...store,
        get: (...at: Parameters<typeof store.get>) => looks++ === 0 ? Effect.undefined : store.get(...at)
      }
      const model = yield* Persistent.make(provider.model, late)
      assert.deepStrictEqual(yield* briefly(LlmModel.sampleOne("p").pipe(using(model))), ["hit p0"])
    }))

  it.effect("have the fork's key", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      const events = yield* eventsOf(Fork.fork("a")(LlmModel.sampleOne("p")).pipe(using(model)))
      assert.deepStrictEqual(events.map(({ key }) => key.path.join()), Array(4).fill("a"))
    }))

  it.effect("are told to the place around, too", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const all = ["sent p0 1", "done p0 1"]
      const inner: Array<string> = []
      const outer = yield* briefly(
        Effect.gen(function*() {
          yield* Events.listen((event) => inner.push(brief(event)))
          yield* LlmModel.sampleOne("p").pipe(using(provider.model))
        }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Events.layer)))
      )
      assert.deepStrictEqual(outer, all)
      assert.deepStrictEqual(inner, all)
    }))

  it.effect("of a model that samples another one to generate are those of both, wherever they were built", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const judge = yield* LlmModel.make({
        model: "judge",
        generate: ({ prompt }) => Effect.map(LlmModel.sampleOne(`${prompt}'`), (text) => ({ samples: [text] }))
      }).pipe(using(provider.model), Effect.provideService(Events.Events, yield* Events.make))
      assert.deepStrictEqual(
        yield* briefly(LlmModel.sampleOne("p").pipe(using(judge))),
        ["sent p0 1", "sent p'0 1", "done p'0 1", "done p0 1"]
      )
    }))

  it.effect("are told beneath an audit as without one", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const layer = Audit.watch(Repeatable.layer, "watched").pipe(Layer.provide([provider.layer, Audit.layer]))
      const draw = LlmModel.sampleOne("p")
      assert.deepStrictEqual(
        yield* briefly(Effect.andThen(draw, draw)).pipe(Effect.provide(layer)),
        ["miss p0 provider", "sent p0 1", "done p0 1", "stored p0", "hit p0"]
      )
    }))

  it.effect("are heard by the others, and logged, where a listener throws", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const [heard, logged]: [Array<string>, Array<unknown>] = [[], []]
      const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
        logged.push([logLevel, Array.isArray(message) ? message[0] : message])
      })
      yield* Effect.gen(function*() {
        yield* Events.listen(() => {
          throw new Error("listener")
        })
        yield* Events.listen((event) => heard.push(brief(event)))
        yield* LlmModel.sampleOne("p").pipe(using(provider.model))
      }).pipe(
        Effect.scoped,
        Effect.provide([Events.layer, Logger.layer([logger])]),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      assert.deepStrictEqual(heard, ["sent p0 1", "done p0 1"])
      assert.deepStrictEqual(logged, [
        ["Error", "A listener of events failed"],
        ["Debug", "request for 1"],
        ["Error", "A listener of events failed"],
        ["Debug", "request brought 1 in 0 ms"]
      ])
    }))

  it.effect("come as a stream", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const started = yield* Deferred.make<void>()
      const fiber = yield* Events.stream.pipe(
        Stream.tap(() => Deferred.succeed(started, undefined)),
        Stream.filter(({ _tag }) => _tag === "RequestDone"),
        Stream.take(3),
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true })
      )
      const draw = LlmModel.sampleOne("p").pipe(using(provider.model))
      yield* Effect.repeat(draw, { times: 99 })
      assert.deepStrictEqual((yield* Fiber.join(fiber)).map(brief), Array(3).fill("done p0 1"))
      // None is lost where the consumer is slow.
      const all = yield* Effect.forkChild(Stream.runCollect(Stream.take(Events.stream, 1000)), {
        startImmediately: true
      })
      yield* Effect.repeat(draw, { times: 499 })
      assert.lengthOf(yield* Fiber.join(all), 1000)
    }).pipe(Effect.provide(Events.layer)))

  it.effect("end with the scope of who listens", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      let heard = 0
      const draw = LlmModel.sampleOne("p").pipe(using(provider.model))
      yield* Effect.scoped(Effect.andThen(Events.listen(() => heard++), draw))
      assert.strictEqual(heard, 2)
      yield* draw
      assert.strictEqual(heard, 2)
    }).pipe(Effect.provide(Events.layer)))

  it.effect("are told only where anyone listens, there or around", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const events = yield* Events.make
      const inner = yield* Effect.provideService(Events.make, Events.Events, events)
      let told = 0
      const watched = { ...inner, publish: (event: Events.Event) => (told++, inner.publish(event)) }
      const draw = LlmModel.sampleOne("p").pipe(using(provider.model), Effect.provideService(Events.Events, watched))
      yield* draw
      assert.deepStrictEqual([inner.hasListeners(), told], [false, 0])
      for (const place of [inner, events]) {
        yield* Effect.scoped(Effect.andThen(place.listen(() => {}), draw))
        assert.strictEqual(told, 2)
        told = 0
      }
      yield* draw
      assert.deepStrictEqual([inner.hasListeners(), told], [false, 0])
    }))
  it.effect("cost no more than elsewhere while no one listens: samples are read many at a time", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const store = yield* memory
      const reads: Array<string> = []
      const model = yield* Persistent.make(provider.model, {
        ...store,
        get: (...args) => (reads.push("one"), store.get(...args)),
        getMany: (...args) => (reads.push("many"), store.getMany(...args))
      })
      const draw = LlmModel.sampleMany("p", 3).pipe(using(model))
      yield* draw
      reads.length = 0
      yield* draw
      assert.deepStrictEqual(reads.splice(0), ["many"])
      yield* Effect.scoped(Effect.andThen(Events.listen(() => {}), draw))
      assert.deepStrictEqual(reads.splice(0), ["one", "one", "one"])
      // a listener of the place around hears it, too
      yield* briefly(Effect.provide(draw, Layer.fresh(Events.layer)))
      assert.deepStrictEqual(reads.splice(0), ["one", "one", "one"])
    }).pipe(Effect.provide(Events.layer)))

  it.effect("are told by models whose layers were built without them", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = Layer.provide(Persistent.layer(), [provider.layer, MemoryStore.layer])
      const inside = LlmModel.sampleOne("p").pipe(Effect.provide(model))
      assert.lengthOf(yield* eventsOf(inside), 4)
      const outside = eventsOf(LlmModel.sampleOne("p")).pipe(Effect.provide(model))
      assert.lengthOf(yield* outside, 4)
    }))
})

describe("debug logs", () => {
  it.effect("tell each event, with its prompt by hash, and nothing above that level", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      const logged: Array<unknown> = []
      const logger = Logger.make(({ fiber, message }) => {
        logged.push([message, fiber.getRef(References.CurrentLogAnnotations)])
      })
      const draw = LlmModel.sampleOne("secret prompt").pipe(using(model), Effect.provide(Logger.layer([logger])))
      yield* draw
      assert.deepStrictEqual(logged, [])
      yield* draw.pipe(Effect.provideService(References.MinimumLogLevel, "Debug"))
      assert.lengthOf(logged, 1)
      assert.include(JSON.stringify(logged), "hit")
      assert.include(JSON.stringify(logged), "\"position\":0")
      assert.notInclude(JSON.stringify(logged), "secret")
    }))

  it.effect("have the model, the prompt, the position, the request or the cache, and the fork where there is one", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider({ model: "m" })
      const store = yield* memory
      const model = yield* Persistent.make(provider.model, store)
      const logged: Array<unknown> = []
      const logger = Logger.make<unknown, void>(({ message }) => void logged.push(message))
      const draw = LlmModel.sampleOne("p")
      const [, sent] = yield* eventsOf(Effect.andThen(draw, Fork.fork("b")(Fork.fork("a")(draw)))).pipe(
        using(model),
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      assert(sent?._tag === "RequestSent")
      const at = { model: "m", prompt: sent.key.promptHash, position: 0 }
      assert.deepStrictEqual(logged.slice(0, 2), [
        ["miss, asks provider", { ...at, store: store.id }],
        ["request for 1", { ...at, request: sent.request }]
      ])
      assert.deepStrictEqual(logged[4], ["miss, asks provider", { ...at, fork: ["b", "a"], store: store.id }])
    }))
})
