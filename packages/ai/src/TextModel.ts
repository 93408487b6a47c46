/**
 * Models of texts and `LanguageModel`s, each made from the other.
 *
 * **When to use**
 *
 * Use `layer` to sample texts, by `LlmModel.sample`, from the `LanguageModel` of a provider. Use `layerLanguageModel` to run code
 * that asks for a `LanguageModel`, with prompts of one text, on a model of texts and its caches.
 *
 * **Details**
 *
 * A text and the request that consists of this text are two keys: `TextModel` keeps texts, as every model of core, and
 * `RequestModel` keeps requests.
 *
 * @since 0.1.0
 */
import type * as Identity from "@llm-cache/core/Identity"
import { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import type { Sample } from "@llm-cache/core/Sample"
import type * as SampleError from "@llm-cache/core/SampleError"
import type * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Response from "effect/ai/Response"
import { CurrentSpanTransformer } from "effect/ai/Telemetry"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { toAiError, toProviderError } from "./internal/aiErrors.ts"
import { hasUsage } from "./internal/toldSpan.ts"
import * as ModelAnswer from "./ModelAnswer.ts"

/**
 * How a model of texts is named and asked.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options
  extends Identity.Options, Pick<LlmModel.Options, "concurrency" | "provider" | "uniqueResponseIds">
{}

/**
 * Makes a model of texts from a `LanguageModel`. Each sample is one request without tools.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  inner: LanguageModel.LanguageModel,
  options: Options
): Effect.Effect<LlmModel.Model, InvalidInput> =>
  LlmModel.make({
    ...options,
    maxBatch: 1,
    generate: ({ prompt }) =>
      Effect.gen(function*(): Effect.fn.Return<LlmModel.Generation, AiError.AiError> {
        const transformer = yield* Effect.serviceOption(CurrentSpanTransformer)
        let isUsageTraced = false
        const response = yield* Effect.provideService(
          inner.generateText({ prompt }),
          CurrentSpanTransformer,
          (told) => {
            isUsageTraced = hasUsage(told.span)
            if (Option.isSome(transformer)) transformer.value(told)
          }
        )
        return {
          ...ModelAnswer.toGeneration({ of: "whole", parts: response.content.flatMap(countedPart) }),
          isUsageTraced,
          samples: [{
            text: response.text,
            finishReason: response.finishReason,
            reasoning: response.reasoningText
          }]
        }
      }).pipe(Effect.mapError((error) => toProviderError(options.alias ?? options.model, error)))
  })

/** The parts with the tokens, the model and the id. */
const countedPart = (part: Response.AnyPart): ReadonlyArray<Response.PartEncoded> =>
  part.type === "finish"
    ? [{ type: "finish", reason: part.reason, usage: part.usage }]
    : part.type === "response-metadata"
    ? [{ type: "response-metadata", id: part.id, modelId: part.modelId }]
    : []

/**
 * Provides a model of texts over the `LanguageModel` that is provided.
 *
 * **Example** (Independent texts from a provider of Effect)
 *
 * ```ts
 * import { TextModel } from "@llm-cache/ai"
 * import { Independent, LlmModel, Persistent } from "@llm-cache/core"
 * import { Effect, Layer } from "effect"
 * import type { LanguageModel } from "effect/ai"
 *
 * declare const provider: Layer.Layer<LanguageModel.LanguageModel>
 *
 * const program = LlmModel.sampleMany("Choose a number between 1 and 1000.", 3).pipe(
 *   Effect.provide(LlmModel.stack(
 *     Independent.layer,
 *     Persistent.layer({ directory: "~/.llm_cache" }),
 *     Layer.provide(TextModel.layer({ model: "gpt-4o", temperature: 0.7 }), provider)
 *   ))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<LlmModel.LlmModel, InvalidInput, LanguageModel.LanguageModel> =>
  Layer.fresh(
    Layer.effect(LlmModel.LlmModel, Effect.flatMap(LanguageModel.LanguageModel, (inner) => make(inner, options)))
  )

/**
 * Makes a `LanguageModel` that answers prompts of one text by samples of the nearest model of texts, and of `model` for calls
 * without one in their context.
 *
 * **Details**
 *
 * A prompt with several messages, files, tools or a schema fails with an `InvalidInput` behind the `AiError`, see `CacheErrors`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeLanguageModel = (model: LlmModel.Model): Effect.Effect<LanguageModel.LanguageModel> => {
  const sampled = (options: LanguageModel.ProviderOptions): Effect.Effect<Sample, SampleError.SampleError> =>
    Effect.gen(function*() {
      const nearest = Context.getOrUndefined(yield* Effect.context(), LlmModel.LlmModel) ?? model
      return yield* LlmModel.sampleOneWithMetadata(yield* textOf(options)).pipe(
        Effect.provideService(LlmModel.LlmModel, nearest)
      )
    })
  return LanguageModel.make({
    generateText: (options) =>
      sampled(options).pipe(Effect.map(partsOf), Effect.mapError((error) => toAiError("generateText", error))),
    streamText: (options): Stream.Stream<Response.StreamPartEncoded, AiError.AiError> =>
      sampled(options).pipe(
        Effect.map((sample) => Stream.fromArray(ModelAnswer.toStream({ of: "whole", parts: partsOf(sample) }))),
        Effect.mapError((error) => toAiError("streamText", error)),
        Stream.unwrap
      )
  })
}

const textOf = (
  { prompt, responseFormat, tools }: LanguageModel.ProviderOptions
): Effect.Effect<string, InvalidInput> => {
  const [message, ...others] = prompt.content
  const [part, ...parts] = message?.role === "user" ? message.content : []
  return part?.type === "text" && others.length + parts.length + tools.length === 0 && responseFormat.type === "text"
    ? Effect.succeed(part.text)
    : Effect.fail(
      new InvalidInput({
        module: "TextModel",
        description: "a model of texts answers only a prompt of one user text, without tools and schemas: " +
          "use `RequestModel` and `CachedModel` for all others"
      })
    )
}

const partsOf = ({ metadata, text }: Sample): Array<Response.PartEncoded> => [
  { type: "response-metadata", id: metadata.responseId, modelId: metadata.model },
  ...metadata.reasoning === undefined ? [] : [{ type: "reasoning", text: metadata.reasoning } as const],
  { type: "text", text },
  {
    type: "finish",
    reason: reasonOf(metadata.finishReason),
    usage: { inputTokens: { total: metadata.inputTokens }, outputTokens: { total: metadata.outputTokens } }
  }
]

// Vendors write `tool_calls` and `content_filter`.
const reasonOf = (reason: string | undefined): Response.FinishReason => {
  const name = reason?.replaceAll("_", "-")
  return Response.FinishReason.literals.find((known) => known === name) ??
    (reason === undefined ? "unknown" : aliases[reason] ?? "other")
}

const aliases: { readonly [reason: string]: Response.FinishReason } = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  refusal: "content-filter"
}

/**
 * Provides a `LanguageModel` of prompts of one text over the model of texts that is provided.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLanguageModel: Layer.Layer<LanguageModel.LanguageModel, never, LlmModel.LlmModel> = Layer.fresh(
  Layer.effect(LanguageModel.LanguageModel, Effect.flatMap(LlmModel.LlmModel, makeLanguageModel))
)
