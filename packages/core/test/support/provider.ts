import { LlmModel, SampleError } from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Deferred, Effect, Layer } from "effect"

/** Lets a test hold up or fail the next requests of a test model. */
export interface Provider {
  readonly model: LlmModel.Model
  readonly layer: Layer.Layer<LlmModel.LlmModel>
  /** The `n` of every request. */
  readonly requests: Array<number>
  /** Every sample that the provider gave. */
  readonly given: Array<string>
  /** The number of next requests that fail. */
  failures: number
  /** Every request waits for this effect. */
  gate: Effect.Effect<unknown>
  readonly underWay: number
  readonly mostUnderWay: number
}

export const makeProvider = Effect.fnUntraced(function*({ brings = (n) => n, ...options }: {
  readonly maxBatch?: number
  readonly model?: string
  readonly temperature?: number
  /** The number of samples in the answer to a request for n. @default n */
  readonly brings?: (n: number) => number
} = {}) {
  const script = Effect.fnUntraced(function*({ n, prompt }: TestModel.Request) {
    provider.requests.push(n)
    yield* provider.gate
    if (provider.failures > 0) {
      provider.failures--
      return yield* new SampleError.ProviderError({
        provider: "mock",
        reason: new SampleError.ServerFault({ description: "down" })
      })
    }
    return Array.from({ length: brings(n) }, (_, i) => `${prompt} #${provider.given.length + i}`)
  })
  const testModel = yield* Effect.orDie(TestModel.make({ model: "mock", ...options, script }))
  const provider: Provider = {
    model: testModel.model,
    layer: Layer.succeed(LlmModel.LlmModel, testModel.model),
    requests: [],
    given: testModel.samples,
    failures: 0,
    gate: Effect.yieldNow,
    get underWay() {
      return testModel.inFlight
    },
    get mostUnderWay() {
      return testModel.mostInFlight
    }
  }
  return provider
})

/** Runs an effect with a model. */
export const using = (model: LlmModel.Model) => Effect.provideService(LlmModel.LlmModel, model)

/** A gate that requests wait at until it is opened. */
export const makeGate = Effect.map(Deferred.make<void>(), (deferred) => ({
  wait: Deferred.await(deferred),
  open: Deferred.succeed(deferred, undefined)
}))
