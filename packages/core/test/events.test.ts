import { assert, describe, it } from "@effect/vitest"
import {
  Audit,
  Events,
  Fork,
  Independent,
  LlmModel,
  MemoryStore,
  Persistent,
  Progress,
  Repeatable,
  SampleStore,
  Usage
} from "@llm-cache/core"
import { Cause, Deferred, Effect, Fiber, Layer, Logger, References, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { makeDirectory, samplesIn } from "./support/directory.ts"
import { makeGate, makeProvider, using } from "./support/provider.ts"
import { directoryStore } from "./support/stack.ts"

/** A short text for an event. */
const brief = (event: Events.Event): string => {
  const at = `${event.key.prompt}${event.position}`
  switch (event._tag) {
    case "RequestSent":
      return `sent ${at} ${event.n}`
    case "RequestDone":
      return `done ${at} ${event.samples.length}`
    case "RequestFailed":
      return `failed ${at} ${event.error?._tag ?? (Cause.hasDies(event.cause) ? "defect" : "interrupt")}`
    case "RequestRetried":
      return `retried ${at} ${event.delay}`
    case "Hit":
      return `${event.waited ? "waited" : "hit"} ${at}`
    case "Miss":
      return `miss ${at} ${event.asks}`
    case "Stored":
    case "Refused":
    case "Raced":
      return `${event._tag.toLowerCase()} ${at}`
  }
}

/** Runs an effect and returns its events. */
const eventsOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const events: Array<Events.Event> = []
    yield* Events.listen((event) => events.push(event))
    yield* Effect.exit(self)
    return events
  }).pipe(Effect.scoped, Effect.provide(Events.layer))

const briefly = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.map(eventsOf(self), (events) => events.map(brief))

const memory = Effect.provide(SampleStore.SampleStore, MemoryStore.layer)

