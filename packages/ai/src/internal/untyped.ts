import type * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"

/** A `LanguageModel` for options that are passed on: their types are those of the program, which are not known here. */
export interface Untyped {
  readonly generateText: (options: object) => Effect.Effect<{ readonly content: Parts }, AiError.AiError>
  readonly generateObject: (
    options: object
  ) => Effect.Effect<{ readonly content: Parts; readonly value: unknown }, AiError.AiError>
  readonly streamText: (options: object) => Stream.Stream<Response.AnyPart, AiError.AiError>
}

type Parts = ReadonlyArray<Response.AnyPart>

export const untyped = (model: LanguageModel.LanguageModel): Untyped => model as never

/** The inverse: methods with the types of the model that they pass their options on to. */
export const typedAs = (model: LanguageModel.LanguageModel, methods: Untyped): LanguageModel.LanguageModel =>
  ({ ...model, ...methods }) as never
