/**
 * An `EmbeddingModel` that remembers its vectors in a store.
 *
 * **Details**
 *
 * A vector is a function of its input and not a draw. So each input has one vector, in all forks and attempts and under `Independent`. Missing inputs of calls at one time are one request to the provider, each input once.
 *
 * @since 0.1.0
 */
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import { Key } from "@llm-cache/core/Key"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Persistent from "@llm-cache/core/Persistent"
import { SampleStore, type Store } from "@llm-cache/core/SampleStore"
import * as AiError from "effect/ai/AiError"
import * as EmbeddingModel from "effect/ai/EmbeddingModel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Request from "effect/Request"
import * as RequestResolver from "effect/RequestResolver"
import type * as Scope from "effect/Scope"
import { toAiError, toProviderError } from "./internal/aiErrors.ts"

/**
 * How the vectors are named in the store.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The provider's name of the model. */
  readonly model: string
  /**
   * The name the cache uses.
   *
   * @default the value of `model`
   */
  readonly alias?: string | undefined
  /**
   * The length of the vectors. Part of the identity. A vector of another length fails, and is not recorded.
   *
   * @default the provider's
   */
  readonly dimensions?: number | undefined
}

/**
 * Makes an `EmbeddingModel` that remembers the vectors of another one in a store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  inner: EmbeddingModel.EmbeddingModel,
  store: Store,
  options: Options
): Effect.Effect<EmbeddingModel.EmbeddingModel, InvalidInput, Scope.Scope> =>
  Effect.suspend(() => {
    const resolver = makeResolver(inner, options.dimensions)
    const generate = ({ prompt }: LlmModel.GenerateRequest) =>
      Effect.mapError(
        Effect.request(new Embedding({ input: prompt }), resolver),
        (error) => AiError.isAiError(error) ? toProviderError(options.alias ?? options.model, error) : error
      )
    return remembered(generate, store, options)
  })

class Embedding extends Request.TaggedClass("Embedding")<
  { readonly input: string },
  LlmModel.Generation,
  AiError.AiError | InvalidInput
> {}

const remembered = Effect.fnUntraced(function*(
  generate: LlmModel.Options["generate"],
  store: Store,
  { alias, dimensions, model }: Options,
  replication = false
): Effect.fn.Return<EmbeddingModel.EmbeddingModel, InvalidInput, Scope.Scope> {
  if (dimensions !== undefined && !(Number.isInteger(dimensions) && dimensions > 0)) {
    return yield* invalid(`\`dimensions\` is ${dimensions}: give a whole number of at least 1, or leave it out`)
  }
  const source = yield* LlmModel.make({
    model,
    ...alias === undefined ? {} : { alias },
    parameters: { dimensions, embedding: version },
    maxBatch: 1,
    generate
  })
  const cache = yield* Persistent.make(source, store, { replication })

  const draw = (input: string) =>
    Effect.flatMap(
      input.isWellFormed()
        ? cache.draw(new Key(cache.identity, input, []), 0, 1)
        : invalid("an input has a lone surrogate: repair it with `input.toWellFormed()`"),
      ([{ metadata, text }]) => Effect.map(vectorOf(text), (vector) => ({ vector, tokens: metadata.inputTokens }))
    )

  return yield* EmbeddingModel.make({
    embedMany: ({ inputs }) =>
      Effect.forEach(new Set(inputs), (input) => Effect.map(draw(input), (drawn) => [input, drawn] as const), {
        concurrency: "unbounded"
      }).pipe(
        Effect.map((drawn) => {
          const byInput = new Map(drawn)
          const tokens = drawn.flatMap(([, { tokens }]) => tokens === undefined ? [] : [tokens])
          return {
            results: inputs.map((input) => [...byInput.get(input)!.vector]),
            usage: { inputTokens: tokens.length === 0 ? undefined : tokens.reduce((sum, count) => sum + count, 0) }
          }
        }),
        Effect.mapError((error) => toAiError("embedMany", error, "EmbeddingModel"))
      )
  })
})

const version = "effect/ai/1"

const vectorOf = (text: string): Effect.Effect<ReadonlyArray<number>, InvalidInput> =>
  Effect.try({
    try: () => {
      const vector: unknown = JSON.parse(text)
      if (!Array.isArray(vector) || !vector.every(Number.isFinite)) throw new Error("no list of numbers")
      return vector as ReadonlyArray<number>
    },
    catch: () =>
      new InvalidInput({ module, description: "a sample in the store is no vector: remove it from the store" })
  })

/** Asks for the inputs of one time at once. The tokens of the request are those of its first vector. */
const makeResolver = (inner: EmbeddingModel.EmbeddingModel, dimensions: number | undefined) =>
  RequestResolver.make<Embedding>((entries) =>
    Effect.map(inner.embedMany(entries.map(({ request }) => request.input)), ({ embeddings, usage }) => {
      for (const [i, entry] of entries.entries()) {
        const { vector } = embeddings[i]!
        entry.completeUnsafe(
          dimensions === undefined || vector.length === dimensions
            ? Exit.succeed({
              samples: [JSON.stringify(vector)],
              inputTokens: i === 0 ? usage.inputTokens : undefined
            })
            : Exit.fail(
              new InvalidInput({
                module,
                description:
                  `the provider gave a vector of ${vector.length} numbers, and \`dimensions\` is ${dimensions}: ` +
                  "give the provider's layer and `CachedEmbeddings` the same number"
              })
            )
        )
      }
    })
  )

const module = "CachedEmbeddings"

const invalid = (description: string) => Effect.fail(new InvalidInput({ module, description }))

/**
 * Provides an `EmbeddingModel` that remembers the vectors of the one beneath in the store that is provided.
 *
 * **Example** (Vectors in a directory)
 *
 * ```ts
 * import { CachedEmbeddings } from "@llm-cache/ai"
 * import { DirectoryStore } from "@llm-cache/core"
 * import { Layer } from "effect"
 * import type { EmbeddingModel } from "effect/ai"
 *
 * declare const provider: Layer.Layer<EmbeddingModel.EmbeddingModel>
 *
 * const embeddings = CachedEmbeddings.layer({ model: "text-embedding-3-small" }).pipe(
 *   Layer.provide(DirectoryStore.layer("~/.llm_cache")),
 *   Layer.provide(provider)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<EmbeddingModel.EmbeddingModel, InvalidInput, EmbeddingModel.EmbeddingModel | SampleStore> =>
  Layer.fresh(Layer.effect(
    EmbeddingModel.EmbeddingModel,
    Effect.gen(function*() {
      return yield* make(yield* EmbeddingModel.EmbeddingModel, yield* SampleStore, options)
    })
  ))

/**
 * Answers from the store alone. A missing vector is a `ReplicationCacheMiss` behind the `AiError`, see `CacheErrors`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerReplication = (
  options: Options
): Layer.Layer<EmbeddingModel.EmbeddingModel, InvalidInput, SampleStore> =>
  Layer.fresh(Layer.effect(
    EmbeddingModel.EmbeddingModel,
    Effect.flatMap(SampleStore, (store) => remembered(neverAsked, store, options, true))
  ))

const neverAsked = () => Effect.die(new Error("a replicating cache asked its model"))
