import { assert, describe, it } from "@effect/vitest"
import { LlmModel, MemoryStore, Persistent, SampleStore } from "@llm-cache/core"
import { Ai302, Anthropic, Ollama, OpenAiCompatible } from "@llm-cache/providers"
import {
  Cause,
  Config,
  ConfigProvider,
  Effect,
  Exit,
  Layer,
  Logger,
  Redacted,
  References,
  Schedule,
  Schema,
  Tracer
} from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { inspect } from "node:util"
import { clients, noRequests } from "./support/clients.ts"
import { makeDirectory, readTree } from "./support/directory.ts"
import { invalidInputOf, reasonOf, sampling } from "./support/model.ts"
import { choice, choices, completion, cut, cutInBody, json, makeServer, type Reply, text } from "./support/server.ts"

// Characters that JSON, URLs and HTML escape.
const secret = "sk-AbC/d&e+f\"g'h<i>j=k\\l.m%n$o"
const html = secret.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)

const forms = (key: string): Record<string, string> => ({
  plain: key,
  "as JSON": JSON.stringify(key).slice(1, -1),
  "as JSON with its slashes escaped": JSON.stringify(key).slice(1, -1).replaceAll("/", "\\/"),
  "as JSON in JSON": JSON.stringify(JSON.stringify(key)).slice(3, -3),
  "as JSON in Unicode escapes": [...key].map((c) => `\\u00${c.charCodeAt(0).toString(16).toUpperCase()}`).join(""),
  "as a URL": encodeURIComponent(key),
  "as a URL in a URL": encodeURIComponent(encodeURIComponent(key)),
  "as HTML": html,
  "as HTML by names": key.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll(
    "\"",
    "&quot;"
  ),
  "in lower case": key.toLowerCase()
})

/** Every text that can be reached from a value, hidden or not. */
const textsIn = (value: unknown, seen = new Set<unknown>()): Array<string> => {
  if (typeof value === "string") return [value]
  if (typeof value !== "object" || value === null || seen.has(value)) return []
  seen.add(value)
  const fields = Reflect.ownKeys(value).flatMap((name): Array<unknown> => {
    const field = Reflect.getOwnPropertyDescriptor(value, name)
    return field !== undefined && "value" in field ? [field.value] : []
  })
  const items = value instanceof Map || value instanceof Set ? [...value.entries()] : []
  return [...fields, ...items].flatMap((field) => textsIn(field, seen))
}

/** All texts that a program could print about a draw. */
const everythingSaid = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const said: Array<string> = []
    const spans: Array<Tracer.Span> = []
    const exit = yield* effect.pipe(
      Effect.tapCause((cause) => Effect.logTrace("failed", cause)),
      Effect.exit,
      Effect.provideService(References.MinimumLogLevel, "Trace"),
      Effect.provide(Logger.layer([
        Logger.make((options) =>
          said.push(Logger.formatLogFmt.log(options), inspect(options.message, { depth: null }))
        ),
        Logger.make((options) => said.push(Logger.formatJson.log(options), Logger.formatSimple.log(options)))
      ])),
      Effect.provideService(HttpClient.TracerHeaderFilter, (_, phase) => phase === "request"),
      Effect.withTracer(Tracer.make({
        span(options) {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      }))
    )
    for (const span of spans) {
      said.push(span.name, inspect([...span.attributes], { depth: null }))
      if (span.status._tag === "Ended" && Exit.isFailure(span.status.exit)) {
        said.push(Cause.pretty(span.status.exit.cause), JSON.stringify(span.status.exit.cause))
      }
    }
    if (Exit.isFailure(exit)) {
      said.push(Cause.pretty(exit.cause), String(exit.cause), JSON.stringify(exit))
      const error = Cause.squash(exit.cause)
      said.push(String(error), JSON.stringify(error), inspect(error, { depth: null, showHidden: true }))
      for (let cause = error; cause instanceof Error; cause = cause.cause) said.push(cause.message, cause.stack ?? "")
      said.push(...textsIn(error))
    }
    return { said: said.join("\n"), spans, exit }
  })

