import { CachedModel, RequestModel } from "@llm-cache/ai"
import { MemoryStore, Persistent } from "@llm-cache/core"
import { Effect, Layer, Stream } from "effect"
import { AiError, LanguageModel, type Response } from "effect/ai"

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

/** The error of a call of a tool that was not offered. Providers fail with it unless `toolCallValidation` is `"deferred"`. */
const refusal = (
  { toolCallValidation, tools }: LanguageModel.ProviderOptions,
  method: string,
  part: Response.PartEncoded | Response.StreamPartEncoded
): AiError.AiError | undefined =>
  part.type !== "tool-call" || part.providerExecuted === true || toolCallValidation === "deferred" ||
    tools.some(({ name }) => name === part.name)
    ? undefined
    : AiError.make({
      module: "LanguageModel",
      method,
      reason: new AiError.ToolNotFoundError({ toolName: part.name, availableTools: tools.map(({ name }) => name) })
    })

const checkedParts = (options: LanguageModel.ProviderOptions, parts: Parts) => {
  const error = parts.map((part) => refusal(options, "generateText", part)).find((error) => error !== undefined)
  return error === undefined ? Effect.succeed([...parts]) : Effect.fail(error)
}

const checkedStream = (
  options: LanguageModel.ProviderOptions,
  stream: Stream.Stream<Response.StreamPartEncoded, AiError.AiError>
) => {
  let error: AiError.AiError | undefined
  const isRefused = (part: Response.StreamPartEncoded) => (error = refusal(options, "streamText", part)) !== undefined
  return Stream.concat(
    Stream.takeUntil(stream, isRefused, { excludeLast: true }),
    Stream.suspend(() => error === undefined ? Stream.empty : Stream.fail(error))
  )
}

/** A provider that answers from functions, and the requests it got. */
export const scripted = (
  script: Script = (_, i) => [text(`answer ${i}`), finish()],
  streams?: StreamScript,
  extra = {}
) => {
  const requests: Array<LanguageModel.ProviderOptions> = []
  const layer = Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      ...extra,
      generateText: (options) =>
        Effect.suspend(() => {
          const answer = script(options, requests.push(options) - 1)
          return Effect.flatMap(
            Effect.isEffect(answer) ? answer : Effect.succeed(answer),
            (parts) => checkedParts(options, parts)
          )
        }),
      streamText: (options) =>
        Stream.suspend(() => {
          const index = requests.push(options) - 1
          return streams === undefined
            ? Stream.fromIterable(deltas("an", "swer ", String(index))).pipe(Stream.rechunk(1))
            : checkedStream(options, streams(options, index))
        })
    })
  )
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
