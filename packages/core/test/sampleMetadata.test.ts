import { assert, describe, it } from "@effect/vitest"
import { Independent, LlmModel, MemoryStore, Persistent, Repeatable, type Sample, SampleStore } from "@llm-cache/core"
import { Effect, Schema, Stream } from "effect"
import { makeDirectory } from "./support/directory.ts"
import { makeProvider, using } from "./support/provider.ts"
import { buildOver, count, Stack, Take, ways } from "./support/stack.ts"

const textOf = ({ text }: Sample.Sample) => text

const generating = LlmModel.make({
  model: "mock",
  maxBatch: 2,
  generate: ({ n, prompt }) =>
    Effect.succeed({
      samples: Array.from(
        { length: n },
        (_, i) => ({ text: `${prompt} ${i}`, finishReason: i === 0 ? "stop" : "length" })
      ),
      model: "mock-1",
      inputTokens: 10,
      outputTokens: n
    })
})

const described = (
  { metadata: { finishReason, index, inputTokens, model, outputTokens, request }, text }: Sample.Sample
) => {
  assert.isString(request)
  return { text, finishReason, index, model, inputTokens, outputTokens }
}
const first = { text: "a 0", finishReason: "stop", index: 0, model: "mock-1", inputTokens: 10, outputTokens: 1 }
const pair = [
  { ...first, outputTokens: 2 },
  { ...first, text: "a 1", finishReason: "length", index: 1, outputTokens: 2 }
]

const stores = {
  "a memory store": Effect.provide(SampleStore.SampleStore, MemoryStore.layer),
  "a directory": Effect.flatMap(makeDirectory, (directory) => Effect.succeed({ directory }))
}

