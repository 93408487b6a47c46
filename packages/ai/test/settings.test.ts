import { assert, describe, it } from "@effect/vitest"
import { CachedModel, CacheErrors, RequestModel } from "@llm-cache/ai"
import { MemoryStore, Persistent } from "@llm-cache/core"
import { Context, Effect, Layer, Logger, Stream } from "effect"
import { LanguageModel, Telemetry } from "effect/ai"
import { samplesOf } from "./support/listed.ts"
import { cached, deltas, finish, identity, scripted, text } from "./support/scripted.ts"

class Config
  extends Context.Service<Config, { readonly temperature?: number; readonly seed?: number }>()("test/Config")
{}

/** A provider that reads its settings from the context of the call, over those of its layer, and writes them on its span. */
const configured = (own: Config["Service"] = { temperature: 1 }) =>
  scripted((options) =>
    Effect.map(Effect.serviceOption(Config), (config) => {
      const { seed, temperature } = { ...own, ...config._tag === "Some" ? config.value : {} }
      Telemetry.addGenAIAnnotations(options.span, {
        operation: { name: "chat" },
        request: { model: "scripted", temperature, seed }
      })
      return [text(`temperature ${temperature}, seed ${seed}`), finish()]
    })
  )

const ask = Effect.map(LanguageModel.generateText({ prompt: "x" }), ({ text }) => text)

describe("settings", () => {
  it.effect("are part of the key if the layer names their service, and reach the provider", () =>
    Effect.gen(function*() {
      const provider = configured()
      const answers = yield* Effect.all([
        ask,
        Effect.provideService(ask, Config, { temperature: 0 }),
        Effect.provideService(ask, Config, { seed: 7 }),
        Effect.provideService(ask, Config, { temperature: 0 })
      ]).pipe(Effect.provide(cached(provider.layer, { config: [Config] })))
      assert.deepStrictEqual(answers, [
        "temperature 1, seed undefined",
        "temperature 0, seed undefined",
        "temperature 1, seed 7",
        "temperature 0, seed undefined"
      ])
      assert.strictEqual(provider.requests.length, 3)
    }))

  it.effect("of the call win over those that the layers were built with", () =>
    Effect.gen(function*() {
      const model = cached(configured().layer, { config: [Config] }).pipe(
        Layer.provide(Layer.succeed(Config, { temperature: 0.3 }))
      )
      assert.strictEqual(
        yield* ask.pipe(Effect.provideService(Config, { temperature: 0 }), Effect.provide(model)),
        "temperature 0, seed undefined"
      )
    }))

  it.effect("that differ from the identity fail the call, and nothing is recorded", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const wrong = configured({ temperature: 0.2 })
      const error = yield* Effect.flip(Effect.provide(ask, cached(wrong.layer, { store })))
      assert.include(error.message, "temperature 0.2 instead of 1")
      assert.isFalse(error.isRetryable)
      const scoped = Effect.provideService(ask, Config, { temperature: 0 })
      assert.include(
        (yield* Effect.flip(Effect.provide(scoped, cached(configured().layer, { store })))).message,
        "config"
      )
      const other = { request: { model: "other" } }
      assert.include(
        (yield* Effect.flip(Effect.provide(ask, cached(configured().layer, { store, ...other })))).message,
        "model"
      )
      assert.deepStrictEqual(yield* samplesOf(store), [])
    }))

  it.effect("that differ fail a stream too, and nothing is recorded", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const wrong = scripted(undefined, ({ span }) => {
        Telemetry.addGenAIAnnotations(span, { request: { model: "scripted", temperature: 0.2 } })
        return Stream.fromIterable(deltas("a"))
      })
      for (const live of [true, false]) {
        const seen: Array<string> = []
        const error = yield* Stream.runForEach(
          LanguageModel.streamText({ prompt: "x" }),
          ({ type }) => Effect.sync(() => void seen.push(type))
        ).pipe(Effect.flip, Effect.provide(cached(wrong.layer, { store, live })))
        assert.include(error.message, "temperature 0.2 instead of 1")
        assert.strictEqual(CacheErrors.fromAi(error)?._tag, "InvalidInput")
        // What was shown stays shown, as it does before every error of a live stream.
        assert.strictEqual(seen.length, live ? 4 : 0)
      }
      assert.deepStrictEqual(yield* samplesOf(store), [])
    }))

  it.effect("that differ are a warning or nothing, if told so", () =>
    Effect.gen(function*() {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => void logged.push(message))
      const run = (check: RequestModel.Check) =>
        Effect.provide(ask, cached(configured({ temperature: 0.2 }).layer, { request: { check } })).pipe(
          Effect.provide(Logger.layer([logger]))
        )
      assert.strictEqual(yield* run("off"), "temperature 0.2, seed undefined")
      assert.strictEqual(logged.length, 0)
      assert.strictEqual(yield* run("warn"), "temperature 0.2, seed undefined")
      assert.include(String(logged[0]), "temperature 0.2 instead of 1")
    }))

  it.effect("have one source in `from`", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const provider = (options: { readonly model: string; readonly config: Config["Service"] }) =>
        configured(options.config).layer
      const config = { temperature: 0.2, seed: 7 }
      const recorded = CachedModel.layer().pipe(
        Layer.provideMerge(Persistent.layer({ store })),
        Layer.provide(RequestModel.from(provider, { model: "scripted", config }))
      )
      assert.strictEqual(yield* Effect.provide(ask, recorded), "temperature 0.2, seed 7")
      const identities = [
        RequestModel.identity({ model: "scripted", temperature: 0.2, parameters: { seed: 7 } }),
        RequestModel.identity({ model: "scripted", config })
      ]
      for (const named of identities) {
        const again = CachedModel.layer().pipe(Layer.provideMerge(Persistent.layerReplication({ store, ...named })))
        assert.strictEqual(yield* Effect.provide(ask, again), "temperature 0.2, seed 7")
      }
    }))

  it.effect("that no model can have are refused", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<Partial<RequestModel.Options>> = [
        { check: "maybe" as never },
        { parameters: { request: 1 } },
        { temperature: -1 }
      ]
      for (const request of wrong) {
        const error = yield* Effect.flip(Effect.provide(ask, cached(scripted().layer, { request })))
        assert.strictEqual(error._tag, "InvalidInput")
      }
      assert.strictEqual(identity.model, "scripted")
    }))
})
