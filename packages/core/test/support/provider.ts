import { Context, Deferred, Effect, Layer } from "effect"
import { LlmModel, SampleError } from "@llm-cache/core"

export interface Provider {
  readonly model: LlmModel.Model
  readonly layer: Layer.Layer<LlmModel.LlmModel>
  /** The `n` of every request that was sent. */
  readonly requests: Array<number>
  /** How many requests are under way, and how many have been at once. */
  underWay: number
  mostUnderWay: number
  /** Every sample that was given out. */
  readonly given: Array<string>
  /** The next requests that fail. */
  failures: number
  /** What requests wait for. */
  gate: Effect.Effect<unknown>
}

/** A provider whose every sample is a different text, and that counts. */
export const makeProvider = (options?: {
  readonly maxBatch?: number
  readonly model?: string
  readonly temperature?: number
  /** How many samples a request for n brings. @default n */
  readonly brings?: (n: number) => number
}): Effect.Effect<Provider> =>
  Effect.gen(function*() {
    const state = { requests: [] as Array<number>, given: [] as Array<string>, failures: 0, underWay: 0, mostUnderWay: 0 }
    const provider: Provider = Object.assign(state, {
      gate: Effect.yieldNow as Effect.Effect<unknown>,
      model: undefined as never as LlmModel.Model,
      layer: undefined as never as Layer.Layer<LlmModel.LlmModel>
    })
    const model = yield* LlmModel.make({
      model: options?.model ?? "mock",
      temperature: options?.temperature ?? 1,
      maxBatch: options?.maxBatch,
      generate: ({ n, prompt }) =>
        Effect.gen(function*() {
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
        }).pipe(Effect.ensuring(Effect.sync(() => provider.underWay--)))
    }).pipe(Effect.orDie)
    return Object.assign(provider, { model, layer: Layer.succeed(LlmModel.LlmModel, model) })
  })

/** Runs an effect with a model. */
export const using = (model: LlmModel.Model) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.provideContext(self, Context.make(LlmModel.LlmModel, model)) as Effect.Effect<
    A,
    E,
    Exclude<R, LlmModel.LlmModel>
  >

/** A gate that requests wait at until it is opened. */
export const makeGate = Effect.map(Deferred.make<void>(), (deferred) => ({
  wait: Deferred.await(deferred),
  open: Deferred.succeed(deferred, undefined)
}))
