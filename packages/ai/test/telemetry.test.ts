import { assert, describe, it } from "@effect/vitest"
import { TextModel } from "@llm-cache/ai"
import { LlmModel, MemoryStore } from "@llm-cache/core"
import { Effect, Schema, Stream, Tracer } from "effect"
import { LanguageModel, Telemetry } from "effect/ai"
import { cached, deltas, finish, identity, type Provider, replayed, scripted, text, usage } from "./support/scripted.ts"

const schema = Schema.Struct({ a: Schema.String })

const programs = {
  generateText: Effect.asVoid(LanguageModel.generateText({ prompt: "x" })),
  generateObject: Effect.asVoid(LanguageModel.generateObject({ prompt: "x", schema })),
  streamText: Stream.runDrain(LanguageModel.streamText({ prompt: "x" }))
}

const methods = Object.keys(programs) as Array<keyof typeof programs>

/** A provider that writes its request and its usage on its span, as providers do. */
const annotating = () => {
  const annotate = ({ span }: LanguageModel.ProviderOptions) =>
    Telemetry.addGenAIAnnotations(span, {
      request: identity,
      usage: { inputTokens: usage().inputTokens.total, outputTokens: usage().outputTokens.total }
    })
  return scripted(
    (options) => {
      annotate(options)
      return [text(`{"a":"b"}`), finish()]
    },
    (options) => {
      annotate(options)
      return Stream.fromIterable(deltas("a"))
    }
  )
}

/** The names of the spans of an effect that have a count of tokens. */
const spansWithUsage = Effect.fnUntraced(function*<E>(effect: Effect.Effect<unknown, E>) {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  yield* Effect.withTracer(effect, tracer)
  return spans.filter(({ attributes }) => [...attributes.keys()].some((name) => name.startsWith("gen_ai.usage")))
    .map(({ name }) => name)
})

describe.each(methods)("%s", (method) => {
  it.effect("has its tokens on one span if it is asked, and on none if it is a hit", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const program = programs[method]
      const asked = yield* spansWithUsage(Effect.provide(program, cached(annotating().layer, { store })))
      assert.deepStrictEqual(asked, [`LanguageModel.${method}`])
      assert.deepStrictEqual(yield* spansWithUsage(Effect.provide(program, cached(annotating().layer, { store }))), [])
      assert.deepStrictEqual(yield* spansWithUsage(Effect.provide(program, replayed(store))), [])
    }))

  it.effect("calls the transformer of spans once, with the whole answer, asked or a hit", () =>
    Effect.gen(function*() {
      const told: Array<ReadonlyArray<string>> = []
      const program = programs[method].pipe(
        Effect.provideService(
          Telemetry.CurrentSpanTransformer,
          ({ response }) => void told.push(response.map(({ type }) => type))
        )
      )
      yield* Effect.provide(Effect.all([program, program]), cached(annotating().layer))
      const parts = method === "streamText" ? ["text-start", "text-delta", "text-end", "finish"] : ["text", "finish"]
      assert.deepStrictEqual(told, [parts, parts])
    }))
})

describe("a model of texts", () => {
  it.effect("has its tokens on one span", () =>
    Effect.gen(function*() {
      const sampled = (provider: Provider) =>
        LlmModel.sampleOne("x").pipe(Effect.provide(TextModel.layer(identity)), Effect.provide(provider.layer))
      assert.deepStrictEqual(yield* spansWithUsage(sampled(annotating())), ["LanguageModel.generateText"])
      assert.deepStrictEqual(yield* spansWithUsage(sampled(scripted())), ["chat scripted"])
    }))
})

describe("a provider without telemetry", () => {
  it.effect("has its tokens on the span of the request", () =>
    Effect.gen(function*() {
      const asked = Effect.provide(programs.generateText, cached(scripted().layer))
      assert.deepStrictEqual(yield* spansWithUsage(asked), ["chat scripted"])
    }))
})

describe("supportsSystemMessagesInHistory", () => {
  it.effect("is that of the options, over a provider and in replication", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const ask = Effect.flatMap(
        LanguageModel.LanguageModel,
        ({ supportsSystemMessagesInHistory }): Effect.Effect<boolean | "unknown"> =>
          supportsSystemMessagesInHistory ?? Effect.succeed("unknown")
      )
      const provider = scripted(undefined, undefined, { supportsSystemMessagesInHistory: Effect.succeed(false) }).layer
      assert.strictEqual(yield* Effect.provide(ask, cached(provider, { store })), "unknown")
      assert.strictEqual(yield* Effect.provide(ask, replayed(store)), "unknown")
      const options = { supportsSystemMessagesInHistory: Effect.succeed(true) }
      assert.isTrue(yield* Effect.provide(ask, cached(provider, { store, ...options })))
      assert.isTrue(yield* Effect.provide(ask, replayed(store, options)))
    }))
})