const assertSilent = (said: string, key: string) => {
  for (const [name, form] of Object.entries(forms(key))) {
    assert.isFalse(said.includes(form), `the key, ${name}, in:\n${said}`)
  }
  assert.notInclude(said, key.slice(0, 8))
}

describe.each(clients)("an API key over %s", (_, client) => {
  it.effect.each(Object.entries(forms(secret)))(
    "is never printed if the server echoes it %s",
    ([, form]) =>
      Effect.gen(function*() {
        const replies: ReadonlyArray<Reply> = [
          text(200, `<html>${form}</html>`),
          text(200, `${"x".repeat(280)}${form}${form}`),
          text(200, `{"error":{"message":"bad key ${form}"}}`),
          text(200, JSON.stringify({ error: `bad key ${form}` })),
          text(200, JSON.stringify({ choices: [{ message: { content: 7 }, finish_reason: form }] })),
          text(200, JSON.stringify({ choices: [{ error: { message: form }, finish_reason: form }] })),
          text(401, JSON.stringify({ error: { message: `bad key ${form}`, code: form, type: form } })),
          text(400, JSON.stringify({ detail: form })),
          text(404, form),
          text(500, `<html>${form}</html>`),
          text(307, form, { location: `/${encodeURIComponent(form)}?key=${encodeURIComponent(form)}` })
        ]
        for (const reply of replies) {
          const server = yield* makeServer(reply)
          const { exit, said } = yield* everythingSaid(
            sampling(client, server.url, { apiKey: Redacted.make(secret) })(LlmModel.sampleOne("p"))
          )
          assert.isTrue(Exit.isFailure(exit))
          assertSilent(said, secret)
          assert.include(said, "<redacted>")
        }
      })
  )

  it.effect("is never printed after a broken connection or a sample", () =>
    Effect.gen(function*() {
      const echo = json(200, { id: secret, model: secret, choices: [choice(null, secret)] })
      for (const reply of [cut, cutInBody(200), cutInBody(500), completion(), echo]) {
        const server = yield* makeServer(reply)
        const { said, spans } = yield* everythingSaid(
          sampling(client, server.url, { apiKey: Redacted.make(secret), retry: Schedule.recurs(1) })(
            LlmModel.sampleOne("p")
          )
        )
        assertSilent(said, secret)
        assert.include(spans.map(({ name }) => name), "POST")
        // it was sent all the same
        assert.strictEqual(server.received[0]!.headers.authorization, `Bearer ${secret}`)
      }
      const { url } = yield* Effect.scoped(makeServer())
      const { said } = yield* everythingSaid(
        sampling(client, url, { apiKey: Redacted.make(secret) })(LlmModel.sampleOne("p"))
      )
      assertSilent(said, secret)
    }))

  it.effect("is never printed by Anthropic and Ollama", () =>
    Effect.gen(function*() {
      const apiKey = Redacted.make(secret)
      const retry = Schedule.recurs(0)
      for (
        const [header, value, layer] of [
          ["x-api-key", secret, (baseUrl: string) =>
            Anthropic.layer({ baseUrl, apiKey, retry, model: "m", parameters: { max_tokens: 1 } })],
          ["authorization", `Bearer ${secret}`, (baseUrl: string) =>
            Ollama.layer({ baseUrl, apiKey, retry, model: "m" })]
        ] as const
      ) {
        for (
          const reply of [
            text(200, `<html>${secret}</html>`),
            text(200, JSON.stringify({ type: "error", error: { type: secret, message: secret } })),
            text(200, JSON.stringify({ content: 7, message: secret, stop_reason: secret, done: true })),
            text(401, JSON.stringify({ error: secret })),
            cut
          ]
        ) {
          const server = yield* makeServer(reply)
          const { exit, said, spans } = yield* everythingSaid(
            LlmModel.sampleOne("p").pipe(Effect.provide(layer(server.url)), Effect.provide(client))
          )
          assert.isTrue(Exit.isFailure(exit))
          assertSilent(said, secret)
          assert.include(
            spans.map(({ name }) =>
              name
            ),
            "POST"
          )
          assert.strictEqual(server.received[0]!.headers[header], value)
        }
      }
    }))

  it.effect("is rejected before it is sent if no header can hold it", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      for (const key of ["sk-line\nbreak", "sk-\u0000nul", "sk-unicodé", "sk-\u{1d4b3}"]) {
        const { exit, said } = yield* everythingSaid(
          sampling(client, server.url, { apiKey: Redacted.make(key) })(LlmModel.sampleOne("p"))
        )
        assert.isTrue(Exit.isFailure(exit))
        if (Exit.isFailure(exit)) reasonOf(Cause.squash(exit.cause), "BadKey")
        assert.notInclude(said, key.slice(0, 6))
      }
      assert.lengthOf(server.received, 0)
    }))
})

