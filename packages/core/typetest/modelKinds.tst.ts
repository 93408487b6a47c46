import {
  Attempt,
  Audit,
  Estimate,
  Fork,
  Independent,
  IndependentModel,
  LlmModel,
  Output,
  Persistent,
  Repeatable,
  RepeatableModel,
  type SampleError
} from "@llm-cache/core"
import { Data, Effect, Layer, Schedule, type Scope, type Stream } from "effect"
import { describe, expect, it } from "tstyche"

const model = LlmModel.layer({ model: "m", generate: () => Effect.succeed({ samples: ["x"] }) })

const independent = IndependentModel.sampleMany("Hello", 3)
const repeatable = RepeatableModel.sampleOne("Hello")

declare const run: <A, E>(program: Effect.Effect<A, E>) => void

describe("Code that needs an IndependentModel", () => {
  it("has it in its requirements", () => {
    expect(independent).type.toBe<
      Effect.Effect<Array<string>, SampleError.SampleError, IndependentModel.IndependentModel>
    >()
    expect(IndependentModel.sample("Hello")).type.toBe<
      Stream.Stream<string, SampleError.SampleError, IndependentModel.IndependentModel>
    >()
  })

  it("compiles under Independent.layer, with any layers in between", () => {
    expect(run).type.toBeCallableWith(independent.pipe(
      Effect.provide(Repeatable.layer),
      Effect.provide(Independent.layer),
      Effect.provide(Persistent.layer({ directory: "cache" })),
      Effect.provide(model)
    ))
  })

  it("does not compile under other layers", () => {
    expect(run).type.not.toBeCallableWith(independent.pipe(Effect.provide(model)))
    expect(run).type.not.toBeCallableWith(
      independent.pipe(Effect.provide(Repeatable.layer), Effect.provide(model))
    )
    expect(run).type.not.toBeCallableWith(
      independent.pipe(Effect.provide(Persistent.layer({ directory: "cache" })), Effect.provide(model))
    )
  })
})

describe("Code that needs a RepeatableModel", () => {
  it("compiles under Repeatable.layer, Persistent.layer and a replication", () => {
    expect(run).type.toBeCallableWith(repeatable.pipe(Effect.provide(Repeatable.layer), Effect.provide(model)))
    expect(run).type.toBeCallableWith(
      repeatable.pipe(Effect.provide(Persistent.layer({ directory: "cache" })), Effect.provide(model))
    )
    expect(run).type.toBeCallableWith(
      repeatable.pipe(Effect.provide(Persistent.layerReplication({ directory: "cache", model: "m" })))
    )
  })

  it("does not compile under a provider or Independent.layer alone", () => {
    expect(run).type.not.toBeCallableWith(repeatable.pipe(Effect.provide(model)))
    expect(run).type.not.toBeCallableWith(
      repeatable.pipe(Effect.provide(Independent.layer), Effect.provide(model))
    )
  })
})

describe("Layers of model kinds", () => {
  it("are layers of LlmModel too", () => {
    expect(Independent.layer).type.toBeAssignableTo<Layer.Layer<LlmModel.LlmModel, never, LlmModel.LlmModel>>()
    expect(Repeatable.layer).type.toBeAssignableTo<Layer.Layer<LlmModel.LlmModel, never, LlmModel.LlmModel>>()
    expect(Independent.layer).type.not.toBeAssignableTo<typeof Repeatable.layer>()
  })
})

describe("The compiler error about a missing model", () => {
  it("names the service", () => {
    // @effect-diagnostics missingEffectContext:off
    // @ts-expect-error Type 'IndependentModel' is not assignable to type 'never'
    run(independent.pipe(Effect.provide(Repeatable.layer), Effect.provide(model)))
    // @ts-expect-error Type 'RepeatableModel' is not assignable to type 'never'
    run(repeatable.pipe(Effect.provide(Independent.layer), Effect.provide(model)))
    // @ts-expect-error Type 'IndependentModel' is not assignable to type 'never'
    run(Attempt.retry(repeatable, { times: 1 }).pipe(Effect.provide(Repeatable.layer), Effect.provide(model)))
    // @effect-diagnostics missingEffectContext:error
  })
})

interface Judge {
  readonly judge: unique symbol
}

declare const judged: Effect.Effect<number, "no verdict", Judge | LlmModel.LlmModel>
declare const checked: Effect.Effect<boolean, "no verdict", Judge>

