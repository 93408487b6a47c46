import type * as LlmModel from "@llm-cache/core/LlmModel"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Context from "effect/Context"
import type { LiveStream } from "./liveStream.ts"

/** The request of a program that a draw is for. */
export interface DrawRequest {
  /** Its text, the prompt of the draw. */
  readonly text: string
  readonly options: LanguageModel.ProviderOptions
  /** The settings that are in its text. */
  readonly settings: { readonly [name: string]: unknown }
  /** The context of the program, in which its model is to run. */
  readonly context: Context.Context<never>
  /** The stream of the program, if it asked for one. */
  readonly stream: LiveStream | undefined
}

/** A request and the model that draws its answer. */
export interface Prepared {
  readonly model: LlmModel.Model
  readonly request: DrawRequest
}

// A draw is forked from the fiber that starts it, and a draw that joins it has an equal request.
export const CurrentRequest = Context.Reference<DrawRequest | undefined>("@llm-cache/ai/CurrentRequest", {
  defaultValue: () => undefined
})