describe("an API key", () => {
  it.effect("is sent without the white space around it", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      yield* LlmModel.sampleOne("p").pipe(
        sampling(FetchHttpClient.layer, server.url, { apiKey: Redacted.make(" sk-file \r\n") })
      )
      assert.strictEqual(server.received[0]!.headers.authorization, "Bearer sk-file")
    }))

  it.effect("is missing if it is empty, and nothing is sent", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      for (const key of ["", "  \n"]) {
        const error = yield* LlmModel.sampleOne("p").pipe(
          sampling(FetchHttpClient.layer, server.url, { apiKey: Redacted.make(key), retry: Schedule.recurs(3) }),
          Effect.flip
        )
        assert.include(reasonOf(error, "BadKey").description, "`apiKey` is empty")
      }
      assert.lengthOf(server.received, 0)
    }))

  // Values that the types exclude: programs in JavaScript, and `process.env.KEY!` of a variable that is not set.
  const wrong: ReadonlyArray<[what: string, key: unknown, advice: string]> = [
    [
      "an unset variable in a `Redacted`",
      Redacted.make(undefined),
      "`apiKey` holds no text: set the environment variable"
    ],
    ["a number in a `Redacted`", Redacted.make(7), "`apiKey` holds no text"],
    ["a plain text", secret, "`apiKey` is no `Redacted`: give `Redacted.make(key)`"],
    ["null", null, "no API key: `apiKey` is null"],
    ["a `Config` of a plain text", Config.succeed(secret), "the API key is no `Redacted`"]
  ]
  it.effect.each(wrong)(
    "fails the draw and not the module that makes the layer if it is %s",
    ([, key, advice]) =>
      Effect.gen(function*() {
        const apiKey = key as Redacted.Redacted
        const layers = [
          OpenAiCompatible.layer({ baseUrl: "http://127.0.0.1:1", model: "m", apiKey }),
          OpenAiCompatible.layerConfig({ baseUrl: "http://127.0.0.1:1", model: "m", apiKey }),
          Ai302.layer({ model: "m", apiKey }),
          Anthropic.layer({ model: "m", apiKey, parameters: { max_tokens: 1 } }),
          Ollama.layer({ model: "m", apiKey })
        ]
        for (const layer of layers) {
          const { exit, said } = yield* everythingSaid(
            LlmModel.sampleOne("p").pipe(Effect.provide(layer.pipe(Layer.provide(noRequests))))
          )
          assert(Exit.isFailure(exit))
          assert.include(reasonOf(Cause.squash(exit.cause), "BadKey").description, advice)
          assertSilent(said, secret)
        }
      })
  )

  it.effect.each(["headers", "query"])(
    "fails the draw if it is an unset variable in a `Redacted` of `%s`",
    (option) =>
      Effect.gen(function*() {
        const error = yield* LlmModel.sampleOne("p").pipe(
          sampling(noRequests, "http://127.0.0.1:1", { [option]: { "api-key": Redacted.make(undefined as never) } }),
          Effect.flip
        )
        assert.include(reasonOf(error, "BadKey").description, "the `Redacted` of `api-key` holds no text")
      })
  )

  it.effect("fails the draw if the option is left out where there is no variable", () =>
    Effect.gen(function*() {
      const options = { baseUrl: "http://127.0.0.1:1", model: "m" } as OpenAiCompatible.Options
      const error = yield* LlmModel.sampleOne("p").pipe(
        Effect.provide(OpenAiCompatible.layer(options)),
        Effect.provide(noRequests),
        Effect.flip
      )
      assert.include(reasonOf(error, "BadKey").description, "`apiKey` is undefined")
    }))

  it.effect("is rejected in a base URL, and the error does not quote it", () =>
    Effect.gen(function*() {
      for (
        const baseUrl of [
          "https://user:hunter2@api.example.com/v1",
          "https://hunter2@api.example.com/v1",
          "https://api.example.com/v1?key=hunter2",
          "https://api.example.com/v1#hunter2",
          "user:hunter2@api.example.com/v1",
          "https://hunter2 and more/v1"
        ]
      ) {
        const { exit, said } = yield* everythingSaid(
          sampling(FetchHttpClient.layer, "", { baseUrl })(LlmModel.sampleOne("p"))
        )
        assert.isTrue(Exit.isFailure(exit))
        if (Exit.isFailure(exit)) invalidInputOf(Cause.squash(exit.cause))
        assert.notInclude(said, "hunter2")
      }
    }))

  it.effect("is not written to a cache", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(choices(choice("a"), choice("b")))
      const directory = yield* makeDirectory
      yield* LlmModel.sampleMany("p", 2).pipe(
        Effect.provide(Persistent.layer({ directory })),
        sampling(FetchHttpClient.layer, server.url, { apiKey: Redacted.make(secret) })
      )
      const files = JSON.stringify(readTree(directory))
      assert.include(files, "0.md")
      assertSilent(files, secret)
    }))
})