describe("Samples with their metadata", () => {
  it.effect("have the finish reason, the tokens and the request, from the provider", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(described(yield* LlmModel.sampleOneWithMetadata("a")), first)
      assert.deepStrictEqual((yield* LlmModel.sampleManyWithMetadata("a", 2)).map(described), pair)
      const streamed = LlmModel.sampleWithMetadata("a", { batch: 2 }).pipe(Stream.take(2), Stream.runCollect)
      assert.deepStrictEqual((yield* streamed).map(described), pair)
    }).pipe(Effect.provideServiceEffect(LlmModel.LlmModel, generating)))

  for (const [name, open] of Object.entries(stores)) {
    it.effect(`have the same metadata when ${name} has them`, () =>
      Effect.gen(function*() {
        const place = yield* open
        const cache = () => "directory" in place ? Persistent.layer(place) : Persistent.layer({ store: place })
        const program = Effect.all([
          LlmModel.sampleManyWithMetadata("a", 2),
          LlmModel.sampleManyWithMetadata("a", 2, { batch: 1 }),
          Effect.map(LlmModel.sampleOneWithMetadata("a"), (sample) => [sample]),
          LlmModel.sampleWithMetadata("a").pipe(Stream.take(2), Stream.runCollect),
          Effect.provide(LlmModel.sampleManyWithMetadata("a", 2), Independent.layer)
        ])
        const recorded = yield* Effect.provide(program, cache())
        assert.deepStrictEqual(recorded[0].map(described), pair)
        for (const samples of recorded) assert.deepStrictEqual(samples, recorded[0].slice(0, samples.length))
        assert.deepStrictEqual(yield* Effect.provide(program, cache()), recorded)
        assert.deepStrictEqual(Object.keys(recorded[0][0]!), ["text", "metadata"])
      }).pipe(Effect.provideServiceEffect(LlmModel.LlmModel, generating)))
  }

  for (const [way, isWatched] of ways) {
    it.effect.prop(
      `are the samples whose texts the other accessors give, with the same requests, ${way}`,
      {
        stack: Stack,
        maxBatch: count(1, 4),
        extra: count(-2, 2),
        takes: Schema.Array(Schema.Struct({ take: Take, kind: Schema.Literals(["one", "many", "stream"]) }))
          .check(Schema.isMaxLength(6))
      },
      ({ extra, maxBatch, stack, takes }) =>
        Effect.gen(function*() {
          const run = Effect.fnUntraced(function*(isWhole: boolean) {
            const provider = yield* makeProvider({ maxBatch, brings: (n) => Math.max(1, n + extra) })
            const models = yield* buildOver(
              stack,
              provider.model,
              () => Effect.provide(SampleStore.SampleStore, MemoryStore.layer),
              isWatched
            )
            const texts = yield* Effect.forEach(takes, ({ kind, take: { batch, level, n, prompt } }) => {
              const model = models[level % models.length]!
              const wholes = {
                one: Effect.map(LlmModel.sampleOneWithMetadata(prompt), (sample) => [sample]),
                many: LlmModel.sampleManyWithMetadata(prompt, n, { batch }),
                stream: LlmModel.sampleWithMetadata(prompt, { batch }).pipe(Stream.take(n), Stream.runCollect)
              }
              const texts = {
                one: Effect.map(LlmModel.sampleOne(prompt), (text) => [text]),
                many: LlmModel.sampleMany(prompt, n, { batch }),
                stream: LlmModel.sample(prompt, { batch }).pipe(Stream.take(n), Stream.runCollect)
              }
              return (isWhole ? Effect.map(wholes[kind], (samples) => samples.map(textOf)) : texts[kind])
                .pipe(using(model))
            })
            return { texts, requests: provider.requests }
          })
          assert.deepStrictEqual(yield* run(true), yield* run(false))
        }).pipe(Effect.scoped),
      { arbitrary: { runs: 150 } }
    )
  }

  const counting = (model: LlmModel.Model, peek: LlmModel.Model["peek"]) => {
    const counted = { draws: 0 }
    const counter = LlmModel.fromDraw({
      ...model,
      peek,
      draw: (...args) => Effect.suspend(() => (counted.draws++, model.draw(...args)))
    })
    return [counter, counted] as const
  }

  const each = [
    Effect.asVoid(LlmModel.sampleOneWithMetadata("a")),
    Effect.asVoid(LlmModel.sampleManyWithMetadata("a", 1)),
    LlmModel.sampleWithMetadata("a").pipe(Stream.take(1), Stream.runDrain)
  ]

  it.effect("are read without a draw where they are at hand", () =>
    Effect.gen(function*() {
      const repeatable = yield* Repeatable.make(yield* generating)
      yield* LlmModel.sampleOne("a").pipe(using(repeatable))
      const [model, counted] = counting(repeatable, repeatable.peek)
      for (const one of each) yield* one.pipe(using(model))
      assert.strictEqual(counted.draws, 0)
    }).pipe(Effect.scoped))

  it.effect("are drawn if their metadata cannot be read at hand", () =>
    Effect.gen(function*() {
      const repeatable = yield* Repeatable.make(yield* generating)
      yield* LlmModel.sampleOne("a").pipe(using(repeatable))
      const [model, counted] = counting(repeatable, () => [{
        text: "a 0",
        origins: [],
        get metadata(): Sample.Metadata {
          throw new Error("the disk is gone")
        }
      }])
      for (const one of each) yield* one.pipe(using(model))
      assert.strictEqual(counted.draws, each.length)
      assert.strictEqual(yield* LlmModel.sampleOne("a").pipe(using(model)), "a 0")
      assert.strictEqual(counted.draws, each.length)
    }).pipe(Effect.scoped))

  it.effect("are given back by a draw that fails", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider({ maxBatch: 2 })
      const model = yield* Independent.make(provider.model)
      provider.gate = Effect.sync(() => {
        if (provider.requests.length === 2) provider.failures = 1
      })
      yield* Effect.flip(LlmModel.sampleManyWithMetadata("a", 3)).pipe(using(model))
      const samples = yield* LlmModel.sampleManyWithMetadata("a", 3).pipe(using(model))
      assert.deepStrictEqual(samples.map(textOf), ["a #0", "a #1", "a #2"])
    }).pipe(Effect.scoped))
})
