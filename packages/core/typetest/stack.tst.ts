import {
  Independent,
  type IndependentModel,
  LlmModel,
  MemoryStore,
  Persistent,
  Repeatable,
  type RepeatableModel,
  type SampleError
} from "@llm-cache/core"
import { Effect, Layer } from "effect"
import { describe, expect, it } from "tstyche"

interface Client {
  readonly client: unique symbol
}

declare const provider: Layer.Layer<LlmModel.LlmModel, "no key", Client>
declare const client: Layer.Layer<Client>
declare const limits: Layer.Layer<LlmModel.LlmModel, "no limit", LlmModel.LlmModel | Client>

describe("LlmModel.stack", () => {
  it("provides what its layers provide, with their errors and what none of them provides", () => {
    expect(LlmModel.stack(Independent.layer, Persistent.layer({ directory: "cache" }), provider)).type.toBe<
      Layer.Layer<
        LlmModel.LlmModel | IndependentModel.IndependentModel | RepeatableModel.RepeatableModel,
        SampleError.InvalidInput | SampleError.StoreError | "no key",
        Client
      >
    >()
    expect(LlmModel.stack(provider)).type.toBe<typeof provider>()
    expect(LlmModel.stack(limits, Repeatable.layer, limits, provider)).type.toBe<
      Layer.Layer<LlmModel.LlmModel | RepeatableModel.RepeatableModel, "no limit" | "no key", Client>
    >()
    expect(LlmModel.stack(Repeatable.layer, Persistent.layer({ store: MemoryStore.layer }), provider)).type.toBe<
      Layer.Layer<LlmModel.LlmModel | RepeatableModel.RepeatableModel, SampleError.InvalidInput | "no key", Client>
    >()
  })

  it("needs a model beneath if its last layer takes one", () => {
    expect(LlmModel.stack(Independent.layer, Repeatable.layer)).type.toBe<
      Layer.Layer<
        LlmModel.LlmModel | IndependentModel.IndependentModel | RepeatableModel.RepeatableModel,
        never,
        LlmModel.LlmModel
      >
    >()
  })

  it("takes a model that needs none only as the last layer", () => {
    expect(LlmModel.stack).type.not.toBeCallableWith(provider, Independent.layer)
    expect(LlmModel.stack).type.not.toBeCallableWith(Independent.layer, provider, Repeatable.layer)
    expect(LlmModel.stack).type.not.toBeCallableWith(
      Persistent.layerReplication({ directory: "slice", model: "m" }),
      provider
    )
    expect(LlmModel.stack).type.toBeCallableWith(
      Independent.layer,
      Persistent.layerReplication({ directory: "slice", model: "m" })
    )
  })

  it("takes only layers of models, at least one", () => {
    expect(LlmModel.stack).type.not.toBeCallableWith()
    expect(LlmModel.stack).type.not.toBeCallableWith(Independent.layer, client)
    expect(LlmModel.stack).type.not.toBeCallableWith(client)
  })

  it("is a layer like others", () => {
    const model = LlmModel.stack(Independent.layer, provider).pipe(Layer.provide(client))
    expect(Effect.provide(LlmModel.sampleOne("a"), model)).type.toBe<
      Effect.Effect<string, SampleError.SampleError | "no key">
    >()
  })
})
