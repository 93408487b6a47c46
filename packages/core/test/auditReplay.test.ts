import { assert, describe, it } from "@effect/vitest"
import {
  Attempt,
  Audit,
  Events,
  Fork,
  Independent,
  type IndependentModel,
  LlmModel,
  MemoryStore,
  Persistent,
  Repeatable,
  type RepeatableModel,
  type SampleError
} from "@llm-cache/core"
import { Deferred, Effect, Fiber, Layer, Logger, Stream } from "effect"
import { makeGate, makeProvider, using } from "./support/provider.ts"

type Program<A> = Effect.Effect<A, object, LlmModel.LlmModel | IndependentModel.IndependentModel | Audit.Audit>

const draw = LlmModel.sampleOne("a")
const agents = Array.from({ length: 8 }, (_, i) => i)

const shared = (reports: Audit.Report) =>
  reports.filter(({ sharedWithOthers }) => sharedWithOthers.length > 0)
    .map(({ path, sharedWithOthers, watch }) => [watch, ...path, ...sharedWithOthers])

describe("An audit of an agent that runs eight times over a cache", () => {
  const audited = Effect.fnUntraced(function*<E>(
    agent: Effect.Effect<ReadonlyArray<string>, E, LlmModel.LlmModel | Audit.Audit>,
    around: (
      agents: Effect.Effect<ReadonlyArray<string>, E, LlmModel.LlmModel | Audit.Audit>,
      index: number
    ) => Effect.Effect<ReadonlyArray<string>, E, LlmModel.LlmModel | Audit.Audit> = (one) => one
  ) {
    const provider = yield* makeProvider()
    const store = yield* MemoryStore.make
    return yield* Effect.forEach(agents, (index) => around(agent, index)).pipe(
      Effect.zipWith(Effect.all([Audit.report, Effect.result(Audit.check)]), (texts, [report, checked]) => ({
        texts,
        shared: shared(report),
        failure: checked._tag === "Failure" ? checked.failure : undefined
      })),
      Effect.provide(Audit.watch(Persistent.layer({ store }), "cache")),
      using(provider.model),
      Effect.provide(Audit.layer)
    )
  })
  const two = LlmModel.sampleMany("a", 2)

  it.effect("fails if each agent has an Independent of its own: all draws are equal", () =>
    Effect.gen(function*() {
      const unwatched = yield* audited(Effect.provide(two, Independent.layer))
      assert.deepStrictEqual(unwatched.texts, agents.map(() => ["a #0", "a #1"]))
      assert.deepStrictEqual(unwatched.shared, [["cache", 0, 1]])
      assert.match(
        unwatched.failure!.message,
        /^cache: of 16 samples of "a" .* at 0, 1 went to more than one Independent\..* leave IndependentModel in its req/
      )
      const watched = yield* audited(Effect.provide(two, Audit.watch(Independent.layer, "agent")))
      assert.deepStrictEqual(watched.shared, [["cache", 0, 1], ...agents.map(() => ["agent", 0, 1])])
      // The eight watches of the agent have the same fault, and the message has it once.
      assert.deepStrictEqual(watched.failure!.message.split("\n").map((line) => line.split(":")[0]), ["cache", "agent"])
    }))

  it.effect("fails for each watch of a cache that is watched twice", () =>
    Effect.gen(function*() {
      const { shared } = yield* audited(
        Effect.scoped(Effect.gen(function*() {
          const audit = yield* Audit.Audit
          const twice = audit.watch(yield* LlmModel.LlmModel, "again")
          return yield* two.pipe(using(yield* Independent.make(twice)))
        }))
      )
      assert.deepStrictEqual(shared, [["cache", 0, 1], ["again", 0, 1]])
    }))

  it.effect("knows readers of one sequence by their samples, also through a Repeatable", () =>
    Effect.gen(function*() {
      const layer = Audit.watch(Independent.layer, "agent").pipe(Layer.provide(Repeatable.layer))
      const { shared } = yield* audited(Effect.provide(two, layer))
      assert.deepStrictEqual(shared, agents.map(() => ["agent", 0, 1]))
    }))

  it.effect("passes if each agent runs in a fork", () =>
    Effect.gen(function*() {
      const { failure, shared, texts } = yield* audited(
        Effect.provide(two, Audit.watch(Independent.layer, "agent")),
        (agent, index) => Fork.fork(agent, `${index}`)
      )
      assert.isUndefined(failure)
      assert.deepStrictEqual(shared, [])
      assert.strictEqual(new Set(texts.flat()).size, 16)
    }))

  it.effect("passes if all agents share one Independent, in one audit with reads of the cache", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const texts = yield* Effect.replicateEffect(two, 8).pipe(
        Effect.provide(Audit.watch(Independent.layer, "agents")),
        Effect.andThen((texts) => Effect.as(Effect.replicateEffect(two, 3), texts)),
        Audit.run,
        Effect.provide(Audit.watch(Persistent.layer({ store: yield* MemoryStore.make }), "cache")),
        using(provider.model),
        Effect.provide(Audit.layer)
      )
      assert.strictEqual(new Set(texts.flat()).size, 16)
    }))

  it.effect("passes if samples that one reader gave back are drawn by another", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const store = yield* MemoryStore.make
      yield* Effect.gen(function*() {
        provider.gate = Effect.sync(() => {
          if (provider.given.length === 1) provider.failures = 1
        })
        const failing = Effect.flip(LlmModel.sampleMany("a", 3, { batch: 1 }))
        yield* Effect.provide(failing, Audit.watch(Independent.layer, "agent"))
        provider.gate = Effect.void
        yield* Effect.provide(draw, Audit.watch(Independent.layer, "agent"))
        yield* Audit.check
      }).pipe(Effect.provide(Persistent.layer({ store })), using(provider.model), Effect.provide(Audit.layer))
    }))
})

