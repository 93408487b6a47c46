import * as LlmModel from "@llm-cache/core/LlmModel"
import type { ProviderError } from "@llm-cache/core/SampleError"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type { VendorOptions } from "../OpenAiCompatible.ts"
import * as ApiKey from "./apiKey.ts"
import * as ChatModel from "./chatModel.ts"

/** What makes a vendor: its name in messages, its URL, and the configuration variable that its key is read from. */
export interface Vendor {
  readonly name: string
  readonly baseUrl: string
  readonly key: string
}

/** The `layer` of a vendor's module. */
export const vendor =
  ({ baseUrl, key, name }: Vendor) =>
  (options: VendorOptions): Layer.Layer<LlmModel.LlmModel, ProviderError, HttpClient> =>
    Layer.effect(
      LlmModel.LlmModel,
      Effect.flatMap(
        options.apiKey === undefined ? ApiKey.fromVariable(key) : Effect.succeed(ApiKey.fromValue(options.apiKey)),
        (apiKey) => ChatModel.make({ ...options, name, baseUrl, apiKey })
      )
    )
