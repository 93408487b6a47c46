import { assert, describe, it } from "@effect/vitest"
import {
  Attempt,
  Fork,
  Independent,
  IndependentModel,
  LlmModel,
  MemoryStore,
  Persistent,
  SampleError,
  type SampleStore
} from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Clock, Data, Duration, Effect, Exit, Fiber, Logger, References, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { makeGate, makeProvider, type Provider, using } from "./support/provider.ts"
import { count } from "./support/stack.ts"

class Refused extends Data.TaggedError("Refused")<{ readonly answer: string }> {}

const runs = { arbitrary: { runs: Number(process.env["LLM_CACHE_LAW_RUNS"] ?? 40) } }

const silently = Effect.provideService(References.MinimumLogLevel, "None")

/** Records a program, and replicates it from the recorded samples alone. */
const recordAndReplicate = Effect.fnUntraced(function*<A, E>(
  program: Effect.Effect<A, E, LlmModel.LlmModel | IndependentModel.IndependentModel>,
  model: LlmModel.Model,
  store?: SampleStore.Store
) {
  const cache = store ?? (yield* MemoryStore.make)
  const independent = Effect.provide(program, Independent.layer)
  const recorded = yield* Effect.exit(
    independent.pipe(Effect.provide(Persistent.layer({ store: cache })), using(model), silently)
  )
  const { name: alias, temperature } = model.identity
  const replicated = yield* Effect.exit(
    Effect.provide(independent, Persistent.layerReplication({ store: cache, model: alias, temperature }))
  )
  return { recorded, replicated }
})

/** A provider whose requests fail at these numbers. */
const failingAt = (numbers: ReadonlyArray<number>) =>
  Effect.map(makeProvider(), (provider) => {
    provider.gate = Effect.sync(() => {
      if (numbers.includes(provider.requests.length - 1)) provider.failures = 1
    })
    return provider
  })

const agent = Effect.gen(function*() {
  const plan = yield* LlmModel.sampleOne("Plan")
  const code = yield* LlmModel.sampleOne(`Write code for ${plan}`)
  const verdict = yield* LlmModel.sampleOne(`Does it pass? ${code}`)
  return verdict === "yes" ? [plan, code] : yield* new Refused({ answer: verdict })
})

