/**
 * The provider that the examples sample: the one the environment names, or else a server that the example starts.
 */
import { NodeHttpClient } from "@effect/platform-node"
import {
  Ai302,
  Anthropic,
  CloseAi,
  DeepSeek,
  FireworksAi,
  Groq,
  Mistral,
  OpenAi,
  OpenAiCompatible,
  OpenRouter,
  Together,
  Xmcp
} from "@llm-cache/providers"
import { Config, Console, Effect, Layer, Option, Redacted } from "effect"
import { HttpClient } from "effect/http"
import * as ChatServer from "./ChatServer.ts"

/** The vendors of OpenAI's protocol, the variables of their keys, and a model of each for where `LLM_MODEL` names none. */
export const chatVendors = [
  { name: "OpenAI", key: "OPENAI_API_KEY", vendor: OpenAi, model: "gpt-4o-mini" },
  { name: "OpenRouter", key: "OPENROUTER_API_KEY", vendor: OpenRouter, model: "meta-llama/llama-3.1-8b-instruct" },
  { name: "DeepSeek", key: "DEEPSEEK_API_KEY", vendor: DeepSeek, model: "deepseek-chat" },
  { name: "Together AI", key: "TOGETHER_API_KEY", vendor: Together, model: "meta-llama/Llama-3.3-70B-Instruct-Turbo" },
  { name: "Groq", key: "GROQ_API_KEY", vendor: Groq, model: "llama-3.1-8b-instant" },
  { name: "Mistral", key: "MISTRAL_API_KEY", vendor: Mistral, model: "mistral-small-latest" },
  { name: "302.ai", key: "AI302_API_KEY", vendor: Ai302, model: "gpt-4o" },
  { name: "CloseAI", key: "CLOSEAI_API_KEY", vendor: CloseAi, model: "gpt-4o" },
  {
    name: "Fireworks AI",
    key: "FIREWORKS_API_KEY",
    vendor: FireworksAi,
    model: "accounts/fireworks/models/llama-v3p1-8b-instruct"
  },
  { name: "XMCP", key: "XMCP_API_KEY", vendor: Xmcp, model: "ali/qwen2.5-7b-instruct" }
]

const anthropic = {
  layer: ({ model, temperature }: { readonly model: string; readonly temperature: number }) =>
    Anthropic.layer({ model, temperature, parameters: { max_tokens: 1024 } })
}

const vendors = [
  ...chatVendors,
  { name: "Anthropic", key: "ANTHROPIC_API_KEY", vendor: anthropic, model: "claude-haiku-4-5" }
]

const configured = (name: string) => Config.option(Config.NonEmptyString(name))

/** Whether the environment names a server. It prints that. */
export const isServerNamed = Effect.tap(
  Effect.map(configured("LLM_BASE_URL"), Option.isSome),
  (isNamed) => isNamed ? Console.log("Provider: the server that LLM_BASE_URL names") : Effect.void
)

/** The first vendor whose key the environment has, with the model to ask. It prints which one that is. */
export const findVendor = Effect.fnUntraced(
  function*<V extends { readonly name: string; readonly key: string; readonly model: string }>(
    vendors: ReadonlyArray<V>
  ) {
    for (const vendor of vendors) {
      if (Option.isNone(yield* configured(vendor.key))) continue
      const model = Option.getOrElse(yield* configured("LLM_MODEL"), () => vendor.model)
      yield* Console.log(`Provider: ${vendor.name}, by the key in ${vendor.key}, with the model ${model}`)
      return { ...vendor, model }
    }
    return undefined
  }
)

/** A model of the server that the example starts. */
export const loopback = Layer.unwrap(
  Effect.map(
    ChatServer.ChatServer,
    ({ baseUrl }) =>
      OpenAiCompatible.layer({ baseUrl, apiKey: Redacted.make("none"), model: "random-numbers", temperature: 1 })
  )
)

/** The provider that the environment names. It prints which one that is. */
export const provider = Layer.unwrap(Effect.gen(function*() {
  if (yield* isServerNamed) return OpenAiCompatible.layerConfig()
  const found = yield* findVendor(vendors)
  if (found !== undefined) return found.vendor.layer({ model: found.model, temperature: 1 })
  yield* Console.log("Provider: no API key is set, so a small server on loopback answers, with random numbers.")
  yield* Console.log("          LLM_BASE_URL, LLM_API_KEY and LLM_MODEL, or a vendor's key, name a real one.")
  return Layer.provide(loopback, ChatServer.layer())
}))

/** A layer, built until the scope closes, and a count of the requests that it sends. */
export const counted = Effect.fnUntraced(function*<A, E>(layer: Layer.Layer<A, E, HttpClient.HttpClient>) {
  let sent = 0
  const client = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, HttpClient.tapRequest(() => Effect.sync(() => sent++)))
  )
  const context = yield* Layer.build(Layer.provide(layer, Layer.provide(client, NodeHttpClient.layerUndici)))
  return { layer: Layer.succeedContext(context), requestsSent: Effect.sync(() => sent) }
})

/** The provider, ready for use until the scope closes, and a count of the requests that are sent to it. */
export const make = counted(provider)
