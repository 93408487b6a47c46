import { CachedModel, RequestModel } from "@llm-cache/ai"
import { MemoryStore, Persistent } from "@llm-cache/core"
import * as TestLanguageModel from "@llm-cache/testing/TestLanguageModel"
import { Effect, Layer, Stream } from "effect"
import type { AiError, LanguageModel, Response } from "effect/ai"

export type Parts = ReadonlyArray<Response.PartEncoded>
type Script = (options: LanguageModel.ProviderOptions, index: number) => Answer
type Answer = Parts | Effect.Effect<Parts, AiError.AiError>
type StreamScript = (
  options: LanguageModel.ProviderOptions,
  index: number
) => Stream.Stream<Response.StreamPartEncoded, AiError.AiError>

export const usage = (inputTokens = 3, outputTokens = 5) => ({
  inputTokens: { total: inputTokens },
  outputTokens: { total: outputTokens }
})

export const finish = (reason: Response.FinishReason = "stop"): Response.FinishPartEncoded => ({
  type: "finish",
  reason,
  usage: usage()
})

export const text = (text: string): Response.TextPartEncoded => ({ type: "text", text })

export const call = (id: string, name: string, params: unknown): Response.ToolCallPartEncoded => ({
  type: "tool-call",
  id,
  name,
  params
})

/** The deltas of one text as a stream, each in a chunk of its own. */
export const deltas = (...texts: ReadonlyArray<string>): ReadonlyArray<Response.StreamPartEncoded> => [
  { type: "text-start", id: "0" },
  ...texts.map((delta): Response.StreamPartEncoded => ({ type: "text-delta", id: "0", delta })),
  { type: "text-end", id: "0" },
  finish()
]

/** A provider that answers from functions, with their parts as they are, and the requests it got. */
export const scripted = (
  script: Script = (_, i) => [text(`answer ${i}`), finish()],
  streams: StreamScript = (_, i) => Stream.fromIterable(deltas("an", "swer ", String(i))).pipe(Stream.rechunk(1)),
  extra: TestLanguageModel.Options = {}
) => {
  const requests: Array<LanguageModel.ProviderOptions> = []
  const layer: Layer.Layer<LanguageModel.LanguageModel> = TestLanguageModel.layer({
    ...extra,
    script: ({ isStreamed, options }) => {
      const index = requests.push(options) - 1
      if (isStreamed) return streams(options, index)
      const answer = script(options, index)
      const exact = (parts: Parts) => TestLanguageModel.exactly(...parts)
      return Effect.isEffect(answer) ? Effect.map(answer, exact) : exact(answer)
    }
  })
  return { layer, requests }
}

export const identity = { model: "scripted", temperature: 1 }

export type Provider = ReturnType<typeof scripted>

/** A cached model over a provider, with its `LlmModel` in a store. */
export const cached = <E, S = never>(
  provider: Layer.Layer<LanguageModel.LanguageModel, E>,
  options: CachedModel.Options & {
    readonly store?: Persistent.InStore<S>["store"]
    readonly request?: Partial<RequestModel.Options>
    readonly cache?: Persistent.StoreOptions
  } = {}
) => {
  const { cache, request, store, ...model } = options
  return CachedModel.layer(model).pipe(
    Layer.provideMerge(Persistent.layer({ store: store ?? MemoryStore.layer, ...cache })),
    Layer.provide(RequestModel.layer({ ...identity, uniqueResponseIds: false, ...request })),
    Layer.provide(provider)
  )
}

/** A model that replays a store, without a provider. */
export const replayed = <S = never>(store: Persistent.InStore<S>["store"], options: CachedModel.Options = {}) =>
  CachedModel.layer(options).pipe(
    Layer.provideMerge(Persistent.layerReplication({ store, ...RequestModel.identity(identity) }))
  )