describe("A failure of the provider", () => {
  it.effect("resumes the attempt, which repeats its draws and goes on", () =>
    Effect.gen(function*() {
      const { model, requests } = yield* TestModel.make({ script: ["p1", TestModel.serverFault, "c1", "yes"] })
      const { recorded, replicated } = yield* recordAndReplicate(Attempt.retry(agent, { times: 5 }), model)
      assert.deepStrictEqual(recorded, Exit.succeed({ value: ["p1", "c1"], attempts: 1, lastError: undefined }))
      assert.deepStrictEqual(replicated, recorded)
      assert.deepStrictEqual(requests.map(({ prompt }) => prompt), [
        "Plan",
        "Write code for p1",
        "Write code for p1",
        "Does it pass? c1"
      ])
    }))

  it.effect("is no attempt: the program's own errors have all attempts to themselves", () =>
    Effect.gen(function*() {
      const { serverFault } = TestModel
      const { model } = yield* TestModel.make({
        script: ["p1", serverFault, "c1", serverFault, "no", "p2", "c2", serverFault, serverFault, "no"]
      })
      const program = Attempt.retry(agent, { times: 1, schedule: Schedule.recurs(2) })
      // An attempt may be resumed as often as there may be further attempts, so the second one has failed too often.
      const { recorded } = yield* recordAndReplicate(program, model)
      const failed = new Attempt.AttemptsExhausted({ errors: [TestModel.serverFault] })
      assert.deepStrictEqual(recorded, Exit.fail(failed))

      const other = yield* TestModel.make({
        script: ["p1", serverFault, "c1", "no", "p2", "c2", serverFault, "no"]
      })
      const both = yield* recordAndReplicate(program, other.model)
      const refused = new Refused({ answer: "no" })
      assert.deepStrictEqual(both.recorded, Exit.fail(new Attempt.AttemptsExhausted({ errors: [refused, refused] })))
      assert.deepStrictEqual(both.replicated, both.recorded)
    }))

  it.effect("resumes by the schedule, but not before the provider allows it", () =>
    Effect.gen(function*() {
      const limited = (seconds: number) =>
        new SampleError.ProviderError({
          provider: "mock",
          reason: new SampleError.RateLimited({ description: "slow down", retryAfter: Duration.seconds(seconds) })
        })
      const { model, requests } = yield* TestModel.make({ script: [limited(7), limited(1), "4"] })
      const inputs: Array<unknown> = []
      const fiber = yield* LlmModel.sampleOne("a").pipe(
        Attempt.retry({
          schedule: Schedule.spaced("2 seconds").pipe(
            Schedule.setInputType<SampleError.SampleError>(),
            Schedule.tap(({ input }) => Effect.sync(() => inputs.push(input)))
          )
        }),
        Effect.provide(Independent.layer),
        using(model),
        silently,
        Effect.forkChild
      )
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(requests.length, 1)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(requests.length, 2)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(requests.length, 2)
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).value, "4")
      assert.deepStrictEqual(inputs, [limited(7), limited(1)])
    }))

  it.effect("waits as long as an error of another package says that is a failure of the provider", () =>
    Effect.gen(function*() {
      class Busy
        extends Data.TaggedError("Busy")<{ readonly isProviderFailure: boolean; readonly retryAfter: unknown }>
      {}
      const runs: Array<number> = []
      const errors = [
        new Busy({ isProviderFailure: true, retryAfter: Duration.seconds(7) }),
        new Busy({ isProviderFailure: true, retryAfter: "7 seconds" }),
        new Busy({ isProviderFailure: false, retryAfter: Duration.seconds(7) })
      ]
      const { model } = yield* TestModel.make({ script: [] })
      yield* Effect.gen(function*() {
        runs.push(yield* Clock.currentTimeMillis)
        const error = errors[runs.length - 1]
        if (error !== undefined) return yield* error
      }).pipe(
        Attempt.retry({ times: 5 }),
        Effect.provide(Independent.layer),
        using(model),
        silently,
        Effect.forkChild,
        Effect.flatMap((fiber) => Effect.andThen(TestClock.adjust("7 seconds"), Fiber.join(fiber)))
      )
      assert.deepStrictEqual(runs, [0, 7000, 7000, 7000])
    }))

  it.effect("ends the attempts if the provider asks for a longer wait than five minutes", () =>
    Effect.gen(function*() {
      const busy = (retryAfter: Duration.Input) => SampleError.providerError("RateLimited", { retryAfter })
      const { model, requests } = yield* TestModel.make({ script: [busy("5 minutes"), busy("301 seconds"), "4"] })
      const fiber = yield* LlmModel.sampleOne("a").pipe(
        Attempt.retry({ times: 5 }),
        Effect.provide(Independent.layer),
        using(model),
        silently,
        Effect.flip,
        Effect.forkChild
      )
      yield* TestClock.adjust("5 minutes")
      const error = yield* Fiber.join(fiber)
      assert.deepStrictEqual<unknown>(error, new Attempt.AttemptsExhausted({ errors: [busy("301 seconds")] }))
      assert.strictEqual(requests.length, 2)
    }))

  it.effect("is told in the log", () =>
    Effect.gen(function*() {
      const messages: Array<unknown> = []
      const logger = Logger.make(({ logLevel, message }) => {
        messages.push([logLevel, String(message)])
      })
      const { model } = yield* TestModel.make({ script: [TestModel.serverFault, "4"] })
      yield* Attempt.retry(LlmModel.sampleOne("a"), Schedule.recurs(1)).pipe(
        Effect.provide(Independent.layer),
        using(model),
        Effect.provide(Logger.layer([logger]))
      )
      assert.deepStrictEqual(messages, [
        ["Warn", "The provider failed. Attempt 1 resumes at once: test: the test model is down"]
      ])
    }))

  it.effect("ends the attempts when `while` or `until` says so, unchanged", () =>
    Effect.gen(function*() {
      for (const options of [{ while: () => false }, { until: () => Effect.succeed(true) }]) {
        const { model, requests } = yield* TestModel.make({ script: [TestModel.serverFault, "4"] })
        const error = yield* Effect.flip(Attempt.retry(LlmModel.sampleOne("a"), options)).pipe(
          Effect.provide(Independent.layer),
          using(model)
        )
        assert.strictEqual<unknown>(error, TestModel.serverFault)
        assert.strictEqual(requests.length, 1)
      }
      // Their own failures, and those of the schedule, come out.
      const { model } = yield* TestModel.make({ script: () => Effect.fail(TestModel.serverFault) })
      const broken = Schedule.while(Schedule.forever, () => Effect.fail("schedule" as const))
      const drawn = LlmModel.sampleOne("a")
      const asking = Attempt.retry(drawn, { while: () => Effect.fail("while" as const) })
      const ended = Effect.all([Effect.flip(asking), Effect.flip(Attempt.retry(drawn, broken))])
      assert.deepStrictEqual<unknown>(
        yield* ended.pipe(Effect.provide(Independent.layer), using(model)),
        ["while", "schedule"]
      )
    }))

  it.effect("that the program turns into its own error starts another attempt", () =>
    Effect.gen(function*() {
      const { model, requests } = yield* TestModel.make({ script: ["p1", TestModel.serverFault, "p2", "c2", "yes"] })
      const wrapped = Effect.mapError(agent, (error) => error._tag === "Refused" ? error : new Refused({ answer: "" }))
      const result = yield* Attempt.retry(wrapped, { times: 2 }).pipe(Effect.provide(Independent.layer), using(model))
      assert.deepStrictEqual(result, { value: ["p2", "c2"], attempts: 2, lastError: new Refused({ answer: "" }) })
      assert.strictEqual(requests.length, 5)
    }))

  it.effect("outranks the program's errors of the same run, and not a defect", () =>
    Effect.gen(function*() {
      const failing = (first: Effect.Effect<unknown, "refused" | SampleError.SampleError, LlmModel.LlmModel>) =>
        Effect.gen(function*() {
          const { model, requests } = yield* TestModel.make({ script: [TestModel.serverFault, "4", "5"] })
          let runs = 0
          const exit = yield* Effect.suspend(() => ++runs === 1 ? first : LlmModel.sampleOne("a")).pipe(
            Attempt.retry({ times: 3 }),
            Effect.provide(Independent.layer),
            using(model),
            silently,
            Effect.exit
          )
          return [exit, requests.length] as const
        })
      const drawn = LlmModel.sampleOne("a")
      const refused = Effect.onExit(Effect.fail("refused" as const), () => drawn)
      const resumed = { value: "4", attempts: 1, lastError: undefined }
      assert.deepStrictEqual(yield* failing(refused), [Exit.succeed(resumed), 2])
      const broken = Effect.onInterrupt(Effect.never, () => Effect.die("broken"))
      const both = Effect.all([broken, drawn], { concurrency: 2 })
      const [exit, requests] = yield* failing(both)
      assert.isTrue(Exit.hasDies(exit))
      assert.strictEqual(requests, 1)
    }))

  it.effect("of a store resumes the attempt too", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const memory = yield* MemoryStore.make
      let puts = 0
      const store: SampleStore.Store = {
        ...memory,
        put: (...args) =>
          ++puts === 2
            ? Effect.fail(
              new SampleError.StoreError({ kind: "Unavailable", store: "s", operation: "put", description: "full" })
            )
            : memory.put(...args)
      }
      const program = Attempt.retry(Effect.all([LlmModel.sampleOne("a"), LlmModel.sampleOne("b")]), { times: 3 })
      const { recorded, replicated } = yield* recordAndReplicate(program, provider.model, store)
      assert.deepStrictEqual(recorded, Exit.succeed({ value: ["a #0", "b #1"], attempts: 1, lastError: undefined }))
      assert.deepStrictEqual(replicated, recorded)
      assert.strictEqual(provider.requests.length, 2)
    }))

  it.effect("resumes the innermost attempt, and the one around it when that gives up", () =>
    Effect.gen(function*() {
      const paths: Array<ReadonlyArray<string>> = []
      const inner = Effect.gen(function*() {
        const answer = yield* LlmModel.sampleOne("inner")
        return yield* Fork.fork(Effect.andThen(noted(paths), LlmModel.sampleOne(`check ${answer}`)), "check")
      })
      const outer = Effect.all([LlmModel.sampleOne("outer"), Attempt.retry(inner, { times: 1 })])
      const provider = yield* failingAt([2, 3, 5])
      const { recorded, replicated } = yield* recordAndReplicate(Attempt.retry(outer, { times: 1 }), provider.model)
      const value = ["outer #0", { value: "check inner #1 #2", attempts: 1, lastError: undefined }]
      assert.deepStrictEqual<unknown>(recorded, Exit.succeed({ value, attempts: 1, lastError: undefined }))
      assert.deepStrictEqual(replicated, recorded)
      // No run of an attempt left its fork: three runs recorded, and one replicated.
      assert.deepStrictEqual(paths, [["check"], ["check"], ["check"], ["check"]])
    }))

  it.effect("repeats the attempts and votes inside of it", () =>
    Effect.gen(function*() {
      const three = Effect.gen(function*() {
        const drawn = yield* LlmModel.sampleOne("a")
        const votes = yield* IndependentModel.sampleMany("a", 2, { batch: 1 })
        const best = yield* Attempt.best(LlmModel.sampleOne("a"), { n: 2, score: ({ length }) => length })
        return [drawn, ...votes, best.value, yield* LlmModel.sampleOne("end")]
      })
      for (let failed = 0; failed < 6; failed++) {
        const provider = yield* failingAt([failed])
        const { recorded, replicated } = yield* recordAndReplicate(Attempt.retry(three, { times: 1 }), provider.model)
        const value = ["a #0", "a #1", "a #2", "a #3", "end #5"]
        assert.deepStrictEqual(recorded, Exit.succeed({ value, attempts: 1, lastError: undefined }), `${failed}`)
        assert.deepStrictEqual(replicated, recorded)
        assert.strictEqual(provider.requests.length, 7)
      }
    }))

  it.effect("leaves the draws beside it in flight: they replay, with forks and without", () =>
    Effect.gen(function*() {
      for (const name of ["", "b"]) {
        const provider = yield* makeProvider()
        const gate = yield* makeGate
        provider.gate = Effect.suspend(() => {
          if (provider.requests.length === 1) return gate.wait
          provider.failures = provider.requests.length === 2 ? 1 : 0
          return Effect.yieldNow
        })
        const inPart = <A, E, R>(self: Effect.Effect<A, E, R>) => name === "" ? self : Fork.fork(self, name)
        const parts = Effect.all([
          inPart(LlmModel.sampleOne("slow")),
          Effect.onError(LlmModel.sampleOne("failing"), () => gate.open)
        ], { concurrency: 2 })
        const program = Attempt.retry(
          Effect.flatMap(
            parts,
            (value) => value[0] === "slow #0" ? Effect.fail("refused" as const) : Effect.succeed(value)
          ),
          { times: 2 }
        )
        const { recorded, replicated } = yield* recordAndReplicate(program, provider.model)
        const value = ["slow #2", "failing #3"]
        assert.deepStrictEqual<unknown>(recorded, Exit.succeed({ value, attempts: 2, lastError: "refused" }))
        assert.deepStrictEqual(replicated, recorded)
        assert.strictEqual(provider.requests.length, 5)
      }
    }))

  it.effect("can be interrupted while it waits, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const provider = yield* failingAt([1])
      const store = yield* MemoryStore.make
      let ended = 0
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.all([LlmModel.sampleOne("a"), LlmModel.sampleOne("b")]).pipe(
          Effect.ensuring(Effect.sync(() => ended++)),
          Attempt.retry(Schedule.spaced("1 hour")),
          silently,
          Effect.forkChild
        )
        yield* TestClock.adjust("30 minutes")
        yield* Fiber.interrupt(fiber)
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(provider.requests.length, 2)
        assert.strictEqual(ended, 1)
        // The samples of the interrupted attempt stay its own.
        assert.strictEqual(yield* LlmModel.sampleOne("a"), "a #1")
        assert.strictEqual(yield* LlmModel.sampleOne("b"), "b #2")
      }).pipe(
        Effect.provide(Independent.layer),
        Effect.provide(Persistent.layer({ store })),
        using(provider.model)
      )
    }))
})

