import { Independent, type IndependentModel, LlmModel, Output, Repeatable, type SampleError } from "@llm-cache/core"
import { type Context, Effect, Schedule, Schema } from "effect"
import { describe, expect, it } from "tstyche"

declare const run: <A, E>(program: Effect.Effect<A, E>) => void

const { code, json, repeat, sequence, tag, text } = Output

describe("Output.Type", () => {
  it("is the type of the value read", () => {
    expect(tag("a")).type.toBe<Output.Item<string>>()
    expect(tag("a", json(Schema.Int))).type.toBe<Output.Item<number>>()
    expect(tag("a", sequence([text, code()]))).type.toBe<Output.Item<[string, string]>>()
    expect(code()).type.toBe<Output.Item<string>>()
    expect(text).type.toBe<Output.Spec<string>>()
    expect(json(Schema.Struct({ a: Schema.Date }))).type.toBe<Output.Item<{ readonly a: Date }>>()
    expect(repeat(tag("a"))).type.toBe<Output.Spec<Array<string>>>()
    const answer = sequence([tag("problem"), repeat(sequence([tag("algorithm"), code()]))])
    expect<Output.Type<typeof answer>>().type.toBe<[string, Array<[string, string]>]>()
    expect(Output.parse(answer)("")).type.toBe<
      Effect.Effect<[string, Array<[string, string]>], Output.OutputError>
    >()
    expect(Output.render(answer)).type.toBe<
      (value: [string, Array<[string, string]>]) => Effect.Effect<string, Output.OutputRenderError>
    >()
  })

  it("is an array for unknown parts", () => {
    expect(sequence([tag("a") as Output.Spec<string>] as Array<Output.Spec<string>>)).type.toBe<
      Output.Spec<Array<string>>
    >()
    expect(sequence([])).type.toBe<Output.Spec<[]>>()
  })

  it("is invariant", () => {
    expect<Output.Spec<string>>().type.not.toBeAssignableTo<Output.Spec<string | number>>()
    expect<Output.Spec<string | number>>().type.not.toBeAssignableTo<Output.Spec<string>>()
  })
})

describe("Output.repeat", () => {
  it("takes only items with a recognizable beginning", () => {
    expect(repeat).type.toBeCallableWith(sequence([sequence([code(), text]), repeat(tag("a"))]))
    expect(repeat).type.toBeCallableWith(json(Schema.String))
    expect(repeat).type.not.toBeCallableWith(text)
    expect(repeat).type.not.toBeCallableWith(repeat(tag("a")))
    expect(repeat).type.not.toBeCallableWith(sequence([]))
    expect(repeat).type.not.toBeCallableWith(sequence([repeat(tag("a")), tag("b")]))
    expect(repeat).type.not.toBeCallableWith(sequence([text, tag("b")]))
    expect(repeat).type.not.toBeCallableWith(sequence([tag("a")] as Array<Output.Item<string>>))
  })
})

describe("Output.json", () => {
  it("takes only schemas without services", () => {
    const needy = null as unknown as Schema.Codec<string, string, Context.Service<string, string>>
    expect(json).type.not.toBeCallableWith(needy)
  })
})

describe("Output.query", () => {
  type E = SampleError.SampleError | Output.OutputsExhausted
  interface Judge {
    readonly judge: unique symbol
  }
  const judged = null as unknown as Effect.Effect<boolean, "no verdict", Judge>
  const spec = sequence([tag("a"), code()])

  it("yields the value of its spec, and needs an IndependentModel", () => {
    const query = Output.query("p", spec)
    expect(query).type.toBe<Effect.Effect<[string, string], E, IndependentModel.IndependentModel>>()
    expect(Output.query("p", spec, {})).type.toBe<typeof query>()
    expect(Output.query("p", spec, { schedule: Schedule.recurs(1) })).type.toBe<typeof query>()
    const model = LlmModel.layer({ model: "m", generate: () => Effect.succeed({ samples: ["x"] }) })
    expect(run).type.toBeCallableWith(query.pipe(Effect.provide(Independent.layer), Effect.provide(model)))
    expect(run).type.not.toBeCallableWith(query.pipe(Effect.provide(Repeatable.layer), Effect.provide(model)))
  })

  it("takes an effect that draws, with its errors and services", () => {
    const draw = null as unknown as Effect.Effect<string, "no draw", Judge | LlmModel.LlmModel>
    expect(Output.query(draw, spec)).type.toBe<
      Effect.Effect<[string, string], "no draw" | Output.OutputsExhausted, IndependentModel.IndependentModel | Judge>
    >()
    expect(Output.query).type.not.toBeCallableWith(Effect.succeed(1), spec)
  })

  it("adds the errors and services of validate and of the schedule", () => {
    expect(Output.query("p", spec, { validate: ([a]) => a !== "" || "empty" })).type.toBe<
      Effect.Effect<[string, string], E, IndependentModel.IndependentModel>
    >()
    expect(Output.query("p", spec, { validate: () => judged })).type.toBe<
      Effect.Effect<[string, string], E | "no verdict", IndependentModel.IndependentModel | Judge>
    >()
    expect(Output.query("p", spec, { validate: ([a]) => Effect.map(LlmModel.sampleOne(a), (b) => b === a) })).type.toBe<
      Effect.Effect<[string, string], E, IndependentModel.IndependentModel>
    >()
    const schedule = null as unknown as Schedule.Schedule<number, Output.OutputRejected, "schedule", Judge>
    expect(Output.query("p", spec, { schedule })).type.toBe<
      Effect.Effect<[string, string], E | "schedule", IndependentModel.IndependentModel | Judge>
    >()
    expect(Output.query).type.not.toBeCallableWith("p", spec, { validate: () => 1 })
    expect(Output.query).type.not.toBeCallableWith("p", spec, { schedule: Schedule.identity<number>() })
  })

  it("adds them in a union with those of the program", () => {
    const query = Output.query("p", tag("a"), { validate: () => judged, schedule: Schedule.recurs(1) })
    expect(Effect.all([Output.query("p", tag("a")), query])).type.toBe<
      Effect.Effect<[string, string], E | "no verdict", IndependentModel.IndependentModel | Judge>
    >()
  })
})
