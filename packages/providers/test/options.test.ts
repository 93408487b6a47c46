import { assert, describe, it } from "@effect/vitest"
import { LlmModel } from "@llm-cache/core"
import { Anthropic, Ollama, OpenAi, OpenAiCompatible, Xmcp } from "@llm-cache/providers"
import { Config, Effect, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { noRequests } from "./support/clients.ts"
import { invalidInputOf } from "./support/model.ts"
import { chatProtocols, type Protocol, protocols } from "./support/protocols.ts"
import { makeServer, type Received } from "./support/server.ts"

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
  user: "fields without effect on the samples in `request`",
  toString: "give parameters of the sampling in `parameters`"
}

const wrong: ReadonlyArray<[options: object, message: string]> = [
  [{ parameters: null }, "`parameters`"],
  [{ headers: { "x-team": {} } }, "`headers` has a value of `x-team` that is no text"],
  [{ headers: { "x-key": Config.Redacted("KEY") } }, "`headers` has a value of `x-key` that is no text"],
  [{ headers: { "x-key": null } }, "`headers` has a value of `x-key` that is no text"],
  [{ query: { version: () => "1" } }, "`query` has a value of `version` that is no text"],
  [{ retry: 3 }, "`retry` is no `Schedule`"],
  [{ limits: { requestPerMinute: 3 } }, "there is no limit `requestPerMinute`: give `inFlight`"]
]

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

describe.each(protocols)("a model of %s", (name, { layer, success }) => {
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

  it.effect.each(wrong)(
    "fails for a value that it cannot use, before it sends a request: %j",
    ([options, message]) =>
      Effect.gen(function*() {
        assert.include(yield* built(layer, { parameters: { max_tokens: 9 }, ...options }), message)
      })
  )

  it.effect("takes an option or a field that is undefined for an absent one", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(success())
      const limit = name === "Ollama" ? "num_predict" : "max_tokens"
      yield* LlmModel.sampleOne("p").pipe(
        Effect.provide(layer(server.url, {
          temperature: 0.5,
          top_p: undefined,
          limits: { inFlight: undefined, other: undefined },
          query: { version: undefined },
          parameters: { [limit]: 9, top_p: 0.5, temperature: undefined, n: undefined },
          request: { top_p: undefined, model: undefined, stream: undefined }
        } as object)),
        Effect.provide(FetchHttpClient.layer)
      )
      const [{ body, path }] = server.received as [Received]
      assert.notInclude(path, "version")
      assert.include({ ...body, ...body["options"] as object }, { temperature: 0.5, top_p: 0.5 })
      assert.isDefined(body.model)
    }))
})

it.effect("a base URL that ends in the path of a request is told before a request", () =>
  Effect.gen(function*() {
    const base = "http://127.0.0.1:1/v1"
    const paths = {
      "/chat/completions": (baseUrl: string) =>
        OpenAiCompatible.layer({ model: "m", baseUrl, apiKey: Redacted.make("k") }),
      "/api/chat": (baseUrl: string) => Ollama.layer({ model: "m", baseUrl }),
      "/v1/messages": (baseUrl: string) =>
        Anthropic.layer({ model: "m", baseUrl, apiKey: Redacted.make("k"), parameters: { max_tokens: 9 } })
    }
    for (const [path, layer] of Object.entries(paths)) {
      for (const baseUrl of [`${base}${path}`, `${base}${path}/`]) {
        const build = Effect.provide(LlmModel.LlmModel, layer(baseUrl)).pipe(Effect.provide(noRequests))
        assert.include(
          invalidInputOf(yield* Effect.flip(build)),
          `\`baseUrl\` ends in \`${path}\`, which each request adds: leave it out`
        )
      }
      yield* Effect.provide(LlmModel.LlmModel, layer(base)).pipe(Effect.provide(noRequests))
    }
  }))

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
      const absent: { readonly model: string } = Object.assign(options, { baseUrl: undefined })
      yield* Effect.provide(LlmModel.LlmModel, OpenAi.layer(absent)).pipe(Effect.provide(noRequests))
    }))
})