const noted = (paths: Array<ReadonlyArray<string>>) => Effect.map(Fork.path, (path) => void paths.push(path))

describe("Attempt.best", () => {
  it.effect("fails with a failure of the provider, and is repeated when the attempt around it resumes", () =>
    Effect.gen(function*() {
      const best = Attempt.best(LlmModel.sampleOne("a"), { n: 3, score: (text) => -Number(text.slice(3)) })
      const alone = yield* failingAt([1])
      assert.deepStrictEqual(
        yield* Effect.flip(best).pipe(
          Effect.provide(Independent.layer),
          using(alone.model),
          Effect.map(({ _tag }) => _tag)
        ),
        "ProviderError"
      )
      const provider = yield* failingAt([0])
      const { recorded, replicated } = yield* recordAndReplicate(Attempt.retry(best, { times: 1 }), provider.model)
      const value = { value: "a #0", index: 0 }
      assert.deepStrictEqual(recorded, Exit.succeed({ value, attempts: 1, lastError: undefined }))
      assert.deepStrictEqual(replicated, recorded)
    }))
})

// -----------------------------------------------------------------------------
// random programs
// -----------------------------------------------------------------------------

const Draw = Schema.Struct({
  _tag: Schema.tag("Draw"),
  prompt: Schema.Literals(["a", "b"]),
  n: count(1, 2),
  isIndependent: Schema.Boolean,
  fork: Schema.Literals(["", "x", "y"])
})
const Judge = Schema.Struct({ _tag: Schema.tag("Judge"), share: count(2, 4) })
const Together = Schema.Struct({ _tag: Schema.tag("Together"), parts: Schema.Array(Draw).check(Schema.isMaxLength(3)) })

