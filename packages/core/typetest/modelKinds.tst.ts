import {
  Attempt,
  Estimate,
  Independent,
  IndependentModel,
  LlmModel,
  Persistent,
  Repeatable,
  RepeatableModel,
  type SampleError
} from "@llm-cache/core"
import { Effect, type Layer, Schedule, type Stream } from "effect"
import { describe, expect, it } from "tstyche"

const model = LlmModel.layer({ model: "m", generate: () => Effect.succeed({ samples: ["x"] }) })

const independent = IndependentModel.sampleMany("Hello", 3)
const repeatable = RepeatableModel.sampleOne("Hello")

declare const run: <A, E>(program: Effect.Effect<A, E>) => void

describe("what asks for independence", () => {
  it("says so in its type", () => {
    expect(independent).type.toBe<
      Effect.Effect<Array<string>, SampleError.SampleError, IndependentModel.IndependentModel>
    >()
    expect(IndependentModel.sample("Hello")).type.toBe<
      Stream.Stream<string, SampleError.SampleError, IndependentModel.IndependentModel>
    >()
  })

  it("compiles under Independent.layer, whatever is in between", () => {
    expect(run).type.toBeCallableWith(independent.pipe(
      Effect.provide(Repeatable.layer),
      Effect.provide(Independent.layer),
      Effect.provide(Persistent.layer({ directory: "cache" })),
      Effect.provide(model)
    ))
  })

  it("does not compile under anything else", () => {
    expect(run).type.not.toBeCallableWith(independent.pipe(Effect.provide(model)))
    expect(run).type.not.toBeCallableWith(
      independent.pipe(Effect.provide(Repeatable.layer), Effect.provide(model))
    )
    expect(run).type.not.toBeCallableWith(
      independent.pipe(Effect.provide(Persistent.layer({ directory: "cache" })), Effect.provide(model))
    )
  })
})

describe("what asks for repeatability", () => {
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

describe("layers", () => {
  it("are layers of LlmModel, for whoever asks for no more", () => {
    expect(Independent.layer).type.toBeAssignableTo<Layer.Layer<LlmModel.LlmModel, never, LlmModel.LlmModel>>()
    expect(Repeatable.layer).type.toBeAssignableTo<Layer.Layer<LlmModel.LlmModel, never, LlmModel.LlmModel>>()
    expect(Independent.layer).type.not.toBeAssignableTo<typeof Repeatable.layer>()
  })
})

describe("estimates and attempts", () => {
  it("ask for independence", () => {
    const estimate = Estimate.passAtK({ prompt: "Hello", n: 5, k: 1, check: () => Effect.succeed(true) })
    expect(estimate).type.toBe<Effect.Effect<number, SampleError.SampleError, IndependentModel.IndependentModel>>()
    expect(run).type.not.toBeCallableWith(estimate.pipe(Effect.provide(Repeatable.layer), Effect.provide(model)))
    expect(run).type.toBeCallableWith(estimate.pipe(Effect.provide(Independent.layer), Effect.provide(model)))
  })

  it("give an attempt its models, and tell what it may end with", () => {
    const attempt = Effect.andThen(LlmModel.sampleOne("Hello"), RepeatableModel.sampleOne("Hello"))
    expect(Attempt.retry(attempt, { schedule: Schedule.recurs(1) })).type.toBe<
      Effect.Effect<
        Attempt.Succeeded<string, SampleError.SampleError>,
        SampleError.SampleError | Attempt.Exhausted<SampleError.SampleError>,
        IndependentModel.IndependentModel
      >
    >()
  })
})