describe("Events", () => {
  it.effect("report each request with its prompt, position, samples and duration", () =>
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

  it.effect("give several requests of one draw the position of the draw", () =>
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

  it.effect("report failed and interrupted requests", () =>
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

  it.effect("report requests that die, also by an exception", () =>
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

  it.effect("report one hit or one miss per draw for each cache", () =>
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

  it.effect("report an Independent over a provider as the provider", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const independent = yield* Independent.make(provider.model)
      const draw = LlmModel.sample("p", { batch: 2 }).pipe(Stream.take(2), Stream.runDrain)
      assert.deepStrictEqual(yield* briefly(draw.pipe(using(independent))), ["sent p0 2", "done p0 2"])
      const repeatable = yield* Repeatable.make(independent)
      assert.deepStrictEqual(yield* briefly(LlmModel.sampleOne("q").pipe(using(repeatable))), [
        "miss q0 provider",
        // The reader numbers a provider's samples from its own position on.
        "sent q2 1",
        "done q2 1",
        "stored q0"
      ])
    }))

  it.effect("report a miss that asks nothing in replication", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = yield* Persistent.make(provider.model, yield* memory, { replication: true })
      assert.deepStrictEqual(yield* briefly(LlmModel.sampleOne("p").pipe(using(model))), ["miss p0 nothing"])
    }))

  it.effect("report waits for another fiber's request to the listeners of each fiber", () =>
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

  it.effect("report no wait if a sample was stored just before the request", () =>
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

  it.effect("have the key of the fork", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = yield* Repeatable.make(provider.model)
      const events = yield* eventsOf(Fork.fork("a")(LlmModel.sampleOne("p")).pipe(using(model)))
      assert.deepStrictEqual(events.map(({ key }) => key.path.join()), Array(4).fill("a"))
    }))

  it.effect("reach the outer Events too", () =>
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

  it.effect("report both models if one samples the other to generate", () =>
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

  it.effect("are the same beneath an audit", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const layer = Audit.watch(Repeatable.layer, "watched").pipe(Layer.provide([provider.layer, Audit.layer]))
      const draw = LlmModel.sampleOne("p")
      assert.deepStrictEqual(
        yield* briefly(Effect.andThen(draw, draw)).pipe(Effect.provide(layer)),
        ["miss p0 provider", "sent p0 1", "done p0 1", "stored p0", "hit p0"]
      )
    }))

  it.effect("reach the other listeners if a listener throws, and log its exception", () =>
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

  it.effect("are available as a stream", () =>
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
      // A slow consumer loses no event.
      const all = yield* Effect.forkChild(Stream.runCollect(Stream.take(Events.stream, 1000)), {
        startImmediately: true
      })
      yield* Effect.repeat(draw, { times: 499 })
      assert.lengthOf(yield* Fiber.join(all), 1000)
    }).pipe(Effect.provide(Events.layer)))

  it.effect("end with the scope of the listener", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      let heard = 0
      const draw = LlmModel.sampleOne("p").pipe(using(provider.model))
      yield* Effect.scoped(Effect.andThen(Events.listen(() => heard++), draw))
      assert.strictEqual(heard, 2)
      yield* draw
      assert.strictEqual(heard, 2)
    }).pipe(Effect.provide(Events.layer)))

  it.effect("have no listener after the interruption of the program that adds it, at any step", () =>
    Effect.gen(function*() {
      // A fiber that yields that often can be interrupted between any two operations.
      for (const operations of [2, 3, 4, 5, 6, 7]) {
        for (let steps = 0; steps < 20; steps++) {
          const events = yield* Events.make
          const fiber = yield* Effect.forkChild(
            Effect.provideService(
              Effect.scoped(Effect.andThen(events.listen(() => {}), Effect.never)),
              References.MaxOpsBeforeYield,
              operations
            )
          )
          for (let i = 0; i < steps; i++) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
          assert.isFalse(events.hasListeners(), `${operations} operations, ${steps} steps`)
        }
      }
    }))

  it.effect("are published only if this Events or an outer one has listeners", () =>
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
  it.effect("leave reads of many samples at a time as they are without listeners", () =>
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
      // A listener of the outer Events hears it too.
      yield* briefly(Effect.provide(draw, Layer.fresh(Events.layer)))
      assert.deepStrictEqual(reads.splice(0), ["one", "one", "one"])
    }).pipe(Effect.provide(Events.layer)))

  it.effect("come from models whose layers were built without Events", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const model = Layer.provide(Persistent.layer(), [provider.layer, MemoryStore.layer])
      const inside = LlmModel.sampleOne("p").pipe(Effect.provide(model))
      assert.lengthOf(yield* eventsOf(inside), 4)
      const outside = eventsOf(LlmModel.sampleOne("p")).pipe(Effect.provide(model))
      assert.lengthOf(yield* outside, 4)
    }))

  for (const tag of ["RequestSent", "RequestDone", "Stored", "Miss", "Hit"] as const) {
    it.effect(`lose no paid sample and double none if a listener throws at ${tag} (laws 2 and 8)`, () =>
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

  it.effect("reach the listeners behind a listener that throws", () =>
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

  it.effect("reach a listener that another listener adds, from the next event on", () =>
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

  it.effect("reach all of several merged layers", () =>
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
})

describe("Debug logs", () => {
  it.effect("contain each event with the hash of its prompt, only at level Debug or below", () =>
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
      for (const level of ["Debug", "Trace", "All"] as const) {
        yield* draw.pipe(Effect.provideService(References.MinimumLogLevel, level))
        assert.lengthOf(logged, 1, level)
        const text = JSON.stringify(logged.splice(0))
        assert.include(text, "hit")
        assert.include(text, "\"position\":0")
        assert.notInclude(text, "secret")
      }
      yield* draw.pipe(Effect.provideService(References.MinimumLogLevel, "None"))
      assert.deepStrictEqual(logged, [])
    }))

  it.effect("are annotated with model, prompt, position, request or cache, and fork", () =>
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

  it.effect("contain no text of prompts or of system prompts", () =>
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