describe("A race", () => {
  /** The numbers of races by an audit and by events, and whether the checks failed. */
  const racesOf = Effect.fnUntraced(function*(
    program: Program<unknown>,
    cached: ReadonlyArray<Layer.Layer<LlmModel.LlmModel | RepeatableModel.RepeatableModel, never, LlmModel.LlmModel>>
  ) {
    const provider = yield* makeProvider()
    const events: Array<string> = []
    return yield* Effect.gen(function*() {
      yield* Events.listen((event) => {
        if (event._tag === "Raced") events.push(event.key.prompt)
      })
      yield* program
      const reports = yield* Audit.report
      yield* Audit.check
      const checked = yield* Effect.result(Audit.checkReplay)
      const races = reports.reduce((sum, { racing }) => sum + racing, 0)
      assert.strictEqual(events.length, races)
      assert.strictEqual(checked._tag, races > 0 ? "Failure" : "Success")
      if (checked._tag === "Failure") {
        assert.match(checked.failure.message, /raced.*Run each fiber in a fork of its own$/)
      }
      return races
    }).pipe(
      Effect.scoped,
      Effect.provide(Audit.watch(Independent.layer, "top")),
      (self) => cached.reduce((self, layer) => Effect.provide(self, layer), self),
      using(provider.model),
      Effect.provide(Events.layer),
      Effect.provide(Audit.layer),
      Effect.provide(Logger.layer([]))
    )
  })
  const both = <A, E, R, B, E2, R2>(one: Effect.Effect<A, E, R>, other: Effect.Effect<B, E2, R2>) =>
    Effect.all([one, other], { concurrency: "unbounded" })
  const later = Effect.andThen(Effect.yieldNow, draw)
  const overs = [[], [Repeatable.layer]] as const

  it.effect.each<readonly [name: string, races: number, program: Program<unknown>]>([
    ["two fibers whose draws overlap", 1, both(draw, draw)],
    ["three of them", 2, Effect.all([draw, draw, draw], { concurrency: 3 })],
    [
      "a fiber that draws beside the child that it forked",
      1,
      Effect.gen(function*() {
        const child = yield* Effect.forkChild(draw)
        yield* draw
        yield* Fiber.join(child)
      })
    ],
    [
      "a stream with concurrent consumers of the prompt",
      1,
      Stream.make(1, 2).pipe(
        Stream.mapEffect(() => draw, { concurrency: 2 }),
        Stream.runDrain
      )
    ],
    ["attempts without forks", 1, both(Attempt.retry(draw, { times: 1 }), Attempt.retry(draw, { times: 1 }))],
    [
      "a fiber that draws while a younger one that has drawn lives",
      1,
      Effect.gen(function*() {
        const drawn = yield* Deferred.make<void>()
        const ended = yield* Deferred.make<void>()
        yield* both(
          Deferred.await(drawn).pipe(Effect.andThen(draw), Effect.andThen(Deferred.succeed(ended, undefined))),
          draw.pipe(Effect.andThen(Deferred.succeed(drawn, undefined)), Effect.andThen(Deferred.await(ended)))
        )
      })
    ],
    [
      "a fiber that draws after the end of an older one, beside which it lived",
      1,
      both(draw, Effect.andThen(Effect.replicateEffect(Effect.yieldNow, 30), draw))
    ],
    ["one fiber", 0, Effect.andThen(LlmModel.sampleMany("a", 3, { batch: 1 }), draw)],
    ["one fiber that streams", 0, Stream.runDrain(Stream.take(LlmModel.sample("a"), 4))],
    ["fibers in forks", 0, Fork.forEach([1, 2, 3], () => Effect.andThen(draw, draw), { concurrency: "unbounded" })],
    ["fibers with prompts of their own", 0, both(draw, LlmModel.sampleOne("b"))],
    [
      "fibers one after the other",
      0,
      Effect.gen(function*() {
        yield* draw
        for (let i = 0; i < 3; i++) yield* Fiber.join(yield* Effect.forkChild(Effect.andThen(later, draw)))
        yield* draw
      })
    ],
    [
      "time limits, one after the other",
      0,
      Effect.replicateEffect(
        Effect.andThen(draw, Effect.timeout(Effect.andThen(later, draw), "1 minute")),
        3
      )
    ],
    [
      "attempts, one after the other, and one inside the other",
      0,
      Attempt.retry(
        Effect.andThen(
          LlmModel.sampleMany("a", 2),
          Effect.andThen(Attempt.retry(draw, { times: 1 }), Effect.fail("again" as const))
        ),
        { times: 2 }
      ).pipe(Effect.ignore)
    ],
    ["the best of several attempts at once", 0, Attempt.best(draw, { n: 4, score: () => 0, concurrency: 4 })],
    ["a Repeatable of two fibers", 0, Effect.provide(both(draw, draw), Repeatable.layer)]
  ])("is counted: %s, %i", ([, expected, program]) =>
    Effect.gen(function*() {
      for (const cached of overs) assert.strictEqual(yield* racesOf(program, cached), expected)
    }))

  it.effect("is not left behind by draws that failed or were interrupted", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const gate = yield* makeGate
      yield* Effect.gen(function*() {
        provider.failures = 1
        yield* Effect.flip(draw)
        provider.gate = gate.wait
        const fiber = yield* Effect.forkChild(draw, { startImmediately: true })
        while (provider.requests.length === 1) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        yield* gate.open
        yield* draw
        yield* Audit.checkReplay
      }).pipe(
        Effect.provide(Audit.watch(Independent.layer, "top")),
        using(provider.model),
        Effect.provide(Audit.layer)
      )
    }))

  it.effect("is a warning in the log of a check that passes", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const messages: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        messages.push(`${logLevel} ${String(message)}`)
      })
      yield* Audit.run(both(draw, draw)).pipe(
        Effect.provide(Audit.watch(Independent.layer, "top")),
        using(provider.model),
        Effect.provide(Audit.layer),
        Effect.provide(Logger.layer([logger]))
      )
      assert.strictEqual(messages.length, 1)
      assert.match(
        messages[0]!,
        /^Warn top: of 2 samples of "a" \(mock, temperature 1\) 1 went to draws that raced, so a/
      )
    }))
})