describe("an API key from configuration", () => {
  const configured = (variables: Record<string, string>) =>
    ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables))
  const vendor = Ai302.layer({ model: "gpt-mock" })
  const other = (config: Config.Config<Redacted.Redacted>) =>
    OpenAiCompatible.layerConfig({ baseUrl: "http://127.0.0.1:1", model: "gpt-mock", apiKey: config })

  const apiKey = Config.Redacted("MY_KEY")
  const missing: ReadonlyArray<[name: string, layer: typeof vendor | ReturnType<typeof other>, names: string]> = [
    [
      "of the user's choice, for a server",
      OpenAiCompatible.layer({ baseUrl: "http://127.0.0.1:1", model: "m", apiKey }),
      "MY_KEY"
    ],
    ["of the user's choice, for a vendor", Ai302.layer({ model: "m", apiKey }), "MY_KEY"],
    [
      "of the user's choice, for Anthropic",
      Anthropic.layer({ model: "m", apiKey, parameters: { max_tokens: 1 } }),
      "MY_KEY"
    ],
    ["of the user's choice, for Ollama", Ollama.layer({ model: "m", apiKey }), "MY_KEY"],
    ["for a vendor", vendor, "AI302_API_KEY"],
    ["by default", OpenAiCompatible.layerConfig({ baseUrl: "http://127.0.0.1:1", model: "gpt-mock" }), "LLM_API_KEY"],
    ["of the user's choice", other(Config.Redacted("MY_KEY")), "MY_KEY"],
    ["of the user's choice, nested", other(Config.Redacted("KEY").pipe(Config.nested("MY"))), "MY_KEY"]
  ]
  it.effect.each(missing)(
    "%s is missing only when a request needs it, not when the layer is built",
    ([, layer, variable]) =>
      Effect.gen(function*() {
        for (const value of [undefined, "", "  "]) {
          const error = yield* Effect.gen(function*() {
            const model = yield* LlmModel.LlmModel
            return yield* Effect.flip(Effect.provideService(LlmModel.sampleOne("p"), LlmModel.LlmModel, model))
          }).pipe(
            Effect.provide(layer.pipe(
              Layer.provide(noRequests),
              Layer.provide(configured(value === undefined ? {} : { [variable]: value }))
            ))
          )
          const { description } = reasonOf(error, "BadKey")
          if (value !== "  " || !variable.startsWith("MY")) assert.include(description, variable)
        }
      })
  )

  it.effect("is read for each request, from the configuration of the layer", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      let key = "sk-1"
      const provider = ConfigProvider.make((path) =>
        Effect.succeed(path.join() === "LLM_API_KEY" ? ConfigProvider.makeValue(key) : undefined)
      )
      yield* Effect.gen(function*() {
        yield* LlmModel.sampleOne("p")
        key = "sk-2"
        yield* LlmModel.sampleOne("p")
      }).pipe(
        Effect.provide(
          OpenAiCompatible.layerConfig({ baseUrl: server.url, model: "gpt-mock" }).pipe(
            Layer.provide(FetchHttpClient.layer),
            Layer.provide(ConfigProvider.layer(provider))
          )
        )
      )
      assert.deepStrictEqual(server.received.map(({ headers }) => headers.authorization), [
        "Bearer sk-1",
        "Bearer sk-2"
      ])
    }))

  it.effect("is not needed for samples in a cache", () =>
    Effect.gen(function*() {
      const server = yield* makeServer()
      const store = yield* SampleStore.SampleStore
      const run = (variables: Record<string, string>, replication: boolean) =>
        LlmModel.sampleMany("p", 2).pipe(
          Effect.provide(Persistent.layer({ replication })),
          Effect.provideService(SampleStore.SampleStore, store),
          Effect.provide(
            OpenAiCompatible.layerConfig({ baseUrl: server.url, model: "gpt-mock" }).pipe(
              Layer.provide(FetchHttpClient.layer),
              Layer.provide(configured(variables))
            )
          )
        )
      const recorded = yield* run({ LLM_API_KEY: "sk-1" }, false)
      assert.deepStrictEqual(yield* run({}, false), recorded)
      assert.deepStrictEqual(yield* run({}, true), recorded)
      assert.lengthOf(server.received, 1)
    }).pipe(Effect.provide(MemoryStore.layer)))

  it.effect("is missing if its source fails, and the error says why", () =>
    Effect.gen(function*() {
      const provider = ConfigProvider.make(() =>
        Effect.fail(new ConfigProvider.SourceError({ message: "vault is sealed" }))
      )
      const error = yield* LlmModel.sampleOne("p").pipe(
        Effect.provide(vendor.pipe(Layer.provide(noRequests), Layer.provide(ConfigProvider.layer(provider)))),
        Effect.flip
      )
      assert.include(reasonOf(error, "BadKey").description, "vault is sealed")
    }))

  it.effect("is not quoted if the user's own check rejects it", () =>
    Effect.gen(function*() {
      const checked = Config.schema(Schema.String.check(Schema.isMinLength(100)), "MY_KEY").pipe(
        Config.map((value) => Redacted.make(value))
      )
      const error = yield* LlmModel.sampleOne("p").pipe(
        Effect.provide(other(checked).pipe(Layer.provide(noRequests), Layer.provide(configured({ MY_KEY: secret })))),
        Effect.flip
      )
      assert.include(reasonOf(error, "BadKey").description, "MY_KEY")
      assertSilent(inspect(error, { depth: null }), secret)
    }))
})
