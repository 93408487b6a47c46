import { assert, describe, it } from "@effect/vitest"
import { LlmModel, type Sample, SampleError } from "@llm-cache/core"
import { HttpProvider } from "@llm-cache/providers"
import { Cause, Config, ConfigProvider, Effect, Exit, Layer, Redacted, Schedule, Schema } from "effect"
import { FetchHttpClient } from "effect/http"
import * as Zlib from "node:zlib"
import { clients, noRequests } from "./support/clients.ts"
import { invalidInputOf, reasonOf } from "./support/model.ts"
import { outputs, own } from "./support/protocols.ts"
import { json, makeServer, type Reply, text } from "./support/server.ts"

const required = { model: "in-house", retry: Schedule.recurs(0) }

const sampling = (url: string, options: Partial<HttpProvider.Options>, client = FetchHttpClient.layer) =>
  Effect.provide(HttpProvider.layer({ ...required, ...own, url, ...options }).pipe(Layer.provide(client)))

const drawn = (options: Partial<HttpProvider.Options>, reply: Reply, n = 1) =>
  Effect.gen(function*() {
    const server = yield* makeServer(reply)
    const draw = Effect.gen(function*() {
      const model = yield* LlmModel.LlmModel
      const samples: Array<Sample.Sample> = []
      yield* LlmModel.sampleMany("p", n).pipe(Effect.provideService(
        LlmModel.LlmModel,
        LlmModel.fromDraw({
          ...model,
          draw: (...args) => Effect.tap(model.draw(...args), (drawn) => Effect.sync(() => samples.push(...drawn)))
        })
      ))
      return samples
    })
    return { samples: yield* draw.pipe(sampling(server.url, options)), server }
  })

const failing = (options: Partial<HttpProvider.Options>, reply: Reply) => Effect.flip(drawn(options, reply))

describe.each(clients)("a provider of one's own, over %s", (_, client) => {
  it.effect("sends what `request` makes, to its URL as it is, with the key as a bearer token", () =>
    Effect.gen(function*() {
      const server = yield* makeServer(outputs())
      const samples = yield* LlmModel.sampleMany("Grüße 𝒳", 3).pipe(sampling(`${server.url}/v2/generate/`, {
        apiKey: Redacted.make("sk-own"),
        temperature: 0.5,
        system: "Be brief.",
        parameters: { top_p: 0.9 },
        maxBatch: 2,
        headers: { "x-team": "a" },
        query: { version: "1" }
      }, client))
      assert.deepStrictEqual(samples, ["sample 0", "sample 1", "sample 2"])
      const sent = { model: "in-house", text: "Grüße 𝒳", system: "Be brief.", temperature: 0.5, top_p: 0.9 }
      assert.deepStrictEqual(server.received.map(({ body }): object => body), [{ ...sent, count: 2 }, {
        ...sent,
        count: 1
      }])
      const [{ headers, method, path }] = server.received as [typeof server.received[0]]
      assert.deepStrictEqual([method, path], ["POST", "/v2/generate/?version=1"])
      assert.strictEqual(headers.authorization, "Bearer sk-own")
      assert.strictEqual(headers["x-team"], "a")
      assert.match(headers["content-type"]!, /^application\/json/)
    }))

  it.effect("reads packed answers", () =>
    Effect.gen(function*() {
      const server = yield* makeServer((response) => {
        response.writeHead(200, { "content-encoding": "gzip" }).end(Zlib.gzipSync("{\"outputs\":[{\"text\":\"a\"}]}"))
      })
      assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(sampling(server.url, {}, client)), "a")
    }))
})