describe("Estimates", () => {
  const options = { prompt: "Hello", n: 5 }
  const isLong = (sample: string) => sample.length > 10

  it("need an IndependentModel", () => {
    const estimate = Estimate.passAtK({ ...options, k: 1, check: () => Effect.succeed(true) })
    expect(estimate).type.toBe<Effect.Effect<number, SampleError.SampleError, IndependentModel.IndependentModel>>()
    expect(run).type.not.toBeCallableWith(estimate.pipe(Effect.provide(Repeatable.layer), Effect.provide(model)))
    expect(run).type.toBeCallableWith(estimate.pipe(Effect.provide(Independent.layer), Effect.provide(model)))
    expect(Estimate.majority(options)).type.toBe<
      Effect.Effect<Estimate.Majority, SampleError.SampleError, IndependentModel.IndependentModel>
    >()
  })

  it("are a number for one k, and a tuple for several", () => {
    expect(Estimate.passAtK({ ...options, k: options.n, check: isLong })).type.toBe<
      Effect.Effect<number, SampleError.SampleError, IndependentModel.IndependentModel>
    >()
    expect(Estimate.passAtK({ ...options, k: [1, 5], check: isLong })).type.toBe<
      Effect.Effect<[number, number], SampleError.SampleError, IndependentModel.IndependentModel>
    >()
    expect(Estimate.passAtK({ ...options, k: [1, 5] as Array<number>, check: isLong })).type.toBe<
      Effect.Effect<Array<number>, SampleError.SampleError, IndependentModel.IndependentModel>
    >()
  })

  it("add the errors and services of the check", () => {
    const estimate = Estimate.passAtK({ ...options, k: 1, check: () => checked })
    type Needed = IndependentModel.IndependentModel | Judge
    expect(estimate).type.toBe<Effect.Effect<number, SampleError.SampleError | "no verdict", Needed>>()
    expect(Effect.all([Estimate.passAtK({ ...options, k: 1, check: isLong }), estimate])).type.toBe<
      Effect.Effect<[number, number], SampleError.SampleError | "no verdict", Needed>
    >()
    expect(Estimate.passAtK({ ...options, k: 1, check: (sample) => isLong(sample) || checked })).type.toBe<
      typeof estimate
    >()
  })
})

describe("Estimates of trials", () => {
  const sample = null as unknown as Effect.Effect<{ readonly text: string }, "no sample", Judge | LlmModel.LlmModel>
  type Needed = IndependentModel.IndependentModel | Judge

  it("need an IndependentModel in place of the LlmModel, and add errors and services of the check", () => {
    expect(Estimate.passAtK({ sample, n: 5, k: 1, check: ({ text }, index) => text.length > index })).type.toBe<
      Effect.Effect<number, "no sample" | SampleError.InvalidInput, Needed>
    >()
    expect(Estimate.passAtK({ sample, n: 5, k: [1, 2], check: () => checked })).type.toBe<
      Effect.Effect<[number, number], "no sample" | "no verdict" | SampleError.InvalidInput, Needed>
    >()
    const estimate = Estimate.passAtK({ sample: LlmModel.sampleOne("Hello"), n: 5, k: 1, check: () => true })
    expect(run).type.not.toBeCallableWith(estimate.pipe(Effect.provide(Repeatable.layer), Effect.provide(model)))
    expect(run).type.toBeCallableWith(estimate.pipe(Effect.provide(Independent.layer), Effect.provide(model)))
    const both = { prompt: "Hello", sample, n: 5, k: 1, check: () => true }
    expect(Estimate.passAtK).type.not.toBeCallableWith(both)
    expect(Estimate.majority).type.not.toBeCallableWith(both)
  })

  it("vote with answers of any type", () => {
    type E = "no sample" | SampleError.InvalidInput
    expect(Estimate.majority({ sample, n: 5 })).type.toBe<
      Effect.Effect<Estimate.Majority<{ readonly text: string }>, E, Needed>
    >()
    expect(Estimate.majority({ sample, n: 5, by: ({ text }) => text.length || undefined })).type.toBe<
      Effect.Effect<Estimate.Majority<number>, E, Needed>
    >()
    expect(Estimate.majority({ sample, n: 5, by: () => judged })).type.toBe<
      Effect.Effect<Estimate.Majority<number>, E | "no verdict", Needed>
    >()
  })
})

