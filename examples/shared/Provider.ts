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

const anthropic = {
  layer: ({ model, temperature }: { readonly model: string; readonly temperature: number }) =>
    Anthropic.layer({ model, temperature, parameters: { max_tokens: 1024 } })
}

/** The vendors, the variables of their keys, and a model of each for where `LLM_MODEL` names none. */
const vendors = [
  { name: "OpenAI", key: "OPENAI_API_KEY", vendor: OpenAi, model: "gpt-4o-mini" },
  { name: "Anthropic", key: "ANTHROPIC_API_KEY", vendor: anthropic, model: "claude-haiku-4-5" },
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
  const configured = (name: string) => Config.option(Config.NonEmptyString(name))
  if (Option.isSome(yield* configured("LLM_BASE_URL"))) {
    yield* Console.log("Provider: the server that LLM_BASE_URL names")
    return OpenAiCompatible.layerConfig()
  }
  for (const { key, model: usual, name, vendor } of vendors) {
    if (Option.isSome(yield* configured(key))) {
      const model = Option.getOrElse(yield* configured("LLM_MODEL"), () => usual)
      yield* Console.log(`Provider: ${name}, by the key in ${key}, with the model ${model}`)
      return vendor.layer({ model, temperature: 1 })
    }
  }
  yield* Console.log("Provider: no API key is set, so a small server on loopback answers, with random numbers.")
  yield* Console.log("          LLM_BASE_URL, LLM_API_KEY and LLM_MODEL, or a vendor's key, name a real one.")
  return Layer.provide(loopback, ChatServer.layer())
}))

/** The provider, ready for use until the scope closes, and a count of the requests that are sent to it. */
export const make = Effect.gen(function*() {
  let sent = 0
  const client = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, HttpClient.tapRequest(() => Effect.sync(() => sent++)))
  )
  const context = yield* Layer.build(Layer.provide(provider, Layer.provide(client, NodeHttpClient.layerUndici)))
  return { layer: Layer.succeedContext(context), requestsSent: Effect.sync(() => sent) }
})