describe("`decode`", () => {
  const Texts = Schema.Struct({ texts: Schema.Array(Schema.String) })

  it.effect("is a function or an effect, and gives texts, or samples with metadata", () =>
    Effect.gen(function*() {
      const reply = json(200, { texts: ["a", ""] })
      const forms: ReadonlyArray<HttpProvider.Options["decode"]> = [
        (answer) => (answer as typeof Texts.Type).texts,
        (answer) => ({ samples: (answer as typeof Texts.Type).texts.map((text) => ({ text })) }),
        (answer) => Effect.map(Schema.decodeUnknownEffect(Texts)(answer), ({ texts }) => texts)
      ]
      for (const decode of forms) {
        const { samples } = yield* drawn({ decode, maxBatch: 2 }, reply, 2)
        assert.deepStrictEqual(samples.map(({ text }) => text), ["a", ""])
      }
      const { samples: [sample] } = yield* drawn({
        decode: () => ({
          samples: [{ text: "a", finishReason: "end", reasoning: "why" }],
          inputTokens: 7,
          outputTokens: 3,
          model: "in-house-2",
          responseId: "r1"
        })
      }, reply)
      assert.deepInclude(sample!.metadata, {
        finishReason: "end",
        reasoning: "why",
        inputTokens: 7,
        outputTokens: 3,
        model: "in-house-2",
        responseId: "r1"
      })
    }))

  it.effect("gets the text of an answer that is no JSON, if `format` says so", () =>
    Effect.gen(function*() {
      const decode = (answer: unknown) => String(answer).split("\n")
      const reply = text(200, "one\ntwo")
      const { samples } = yield* drawn({ decode, format: "text", maxBatch: 2 }, reply, 2)
      assert.deepStrictEqual(samples.map(({ text }) => text), ["one", "two"])
      assert.include(reasonOf(yield* failing({ decode }, reply), "UnusableResponse").description, "one two")
    }))

  it.effect("fails the draw, with the server's words, if it throws, fails, or finds no sample", () =>
    Effect.gen(function*() {
      const reply = json(200, { other: "form" })
      const forms: ReadonlyArray<[decode: HttpProvider.Options["decode"], says: string]> = [
        [(answer) => (answer as { a: { b: Array<string> } }).a.b, "`decode` cannot read the answer (Cannot read prop"],
        // @effect-diagnostics-next-line globalErrorInEffectFailure:off
        [() => Effect.fail(new Error("no samples there")), "`decode` cannot read the answer (no samples there)"],
        [Schema.decodeUnknownEffect(Schema.Array(Schema.String)), "`decode` cannot read the answer (Expected array"],
        [() => [], "`decode` found no sample"],
        [() => ({ samples: [] }), "`decode` found no sample"],
        [() => ({ samples: [], failures: [new Error("no reason") as never] }), "`decode` found no sample"],
        [() => Promise.resolve(["text"]) as never, "`decode` returned a promise: return an effect"],
        [() => [7 as unknown as string], "`decode` found no sample"],
        [() => undefined as unknown as Array<string>, "`decode` found no sample"],
        [() => "text" as unknown as Array<string>, "`decode` found no sample"]
      ]
      for (const [decode, says] of forms) {
        const { description } = reasonOf(yield* failing({ decode }, reply), "UnusableResponse")
        assert.include(description, says)
        assert.include(description, "{\"other\":\"form\"}")
      }
    }))

  it.effect("sends nothing, and says why, if `request` makes no body", () =>
    Effect.gen(function*() {
      const forms: ReadonlyArray<[request: unknown, says: string]> = [
        [({ prompt }: HttpProvider.RequestInput) => ({ messages: JSON.parse(prompt) }), "is not valid JSON"],
        [() => ({ count: 1n }), "BigInt"],
        [() => undefined, "returned no object"]
      ]
      for (const [request, says] of forms) {
        const server = yield* makeServer(outputs())
        const draw = LlmModel.sampleOne("Hello").pipe(sampling(server.url, { request: request as never }))
        const { description } = reasonOf(yield* Effect.flip(draw), "BadRequest")
        assert.include(description, "`request` makes no body of the prompt")
        assert.include(description, says)
        assert.deepStrictEqual(server.received, [])
      }
    }))

  it.effect("gives the reason of an error in an answer that it cannot read", () =>
    Effect.gen(function*() {
      const reply = json(200, { error: { code: 429, message: "slow down" } })
      for (const decode of [own.decode, () => []]) {
        assert.include(reasonOf(yield* failing({ decode }, reply), "RateLimited").description, "slow down")
      }
    }))

  it.effect("fails with reasons and errors of a provider, which are retried if they are retryable", () =>
    Effect.gen(function*() {
      const busy = new SampleError.ServerFault({ description: "warming up" })
      for (const error of [busy, SampleError.providerError("ServerFault", { description: "warming up" })]) {
        let answers = 0
        const { samples } = yield* drawn({
          retry: Schedule.recurs(1),
          decode: () => answers++ === 0 ? Effect.fail(error) : ["a"]
        }, json(200, {}))
        assert.deepStrictEqual([samples[0]!.text, answers], ["a", 2])
        const failed = yield* failing({ decode: () => Effect.fail(error) }, json(200, {}))
        assert.strictEqual(reasonOf(failed, "ServerFault").description, "warming up")
      }
      const part = new SampleError.ContentPolicy()
      const failed = yield* failing({ decode: () => ({ samples: [], failures: [part] }) }, json(200, {}))
      assert.strictEqual(reasonOf(failed, "ContentPolicy"), part)
    }))

  it.effect("shows by one sample that the server ignores `n`", () =>
    Effect.gen(function*() {
      const { samples, server } = yield* drawn({ maxBatch: 3 }, outputs(() => 1), 3)
      assert.lengthOf(samples, 3)
      assert.deepStrictEqual(server.received.map(({ body }) => body["count"]), [3, 1, 1])
    }))
})

