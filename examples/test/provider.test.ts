import { assert, describe, it } from "@effect/vitest"
import { CachedModel } from "@llm-cache/ai"
import { LlmModel } from "@llm-cache/core"
import * as Providers from "@llm-cache/providers"
import * as Vendors from "@llm-cache/providers/Vendors"
import { ConfigProvider, Console, Effect, Layer } from "effect"
import { LanguageModel } from "effect/ai"
import { HttpClient, HttpClientResponse } from "effect/http"
import * as LanguageProvider from "../shared/LanguageProvider.ts"
import * as Provider from "../shared/Provider.ts"

/** The variable of a vendor's key, as its error names it. */
const variableOf = (vendor: Pick<typeof Vendors.OpenAi, "layer">) =>
  LlmModel.sampleOne("p").pipe(
    Effect.provide(vendor.layer({ model: "m" })),
    Effect.provideService(HttpClient.HttpClient, HttpClient.make(() => Effect.die("asked"))),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))),
    Effect.flip,
    Effect.map(({ message }) => /set (\w+)/.exec(message)![1]!)
  )

const asking = {
  sampleOne: Effect.exit(Effect.provide(LlmModel.sampleOne("p"), Provider.provider)),
  generateText: LanguageModel.generateText({ prompt: "p" }).pipe(
    Effect.provide(Layer.provide(CachedModel.layer(), LanguageProvider.requests)),
    Effect.exit
  )
}

/** The first line, the host and the model of a program with some variables in its environment. */
const choose = Effect.fnUntraced(function*(
  variables: Record<string, string>,
  ask: Effect.Effect<unknown, never, HttpClient.HttpClient> = asking.sampleOne
) {
  const lines: Array<string> = []
  const asked: Array<[host: string, body: string]> = []
  const client = HttpClient.make((request, url) =>
    Effect.sync(() => {
      assert(request.body._tag === "Uint8Array")
      asked.push([url.host, new TextDecoder().decode(request.body.body)])
      return HttpClientResponse.fromWeb(request, new Response("{}", { status: 400 }))
    })
  )
  yield* ask.pipe(
    Effect.provideService(HttpClient.HttpClient, client),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables))),
    Effect.provideService(Console.Console, { ...console, log: (line: string) => void lines.push(line) })
  )
  return { line: lines[0], host: asked[0]?.[0], body: asked[0]?.[1] ?? "" }
})

describe("the provider of the examples", () => {
  const vendors: ReadonlyArray<[name: string, vendor: Pick<typeof Vendors.OpenAi, "layer">]> = [
    ...Object.entries(Vendors),
    ["Anthropic", { layer: (options) => Providers.Anthropic.layer({ ...options, parameters: { max_tokens: 1 } }) }]
  ]

  it.effect.each(vendors)(
    "is %s if its key is set, and the first line says so",
    ([, vendor]) =>
      Effect.gen(function*() {
        const variable = yield* variableOf(vendor)
        const { body, host, line } = yield* choose({ [variable]: "sk-1" })
        assert.match(line!, new RegExp(`^Provider: .+, by the key in ${variable}, with the model .+$`))
        assert.match(host!, /\./)
        assert.include(body, `"${line!.split("with the model ")[1]!}"`)
        const other = yield* choose({ [variable]: "sk-1", LLM_MODEL: "mine" })
        assert.include(other.body, "\"mine\"")
      })
  )

  it.effect("is the server of LLM_BASE_URL before every vendor", () =>
    Effect.gen(function*() {
      const { host, line } = yield* choose({
        LLM_BASE_URL: "http://127.0.0.1:1",
        LLM_MODEL: "m",
        LLM_API_KEY: "sk-1",
        OPENAI_API_KEY: "sk-2"
      })
      assert.deepStrictEqual([host, line], ["127.0.0.1:1", "Provider: the server that LLM_BASE_URL names"])
    }))

  it.effect.each(Object.entries(Vendors))(
    "of effect/ai is %s if its key is set",
    ([, vendor]) =>
      Effect.gen(function*() {
        const variable = yield* variableOf(vendor)
        const { body, host, line } = yield* choose({ [variable]: "sk-1" }, asking.generateText)
        assert.match(line!, new RegExp(`^Provider: .+, by the key in ${variable}, with the model .+$`))
        assert.strictEqual(`https://${host}`, new URL(vendor.facts.baseUrl).origin)
        assert.include(body, `"${line!.split("with the model ")[1]!}"`)
      })
  )

  it.effect("of effect/ai is the server of LLM_BASE_URL before every vendor", () =>
    Effect.gen(function*() {
      const server = {
        LLM_BASE_URL: "http://127.0.0.1:1",
        LLM_MODEL: "mine",
        LLM_API_KEY: "sk-1",
        OPENAI_API_KEY: "sk-2"
      }
      const { body, host, line } = yield* choose(server, asking.generateText)
      assert.deepStrictEqual([host, line], ["127.0.0.1:1", "Provider: the server that LLM_BASE_URL names"])
      assert.include(body, "\"mine\"")
    }))
})
