/**
 * The `LanguageModel` that the examples ask, as a model of requests: a vendor's, if the environment has its key, or else that of
 * a server that the example starts.
 */
import { RequestModel } from "@llm-cache/ai"
import * as ChatCompletionsModel from "@llm-cache/providers/ChatCompletionsModel"
import { Config, Console, Effect, Layer, Redacted } from "effect"
import * as Provider from "./Provider.ts"
import * as ScriptedServer from "./ScriptedServer.ts"

const config = { temperature: 1 }

/** The model of requests that the environment names. It prints which one that is. */
export const requests = Layer.unwrap(Effect.gen(function*() {
  if (yield* Provider.isServerNamed) {
    const baseUrl = yield* Config.String("LLM_BASE_URL")
    const apiKey = yield* Config.Redacted("LLM_API_KEY")
    return RequestModel.from(
      (options) => ChatCompletionsModel.layer({ baseUrl, apiKey, ...options }),
      { model: yield* Config.String("LLM_MODEL"), config }
    )
  }
  const found = yield* Provider.findVendor(Provider.chatVendors)
  if (found !== undefined) {
    const { model, vendor } = found
    return RequestModel.from((options) => ChatCompletionsModel.layer({ vendor, ...options }), { model, config })
  }
  yield* Console.log("Provider: no API key is set, so a server on loopback answers, by a script.")
  yield* Console.log("          LLM_BASE_URL, LLM_API_KEY and LLM_MODEL, or a vendor's key, name a real one.")
  const baseUrl = yield* ScriptedServer.start
  return RequestModel.from(
    (options) => ChatCompletionsModel.layer({ baseUrl, apiKey: Redacted.make("none"), ...options }),
    { model: "scripted", config }
  )
}))

/** The model of requests, ready for use until the scope closes, and a count of the requests that are sent. */
export const make = Provider.counted(requests)