describe("Draws on behalf of another fiber", () => {
  const audited = (program: Effect.Effect<ReadonlyArray<string>, SampleError.SampleError, LlmModel.LlmModel>) =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const audit = yield* Audit.make
      const model = yield* Independent.make(provider.model)
      yield* program.pipe(using(audit.watch(model, "program")))
      return (yield* audit.report).map(({ racing }) => racing)
    })

  const detached = (draw: Effect.Effect<string, SampleError.SampleError, LlmModel.LlmModel>) =>
    Effect.flatMap(Effect.forkDetach(draw), Fiber.join)

  it.effect("race as the draws of that fiber do, and not as those of their own", () =>
    Effect.gen(function*() {
      const onBehalf = Effect.flatMap(Effect.fiber, (fiber) => detached(LlmModel.onBehalfOf(draw, fiber)))
      // One behind the other, in fibers that live at once.
      const two = (one: typeof draw) =>
        Effect.all([
          Effect.andThen(Effect.yieldNow, draw),
          Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 50 }), one)
        ], {
          concurrency: 2
        })
      assert.deepStrictEqual(yield* audited(two(draw)), [1])
      assert.deepStrictEqual(yield* audited(two(onBehalf)), [1])
      assert.deepStrictEqual(yield* audited(two(detached(draw))), [0])
      assert.deepStrictEqual(yield* audited(Effect.all([draw, onBehalf, draw])), [0])
    }))
})