const nested = <S extends Schema.Top>(step: S) =>
  Schema.Struct({
    _tag: Schema.Literals(["Retry", "Best", "Parallel"]),
    steps: Schema.Array(step).check(Schema.isMaxLength(3))
  })

const Flat = Schema.Union([Draw, Judge, Together])
const Inner = Schema.Union([Draw, Judge, Together, nested(Flat)])
const Step = Schema.Union([Draw, Judge, Together, nested(Inner)])
type Step = typeof Draw.Type | typeof Judge.Type | typeof Together.Type | {
  readonly _tag: "Retry" | "Best" | "Parallel"
  readonly steps: ReadonlyArray<Step>
}

type Part = Effect.Effect<
  ReadonlyArray<unknown>,
  SampleError.SampleError | Refused | Attempt.AttemptsExhausted,
  LlmModel.LlmModel | IndependentModel.IndependentModel
>

const draw = ({ fork, isIndependent, n, prompt }: typeof Draw.Type): Part => {
  const drawn: Part = isIndependent
    ? IndependentModel.sampleMany(prompt, n, { batch: 1 })
    : LlmModel.sampleMany(prompt, n, { batch: 1 })
  return fork === "" ? drawn : Fork.fork(drawn, fork)
}

const run = (steps: ReadonlyArray<Step>, times: number): Part =>
  Effect.gen(function*() {
    const values: Array<unknown> = []
    for (const step of steps) {
      switch (step._tag) {
        case "Draw":
          values.push(...yield* draw(step))
          continue
        case "Judge": {
          const [answer] = yield* LlmModel.sampleMany("ok?", 1)
          if (Number(answer!.slice(5)) % step.share === 0) return yield* new Refused({ answer: answer! })
          continue
        }
        case "Together":
          // A failure cuts off the other parts.
          values.push(
            yield* Effect.all(step.parts.map((part, i) => Fork.fork(draw(part), `part ${i}`)), {
              concurrency: "unbounded"
            })
          )
          continue
        case "Retry":
          values.push(yield* Attempt.retry(run(step.steps, times), { times }))
          continue
        case "Best":
          values.push(yield* Attempt.best(run(step.steps, times), { n: 2, score: (all) => all.length, concurrency: 2 }))
          continue
        case "Parallel": {
          const parts = yield* Effect.all(
            [0, 1].map((i) => Effect.result(Fork.fork(run(step.steps, times), `side ${i}`))),
            { concurrency: "unbounded" }
          )
          for (const part of parts) values.push(yield* Effect.fromResult(part))
        }
      }
    }
    return values
  })

it.effect.prop(
  "A program with failures of the provider replicates: the same values, and no request",
  {
    steps: Schema.Array(Step).check(Schema.isMaxLength(5)),
    failures: Schema.Array(count(0, 20)).check(Schema.isMaxLength(4))
  },
  ({ failures, steps }) =>
    Effect.gen(function*() {
      const provider: Provider = yield* failingAt(failures)
      const program = Attempt.retry(run(steps, 4), { times: 4 })
      const { recorded, replicated } = yield* recordAndReplicate(program, provider.model)
      assert.deepStrictEqual(replicated, recorded)
    }),
  runs
)