describe("Votes over a prompt", () => {
  type E = SampleError.SampleError
  type Needed = IndependentModel.IndependentModel
  const options = { prompt: "Hello", n: 5 }

  it("find the answer by a function, an effect or a spec", () => {
    expect(Estimate.majority({ ...options, answerOf: (sample) => sample })).type.toBe<
      Effect.Effect<Estimate.Majority, E, Needed>
    >()
    expect(Estimate.majority({ ...options, by: (sample) => sample.length })).type.toBe<
      Effect.Effect<Estimate.Majority<number>, E, Needed>
    >()
    expect(Estimate.majority({ ...options, by: () => checked })).type.toBe<
      Effect.Effect<Estimate.Majority<boolean>, E | "no verdict", Needed | Judge>
    >()
    const spec = Output.sequence([Output.tag("a"), Output.code()])
    const by = () => Promise.resolve(true)
    expect(Estimate.majority).type.not.toBeCallableWith({ ...options, by })
    expect(Estimate.majority).type.not.toBeCallableWith({ ...options, by, spec })
    expect(Estimate.majority).type.not.toBeCallableWith({ sample: checked, n: 5, by })
    expect(Estimate.majority({ ...options, spec })).type.toBe<
      Effect.Effect<Estimate.SpecMajority<[string, string]>, E, Needed>
    >()
    expect(Estimate.majority({ ...options, spec, by: ([a]) => Effect.succeed(a.at(0)) })).type.toBe<
      Effect.Effect<Estimate.SpecMajority<string>, E, Needed>
    >()
  })

  it("have a result of the type of the answers", () => {
    expect(Estimate.majorityOf(["a"])).type.toBe<Estimate.Majority>()
    expect(Estimate.majorityOf(["a"], (sample) => sample.length)).type.toBe<Estimate.Majority<number>>()
  })
})

describe("Attempts", () => {
  const attempt = Effect.andThen(LlmModel.sampleOne("Hello"), RepeatableModel.sampleOne("Hello"))
  type E = SampleError.SampleError
  type Retried<E2 = never, R2 = never> = Effect.Effect<
    Attempt.Succeeded<string, E>,
    E | Attempt.AttemptsExhausted<E> | E2,
    IndependentModel.IndependentModel | R2
  >
  type Won<E2 = never, R2 = never> = Effect.Effect<
    Attempt.Winner<string>,
    E | Attempt.AttemptsExhausted<E | E2>,
    IndependentModel.IndependentModel | R2
  >

  it("get their models, keep the caller's scope and have typed errors", () => {
    expect(Attempt.retry(attempt, { schedule: Schedule.recurs(1) })).type.toBe<Retried>()
    expect(Attempt.retry(Effect.andThen(Effect.scope, attempt), { times: 1 })).type.toBe<Retried<never, Scope.Scope>>()
    expect(Attempt.race(attempt, { n: 2 })).type.toBe<Won>()
    expect(attempt.pipe(Attempt.race({ n: 2 }))).type.toBe<Won>()
    expect(Attempt.best(attempt, { n: 2, score: (text) => text.length })).type.toBe<Won>()
    expect(attempt.pipe(Attempt.best({ n: 2, score: (text) => text.length }))).type.toBe<Won>()
    expect(Attempt.best(attempt, { n: 2, score: () => judged })).type.toBe<Won<"no verdict", Judge>>()
  })

  it("have the program's own errors only in AttemptsExhausted, but those that may come out unchanged", () => {
    class Refused extends Data.TaggedError("Refused")<{}> {}
    class Judged extends Data.TaggedError("Judged")<{ readonly isRetryable: boolean }> {}
    class Down extends Data.TaggedError("Down")<{ readonly isRetryable: true }> {}
    type Failed = Refused | Judged | Down | SampleError.ReplicationCacheMiss
    const failing = Effect.fail<Failed>(new Refused())
    type Out<Errors> = Effect.Effect<
      Attempt.Succeeded<never, Failed>,
      Errors | Attempt.AttemptsExhausted<Failed>,
      IndependentModel.IndependentModel
    >
    type Final = Judged | SampleError.ReplicationCacheMiss
    expect(Attempt.retry(failing, { times: 1 })).type.toBe<Out<Final>>()
    expect(failing.pipe(Attempt.retry({ times: 1 }))).type.toBe<Out<Final>>()
    expect(Attempt.retry(failing, Schedule.recurs(1))).type.toBe<Out<Final>>()
    expect(failing.pipe(Attempt.retry(Schedule.recurs(1)))).type.toBe<Out<Final>>()
    expect(Attempt.retry(failing, { while: () => true })).type.toBe<Out<Failed>>()
    expect(failing.pipe(Attempt.retry({ until: () => true, times: 1 }))).type.toBe<Out<Failed>>()
    expect(Attempt.retry(failing, {} as Attempt.RetryOptions<Failed, never, never>)).type.toBe<Out<Failed>>()
    type Chosen = Effect.Effect<
      Attempt.Winner<never>,
      Final | Attempt.AttemptsExhausted<Failed> | SampleError.InvalidInput,
      IndependentModel.IndependentModel
    >
    expect(Attempt.race(failing, { n: 2 })).type.toBe<Chosen>()
    expect(Attempt.best(failing, { n: 2, score: () => 0 })).type.toBe<Chosen>()
  })

  it("may fail with any error whose type does not tell", () => {
    expect<Attempt.FinalError<unknown>>().type.toBe<unknown>()
    expect<Attempt.FinalError<any>>().type.toBe<any>()
    expect<Attempt.FinalError<Error | string>>().type.toBe<Error>()
    expect<Attempt.FinalError<never>>().type.toBe<never>()
    expect<Attempt.FinalError<Attempt.AttemptsExhausted<string>>>().type.toBe<never>()
  })

  it("name the missing service in the error of the compiler", () => {
    // @effect-diagnostics missingEffectContext:off
    // @ts-expect-error Type 'IndependentModel' is not assignable to type 'never'
    run(attempt.pipe(Attempt.retry({ times: 1 }), Effect.provide(model)))
    // @ts-expect-error Type 'IndependentModel' is not assignable to type 'never'
    run(attempt.pipe(Attempt.retry(Schedule.recurs(1)), Effect.provide(model)))
    // @ts-expect-error Type 'IndependentModel' is not assignable to type 'never'
    run(attempt.pipe(Attempt.best({ n: 2, score: () => 0 }), Effect.provide(model)))
    // @effect-diagnostics missingEffectContext:error
  })

  it("do not compile without an IndependentModel", () => {
    for (
      const one of [
        Effect.asVoid(Attempt.retry(attempt, { times: 1 })),
        Effect.asVoid(Attempt.race(attempt, { n: 2 })),
        Effect.asVoid(Attempt.best(attempt, { n: 2, score: (text) => text.length }))
      ]
    ) {
      expect(run).type.not.toBeCallableWith(one.pipe(Effect.provide(Repeatable.layer), Effect.provide(model)))
      expect(run).type.toBeCallableWith(one.pipe(Effect.provide(Independent.layer), Effect.provide(model)))
    }
  })

  it("take the arguments of Effect.retry", () => {
    const needy = null as unknown as Schedule.Schedule<number, E, "schedule", Judge>
    expect(attempt.pipe(Attempt.retry({ times: 1 }))).type.toBe<Retried>()
    expect(Attempt.retry(attempt, Schedule.recurs(1))).type.toBe<Retried>()
    expect(attempt.pipe(Attempt.retry(Schedule.recurs(1)))).type.toBe<Retried>()
    expect(Attempt.retry(attempt, needy)).type.toBe<Retried<"schedule", Judge>>()
    expect(Attempt.retry(attempt, { schedule: needy })).type.toBe<Retried<"schedule", Judge>>()
    expect(Attempt.retry(attempt, ($) => $(Schedule.recurs(1)))).type.toBe<Retried>()
    expect(Attempt.retry(attempt, { while: (error) => error._tag === "StoreError" })).type.toBe<Retried>()
    expect(Attempt.retry(attempt, { until: () => checked })).type.toBe<Retried<"no verdict", Judge>>()
    // The error type comes from the attempt, not from the schedule's input.
    const safe = Effect.succeed("")
    expect(Attempt.retry(safe, { schedule: Schedule.recurs(1) })).type.toBe<
      Effect.Effect<
        Attempt.Succeeded<string, never>,
        Attempt.AttemptsExhausted<never>,
        IndependentModel.IndependentModel
      >
    >()
    expect(Attempt.retry).type.not.toBeCallableWith(attempt, { while: (error: number) => error > 0 })
  })
})

