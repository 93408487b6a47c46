import {
  IndependentModel,
  LlmModel,
  Persistent,
  Repeatable,
  type RepeatableModel,
  type Sample,
  SampleError
} from "@llm-cache/core"
import { type Duration, Effect, type Layer, type Scope, type Stream } from "effect"
import { describe, expect, it } from "tstyche"

const sampled = LlmModel.sampleOne("Hello")

describe("LlmModel.sample", () => {
  it("is a stream that needs a model", () => {
    expect(LlmModel.sample("Hello")).type.toBe<Stream.Stream<string, SampleError.SampleError, LlmModel.LlmModel>>()
    expect(sampled).type.toBe<Effect.Effect<string, SampleError.SampleError, LlmModel.LlmModel>>()
    expect(LlmModel.sampleMany("Hello", 3)).type.toBe<
      Effect.Effect<Array<string>, SampleError.SampleError, LlmModel.LlmModel>
    >()
  })

  it("gives whole samples with their metadata", () => {
    type Samples<A> = Effect.Effect<A, SampleError.SampleError, LlmModel.LlmModel>
    expect(LlmModel.sampleWithMetadata("Hello", { batch: 2 })).type.toBe<
      Stream.Stream<Sample.Sample, SampleError.SampleError, LlmModel.LlmModel>
    >()
    expect(LlmModel.sampleOneWithMetadata("Hello")).type.toBe<Samples<Sample.Sample>>()
    expect(LlmModel.sampleManyWithMetadata("Hello", 3)).type.toBe<Samples<Array<Sample.Sample>>>()
    expect(IndependentModel.sampleOneWithMetadata("Hello")).type.toBe<
      Effect.Effect<Sample.Sample, SampleError.SampleError, IndependentModel.IndependentModel>
    >()
  })

  it("takes only a text as the prompt", () => {
    expect(LlmModel.sample).type.not.toBeCallableWith(1)
    expect(LlmModel.sample).type.not.toBeCallableWith("Hello", { n: 1 })
  })
})

describe("Layers of core", () => {
  it("Repeatable.layer needs a model and provides a model", () => {
    expect(Repeatable.layer).type.toBe<
      Layer.Layer<LlmModel.LlmModel | RepeatableModel.RepeatableModel, never, LlmModel.LlmModel>
    >()
  })

  it("Persistent.layer needs a model, provides a model and may fail with StoreError or InvalidInput", () => {
    expect(Persistent.layer({ directory: "cache" })).type.toBe<
      Layer.Layer<
        LlmModel.LlmModel | RepeatableModel.RepeatableModel,
        SampleError.StoreError | SampleError.InvalidInput,
        LlmModel.LlmModel
      >
    >()
  })

  it("Persistent.layerReplication has no requirements", () => {
    const layer = Persistent.layerReplication({ directory: "cache", model: "m" })
    expect(layer).type.toBe<
      Layer.Layer<
        LlmModel.LlmModel | RepeatableModel.RepeatableModel,
        SampleError.InvalidInput | SampleError.StoreError
      >
    >()
    expect(Effect.provide(sampled, layer)).type.toBe<Effect.Effect<string, SampleError.SampleError>>()
  })

  it("a layer needs the services of its generate function, and fails only with InvalidInput", () => {
    interface Service {
      readonly service: unique symbol
    }
    const generate = null as unknown as (
      request: LlmModel.GenerateRequest
    ) => Effect.Effect<LlmModel.Generation, SampleError.StoreError, Service>
    expect(LlmModel.layer({ model: "m", generate })).type.toBe<
      Layer.Layer<LlmModel.LlmModel, SampleError.InvalidInput, Service>
    >()
    const scoped = null as unknown as (
      request: LlmModel.GenerateRequest
    ) => Effect.Effect<LlmModel.Generation, never, Scope.Scope>
    expect(LlmModel.layer({ model: "m", generate: scoped })).type.toBe<
      Layer.Layer<LlmModel.LlmModel, SampleError.InvalidInput>
    >()
    expect(LlmModel.layer<never>).type.not.toBeCallableWith({ model: "m", generate })
    expect(LlmModel.layer).type.not.toBeCallableWith({ model: "m", generate: () => Effect.fail("no SampleError") })
  })
})

describe("SampleError", () => {
  it("catchTag removes only its tag", () => {
    expect(Effect.catchTag(sampled, "ReplicationCacheMiss", () => Effect.succeed(""))).type.toBe<
      Effect.Effect<
        string,
        SampleError.ProviderError | SampleError.StoreError | SampleError.InvalidInput,
        LlmModel.LlmModel
      >
    >()
  })

  it("catchTags of all four tags leaves no error", () => {
    expect(Effect.catchTags(sampled, {
      ReplicationCacheMiss: (miss) => Effect.succeed(miss.promptHash),
      InvalidInput: (error) => Effect.succeed(error.module),
      ProviderError: (error) => Effect.succeed(error.provider),
      StoreError: (error) => Effect.succeed(error.store)
    })).type.toBe<Effect.Effect<string, never, LlmModel.LlmModel>>()
  })

  it("catchReason narrows the reason of a ProviderError", () => {
    const caught = Effect.catchReason(sampled, "ProviderError", "RateLimited", (reason) => {
      expect(reason).type.toBe<SampleError.RateLimited>()
      return Effect.succeed(reason.retryAfter)
    })
    expect(caught).type.toBe<
      Effect.Effect<string | Duration.Duration | undefined, SampleError.SampleError, LlmModel.LlmModel>
    >()
  })

  it("a reason without a retry time has no retryAfter in catchReason", () => {
    const caught = Effect.catchReason(sampled, "ProviderError", "BadKey", (reason) => {
      expect(reason).type.not.toHaveProperty("retryAfter")
      return Effect.fail(reason)
    })
    expect(caught).type.toBe<
      Effect.Effect<string, SampleError.SampleError | SampleError.BadKey, LlmModel.LlmModel>
    >()
  })
})
