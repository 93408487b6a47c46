/**
 * The provider that the examples sample: the one the environment names, or else a server that the example starts.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { Ai302, CloseAi, FireworksAi, OpenAiCompatible, Xmcp } from "@llm-cache/providers"
import { Config, Console, Effect, Layer, Option, Redacted } from "effect"
import { HttpClient } from "effect/http"
import * as ChatServer from "./ChatServer.ts"

/** The vendors, the variables of their keys, and a model of each for where `LLM_MODEL` names none. */
const vendors = [
  { key: "AI302_API_KEY", vendor: Ai302, model: "gpt-4o" },
  { key: "CLOSEAI_API_KEY", vendor: CloseAi, model: "gpt-4o" },
  { key: "FIREWORKS_API_KEY", vendor: FireworksAi, model: "accounts/fireworks/models/llama-v3p1-8b-instruct" },
  { key: "XMCP_API_KEY", vendor: Xmcp, model: "ali/qwen2.5-7b-instruct" }
]

/** A model of the server that the example starts. */
export const loopback = Layer.unwrap(
  Effect.map(
    ChatServer.ChatServer,
    ({ baseUrl }) =>
      OpenAiCompatible.layer({ baseUrl, apiKey: Redacted.make("none"), model: "random-numbers", temperature: 1 })
  )
)

const provider = Layer.unwrap(Effect.gen(function*() {
  const configured = (name: string) => Config.option(Config.NonEmptyString(name))
  if (Option.isSome(yield* configured("LLM_BASE_URL"))) {
    yield* Console.log("Provider: LLM_BASE_URL")
    return OpenAiCompatible.layerConfig()
  }
  for (const { key, model, vendor } of vendors) {
    if (Option.isSome(yield* configured(key))) {
      yield* Console.log(`Provider: the one of ${key}`)
      return vendor.layer({ model: Option.getOrElse(yield* configured("LLM_MODEL"), () => model), temperature: 1 })
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
