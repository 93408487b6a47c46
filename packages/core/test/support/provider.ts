import { LlmModel, SampleError } from "@llm-cache/core"
import { Deferred, Effect, Layer } from "effect"

/** A provider whose every sample is a different text, and that counts. */
export interface Provider {
  readonly model: LlmModel.Model
  readonly layer: Layer.Layer<LlmModel.LlmModel>
  /** The `n` of every request that was sent. */
  readonly requests: Array<number>
  /** Every sample that was given out. */
  readonly given: Array<string>
  /** How many of the next requests fail. */
  failures: number
  /** What requests wait for. */
  gate: Effect.Effect<unknown>
  /** How many requests are under way, and how many have been at once. */
  underWay: number
  mostUnderWay: number
}

export const makeProvider = Effect.fnUntraced(function*(options?: {
  readonly maxBatch?: number
  readonly model?: string
  readonly temperature?: number
  /** How many samples a request for n brings. @default n */
  readonly brings?: (n: number) => number
}) {
  const generate = Effect.fnUntraced(
    function*({ n, prompt }: LlmModel.GenerateRequest) {
      provider.requests.push(n)
      provider.underWay++
      provider.mostUnderWay = Math.max(provider.mostUnderWay, provider.underWay)
      yield* provider.gate
      if (provider.failures > 0) {
        provider.failures--
        return yield* new SampleError.ProviderError({
          provider: "mock",
          reason: new SampleError.ServerFault({ description: "down" })
        })
      }
      const samples = Array.from({ length: options?.brings?.(n) ?? n }, () => {
        const text = `${prompt} #${provider.given.length}`
        provider.given.push(text)
        return text
      })
      return { samples }
    },
    Effect.ensuring(Effect.sync(() => provider.underWay--))
  )
  const model = yield* Effect.orDie(LlmModel.make({
    model: options?.model ?? "mock",
    temperature: options?.temperature ?? 1,
    maxBatch: options?.maxBatch,
    generate
  }))
  const provider: Provider = {
    model,
    layer: Layer.succeed(LlmModel.LlmModel, model),
    requests: [],
    given: [],
    failures: 0,
    gate: Effect.yieldNow,
    underWay: 0,
    mostUnderWay: 0
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