describe("a request of a provider of one's own", () => {
  it.effect("asks for one sample unless `maxBatch` is higher", () =>
    Effect.gen(function*() {
      const { server } = yield* drawn({}, outputs(), 3)
      assert.deepStrictEqual(server.received.map(({ body }) => body["count"]), [1, 1, 1])
    }))

  it.effect("has a key from configuration, or none, and no message prints it", () =>
    Effect.gen(function*() {
      const secret = "sk-secret-of-mine"
      const configured = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ OWN_KEY: secret }))
      const apiKey = Config.Redacted("OWN_KEY")
      const decode = (answer: unknown) => ({
        samples: [{ text: "a", finishReason: String(answer) }],
        model: String(answer),
        responseId: String(answer)
      })
      const { samples: [sample], server } = yield* drawn({ apiKey, decode }, json(200, secret)).pipe(
        Effect.provide(configured)
      )
      assert.strictEqual(server.received[0]!.headers.authorization, `Bearer ${secret}`)
      assert.deepInclude(sample!.metadata, {
        finishReason: "<redacted>",
        model: "<redacted>",
        responseId: "<redacted>"
      })
      // @effect-diagnostics-next-line globalErrorInEffectFailure:off
      const throwing = () => Effect.fail(new Error(`no ${secret}`))
      const failed = yield* failing({ apiKey, decode: throwing }, json(200, secret)).pipe(Effect.provide(configured))
      assert.include(reasonOf(failed, "UnusableResponse").description, "no <redacted>")
      assert.notInclude(JSON.stringify(failed), secret)
      const without = yield* drawn({}, outputs())
      assert.isUndefined(without.server.received[0]!.headers.authorization)
    }))

  it.effect.each<[object, string]>([
    [{ request: undefined }, "`request` is no function"],
    [{ decode: { samples: [] } }, "`decode` is no function"],
    [{ format: "xml" }, "`format` is unknown: give \"json\" or \"text\""],
    [{ baseUrl: "http://127.0.0.1:1" }, "there is no option `baseUrl`: write `url`"]
  ])("fails before a request for options that it cannot use: %j", ([options, message]) =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        LlmModel.sampleOne("p").pipe(sampling("http://127.0.0.1:1", options as never, noRequests))
      )
      assert.include(invalidInputOf(error), message)
    }))

  it.effect.each<[string, unknown]>([
    ["a promise", Promise.resolve({})],
    ["an effect", Effect.succeed({})],
    ["a text", "{}"],
    ["nothing", undefined]
  ])("sends no request if `request` returns %s", ([, body]) =>
    Effect.gen(function*() {
      const options = { request: () => body as never }
      const draw = LlmModel.sampleOne("p").pipe(sampling("http://127.0.0.1:1", options, noRequests))
      const exit = yield* Effect.exit(draw)
      assert.include(
        Exit.isFailure(exit) && String(Cause.squash(exit.cause)),
        "`request` of HttpProvider returned no object"
      )
    }))

  it.effect("names the option `url` and the provider in errors", () =>
    Effect.gen(function*() {
      const failed = yield* failing({ name: "Acme" }, json(404, {}))
      assert.include(reasonOf(failed, "BadRequest").description, "check `url` and `model`")
      assert.include(String(failed), "Acme (in-house)")
      for (const url of ["llm.example.com", "ftp://a", "http://user:pw@a", "http://a?b=c"]) {
        const build = Effect.provide(LlmModel.LlmModel, HttpProvider.layer({ ...required, ...own, url }))
        const message = invalidInputOf(yield* Effect.flip(Effect.provide(build, noRequests)))
        assert.include(message, "HttpProvider.make: `url` ")
      }
    }))
})