describe("Fork.forEach", () => {
  const items: ReadonlyArray<number> = [1, 2]
  const f = (item: number) => Effect.succeed(String(item))

  it("works data-first and data-last, and can discard the results", () => {
    expect(Fork.forEach(items, f)).type.toBe<Effect.Effect<Array<string>>>()
    expect(Fork.forEach(items, f, { discard: true })).type.toBe<Effect.Effect<void>>()
    expect(Fork.forEach(f, { name: (item) => item.toFixed() })(items)).type.toBe<Effect.Effect<Array<string>>>()
    expect(Fork.forEach(f, { discard: true })(items)).type.toBe<Effect.Effect<void>>()
  })
})

describe("Audit.watch", () => {
  it("takes any layer with a model", () => {
    const other = null as unknown as Layer.Layer<Judge, "other", Scope.Scope>
    const both = Layer.merge(Independent.layer, other)
    type Watched = Layer.Layer<
      LlmModel.LlmModel | IndependentModel.IndependentModel | Judge,
      "other",
      LlmModel.LlmModel | Scope.Scope | Audit.Audit
    >
    expect(Audit.watch(both, "name")).type.toBe<Watched>()
    expect(both.pipe(Audit.watch("name"))).type.toBe<Watched>()
    expect(Audit.watch).type.not.toBeCallableWith(other, "name")
  })
})
