import type { InvalidInput } from "@llm-cache/core/InvalidInput"
import * as LlmModel from "@llm-cache/core/LlmModel"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type { VendorOptions } from "../OpenAiCompatible.ts"
import * as ApiKey from "./apiKey.ts"
import { chatCompletions } from "./chatCompletions.ts"
import * as Provider from "./provider.ts"

/** What makes a vendor. */
export interface Vendor {
  /** Its name in messages. */
  readonly name: string
  /** Its name in spans, by https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ where that has one. */
  readonly id: string
  readonly baseUrl: string
  /** The configuration variable that its key is read from. */
  readonly key: string
  /** The most samples that it gives for a request, where that is known. */
  readonly maxBatch?: number
}

/** What the module of a vendor has. */
export const vendor = ({ baseUrl, id, key, maxBatch, name }: Vendor): {
  readonly make: (options: VendorOptions) => Effect.Effect<LlmModel.Model, InvalidInput, HttpClient>
  readonly layer: (options: VendorOptions) => Layer.Layer<LlmModel.LlmModel, InvalidInput, HttpClient>
} => {
  const make = (options: VendorOptions) =>
    Effect.flatMap(
      options.apiKey === undefined ? ApiKey.fromVariable(key) : Effect.succeed(ApiKey.fromValue(options.apiKey)),
      (apiKey) =>
        Provider.make(chatCompletions, {
          ...options,
          maxBatch: options.maxBatch ?? maxBatch,
          name,
          id,
          baseUrl,
          apiKey
        })
    )
  return { make, layer: (options) => Layer.effect(LlmModel.LlmModel, make(options)) }
}
