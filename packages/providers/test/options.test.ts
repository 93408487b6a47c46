import { assert, describe, it } from "@effect/vitest"
import { LlmModel } from "@llm-cache/core"
import { OpenAi, OpenAiCompatible, Xmcp } from "@llm-cache/providers"
import { Effect, Redacted } from "effect"
import { noRequests } from "./support/clients.ts"
import { invalidInputOf } from "./support/model.ts"
import { chatProtocols, type Protocol, protocols } from "./support/protocols.ts"

const parameters = [
  "max_tokens",
  "maxTokens",
  "max_completion_tokens",
  "num_predict",
  "top_p",
  "topP",
  "top_k",
  "stop",
  "seed",
  "response_format",
  "guided_json"
]

const ofChats = { messages: "pass the prompt when you sample", stream: "leave it out" }

const others = {
  base_url: "write `baseUrl`",
  baseURL: "write `baseUrl`",
  api_key: "write `apiKey`",
  Temperature: "write `temperature`",
  max_batch: "write `maxBatch`",
  n: "ask for a `batch` when you sample",
  user: "fields without effect on the samples in `request`"
}

const failure = <A, E>(effect: Effect.Effect<A, E>) => Effect.map(Effect.flip(effect), invalidInputOf)

const built = (layer: Protocol["layer"], options: object) =>
  failure(
    LlmModel.sampleOne("p").pipe(Effect.provide(layer("http://127.0.0.1:1", options)), Effect.provide(noRequests))
  )

describe.each(chatProtocols)("a model of %s", (_, { layer }) => {
  it.effect.each(Object.entries(ofChats))(
    "does not ignore a field of the protocol: %s",
    ([name, advice]) =>
      Effect.gen(function*() {
        assert.include(yield* built(layer, { [name]: 1 }), `there is no option \`${name}\`: ${advice}`)
      })
  )
})

describe.each(protocols)("a model of %s", (_, { layer }) => {
  it.effect.each(parameters)(
    "does not ignore a sampling parameter beside the options: %s",
    (name) =>
      Effect.gen(function*() {
        const message = yield* built(layer, { [name]: 1 })
        assert.include(message, `there is no option \`${name}\`: give parameters of the sampling in \`parameters\``)
      })
  )

  it.effect.each(Object.entries(others))(
    "does not ignore an option that it does not have: %s",
    ([name, advice]) =>
      Effect.gen(function*() {
        const message = yield* built(layer, { [name]: 1 })
        assert.include(message, `there is no option \`${name}\`: `)
        assert.include(message, advice)
      })
  )

  it.effect("takes an unknown option that is undefined for an absent one", () =>
    Effect.gen(function*() {
      yield* Effect.provide(LlmModel.LlmModel, layer("http://127.0.0.1:1", { top_p: undefined } as object)).pipe(
        Effect.provide(noRequests)
      )
    }))
})

describe("a model from configuration, or of a vendor", () => {
  it.effect("does not ignore a sampling parameter beside the options", () =>
    Effect.gen(function*() {
      const options = { model: "m", baseUrl: "http://127.0.0.1:1", apiKey: Redacted.make("sk"), top_p: 1 }
      const { baseUrl: _, ...ofVendor } = options
      for (const layer of [OpenAiCompatible.layerConfig(options), OpenAi.layer(ofVendor), Xmcp.layer(ofVendor)]) {
        const message = yield* failure(Effect.provide(LlmModel.LlmModel, layer).pipe(Effect.provide(noRequests)))
        assert.include(message, "there is no option `top_p`")
      }
    }))

  it.effect("does not send the requests of a vendor to another URL in silence", () =>
    Effect.gen(function*() {
      const options = { model: "m", baseUrl: "http://127.0.0.1:1" }
      const message = yield* failure(
        Effect.provide(LlmModel.LlmModel, OpenAi.layer(options)).pipe(Effect.provide(noRequests))
      )
      assert.include(
        message,
        "`baseUrl` is that of OpenAI already: leave it out, or give it to `OpenAiCompatible.layer`"
      )
    }))
})
