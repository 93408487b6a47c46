import { assert, describe, it } from "@effect/vitest"
import { Audit, Events, Fork, Independent, MemoryStore, type SampleStore, Trace, Usage } from "@llm-cache/core"
import { Effect, Fiber, Latch, Layer, Stream } from "effect"
import { AiError, LanguageModel } from "effect/ai"
import { folder } from "../../testing/test/support/disk.ts"
import { agent, agentProvider, agentRequests } from "./support/agent.ts"
import { cached, deltas, replayed, scripted } from "./support/scripted.ts"

const tokens = { inputTokens: 3 * agentRequests, outputTokens: 5 * agentRequests }

const amounts = ({ inputTokens, outputTokens, requests, samples, unmetered }: Usage.Amount) => ({
  inputTokens,
  outputTokens,
  requests,
  samples,
  unmetered
})

const all = { ...tokens, requests: agentRequests, samples: agentRequests, unmetered: 0 }
const none = { inputTokens: 0, outputTokens: 0, requests: 0, samples: 0, unmetered: 0 }

const ask = Effect.asVoid(LanguageModel.generateText({ prompt: "x" }))
const stream = Stream.runDrain(LanguageModel.streamText({ prompt: "x" }))

/** The usage of a program. */
const used = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.map(Usage.measure(Effect.exit(program)), ([, usage]) => usage).pipe(Effect.provide(Events.layer))

describe("the usage of a program", () => {
  it.effect("is spent in its first run, and replayed in the second", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const first = yield* used(Effect.provide(agent, cached(agentProvider().layer, { store })))
      assert.deepStrictEqual([amounts(first.spent), amounts(first.replayed)], [all, none])
      assert.deepStrictEqual([first.hits, first.misses], [0, agentRequests])
      const second = yield* used(Effect.provide(agent, replayed(store)))
      assert.deepStrictEqual([amounts(second.spent), amounts(second.replayed)], [none, all])
      assert.deepStrictEqual([second.hits, second.misses], [agentRequests, 0])
    }))

  it.effect("counts a live stream once, with all who joined it, and when its program left it", () =>
    Effect.gen(function*() {
      const goOn = Latch.makeUnsafe()
      const provider = scripted(undefined, () =>
        Stream.fromIterable(deltas("a", "b")).pipe(
          Stream.rechunk(1),
          Stream.tap(({ type }) => type === "text-end" ? goOn.await : Effect.void)
        ))
      const settled = Effect.repeat(Effect.yieldNow, { times: 200 })
      const { failedRequests, hits, misses, spent } = yield* used(
        Effect.gen(function*() {
          const left = yield* Effect.forkChild(stream, { startImmediately: true })
          const joined = yield* Effect.forkChild(Effect.all([stream, ask], { concurrency: 2 }), {
            startImmediately: true
          })
          yield* settled
          yield* Fiber.interrupt(left)
          yield* goOn.open
          yield* Fiber.join(joined)
        }).pipe(Effect.provide(cached(provider.layer)))
      )
      assert.deepStrictEqual(amounts(spent), {
        inputTokens: 3,
        outputTokens: 5,
        requests: 1,
        samples: 1,
        unmetered: 0
      })
      assert.deepStrictEqual([failedRequests, hits, misses], [0, 2, 1])
    }))

  it.effect("has a failed request, and no sample, for a stream that was cut midway", () =>
    Effect.gen(function*() {
      const error = AiError.make({
        module: "M",
        method: "m",
        reason: new AiError.NetworkError({ reason: "TransportError", method: "POST", url: "u" })
      })
      const provider = scripted(
        undefined,
        () => Stream.concat(Stream.fromIterable(deltas("a").slice(0, 2)), Stream.fail(error))
      )
      const { failedRequests, spent } = yield* used(Effect.provide(stream, cached(provider.layer)))
      assert.deepStrictEqual([failedRequests, amounts(spent)], [1, none])
    }))
})

it.effect("the events of a live stream are a miss, its request, and the sample in the store; then a hit", () =>
  Effect.gen(function*() {
    const tags: Array<string> = []
    yield* Effect.gen(function*() {
      yield* Events.listen((event) => {
        const sample = event._tag === "Hit" ? event.sample : event._tag === "RequestDone" ? event.samples[0] : undefined
        const { finishReason, outputTokens } = sample?.metadata ?? {}
        tags.push([event._tag, ...sample === undefined ? [] : [finishReason, outputTokens]].join(" "))
      })
      yield* stream
      yield* ask
    }).pipe(Effect.scoped, Effect.provide(cached(scripted().layer)), Effect.provide(Events.layer))
    assert.deepStrictEqual(tags, ["Miss", "RequestSent", "RequestDone stop 5", "Stored", "Hit stop 5"])
  }))

it.effect("a trace's receipt knows a run that bought all from one that is a replay", () =>
  Effect.gen(function*() {
    const directory = yield* folder
    const store = yield* MemoryStore.make
    const receipt = <E>(model: Layer.Layer<LanguageModel.LanguageModel, E>) =>
      agent.pipe(
        Effect.andThen(Effect.flatMap(Trace.Trace, (trace) => trace.receipt)),
        Effect.provide(model),
        Effect.provide(Layer.provideMerge(Trace.layer({ directory }), Events.layer))
      )
    const first = yield* receipt(cached(agentProvider().layer, { store }))
    assert.include(first, { asked: agentRequests, bought: agentRequests, replayed: 0, isReplay: false, ...tokens })
    const second = yield* receipt(replayed(store))
    assert.include(second, {
      asked: agentRequests,
      bought: 0,
      replayed: agentRequests,
      inputTokens: 0,
      replayedInputTokens: tokens.inputTokens,
      replayedOutputTokens: tokens.outputTokens,
      isReplay: true
    })
  }).pipe(Effect.scoped))

describe("an audit", () => {
  const watched = (store: SampleStore.Store, provider = scripted()) =>
    Layer.provideMerge(
      Audit.watch(Independent.layer, "program"),
      Layer.provideMerge(cached(provider.layer, { store }), Audit.layer)
    )

  it.effect("counts each text, object and stream of a program once, and finds no race", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      yield* Effect.gen(function*() {
        yield* ask
        yield* stream
        yield* Fork.forEach([0, 1], () => Effect.andThen(stream, ask), { concurrency: 2 })
        yield* Effect.andThen(stream, ask)
        yield* Audit.check
        yield* Audit.checkReplay
        const report = yield* Audit.report
        assert.deepStrictEqual(
          report.map(({ distinct, handedOut, path }) => [path.join(), handedOut, distinct]),
          [["", 4, 4], ["0", 2, 2], ["1", 2, 2]]
        )
      }).pipe(Effect.provide(watched(store)))
    }))

  it.effect("finds the race of two calls at once in one fork, of texts and of streams", () =>
    Effect.gen(function*() {
      // The second call comes when the first is done.
      const later = (call: typeof ask) => Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 200 }), call)
      for (const [one, other] of [[ask, ask], [ask, stream], [stream, ask], [stream, stream]] as const) {
        const failure = yield* Effect.all([Effect.andThen(Effect.yieldNow, one), later(other)], { concurrency: 2 })
          .pipe(
            Effect.andThen(Audit.checkReplay),
            Effect.flip,
            Effect.mapError(() => `no race of ${[one, other].map((call) => call === ask ? "ask" : "stream")}`),
            Effect.provide(watched(yield* MemoryStore.make))
          )
        assert.strictEqual(failure._tag, "AuditFailure")
      }
    }))
})
