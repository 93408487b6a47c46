import { assert, describe, it } from "@effect/vitest"
import { Key, LlmModel, MemoryStore, SampleStore } from "@llm-cache/core"
import { Effect, Schema, Stream } from "effect"
import { Surplus } from "../src/internal/model/surplus.ts"
import { makeProvider, using } from "./support/provider.ts"
import { buildOver, Combinator, count, ways } from "./support/stack.ts"

const stacks = [
  [],
  ["Repeatable"],
  ["Persistent"],
  ["Independent"],
  ["Persistent", "Independent"],
  ["Independent", "Repeatable"],
  ["Persistent", "Repeatable", "Independent", "Persistent"]
] as const

const build = Effect.fnUntraced(function*(
  stack: ReadonlyArray<Combinator>,
  options: { readonly maxBatch?: number; readonly brings: (n: number) => number },
  isWatched = true
) {
  const provider = yield* makeProvider(options)
  const stores: Array<SampleStore.Store> = []
  const [model] = yield* buildOver(
    stack,
    provider.model,
    () =>
      Effect.tap(
        Effect.provide(SampleStore.SampleStore, MemoryStore.layer),
        (store) => Effect.sync(() => stores.push(store))
      ),
    isWatched
  )
  return { provider, model: model!, stores }
})

const stream = (n: number, batch: number) => Stream.runCollect(Stream.take(LlmModel.sample("p", { batch }), n))

describe("A request that brings fewer samples", () => {
  it.effect("is followed by the same requests over every cache as over the provider: those of sampleMany", () =>
    Effect.gen(function*() {
      for (const stack of stacks) {
        const { model, provider } = yield* build(stack, { maxBatch: 8, brings: (n) => Math.max(1, n - 2) })
        const texts = yield* LlmModel.sampleMany("p", 20).pipe(using(model))
        assert.deepStrictEqual(provider.requests, [7, 8, 5, 6, 2, 1], stack.join())
        assert.deepStrictEqual(texts, provider.given, stack.join())
      }
    }).pipe(Effect.scoped))

  it.effect("is followed by the same requests over every cache as over the provider: those of a stream", () =>
    Effect.gen(function*() {
      for (const stack of stacks) {
        const { model, provider } = yield* build(stack, { maxBatch: 8, brings: (n) => Math.max(1, n - 2) })
        yield* stream(15, 20).pipe(using(model))
        assert.deepStrictEqual(provider.requests, [7, 2, 1, 7, 2, 1, 7], stack.join())
      }
    }).pipe(Effect.scoped))

  it.effect("owes the rest to the run that asked, and not to the next one", () =>
    Effect.gen(function*() {
      for (const stack of [["Independent"], ["Independent", "Persistent"]] as const) {
        for (
          const [next, sent] of [
            [stream(5, 10), [5, 10]],
            [stream(5, 5), [5, 5]],
            [LlmModel.sampleMany("p", 10), [5, 10]],
            [LlmModel.sampleMany("p", 5, { batch: 5 }), [5, 5]]
          ] as const
        ) {
          const answers = [3, 10]
          const { model, provider } = yield* build(stack, { brings: () => answers.shift()! })
          yield* Effect.andThen(stream(3, 5), next).pipe(using(model))
          assert.deepStrictEqual(provider.requests, [...sent], stack.join())
        }
      }
    }).pipe(Effect.scoped))
})

describe("The surplus of a short answer", () => {
  it.effect("leaves nothing in memory once its samples are taken", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider({ brings: () => 2 })
      const surplus = new Surplus(provider.model, yield* Effect.scope, () => 0)
      const key = new Key.Key(provider.model.identity, "p", [])
      const first = [key, 0, 5] as const
      yield* surplus.fill(...first)
      surplus.take(key, 0)
      assert.isFalse(surplus.dropIfEmpty(key))
      surplus.take(key, 1)
      assert.isTrue(surplus.dropIfEmpty(key))
    }))
})

const Answers = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("differ"), by: count(-5, 3) }),
  Schema.Struct({ kind: Schema.Literal("at most"), most: count(1, 8) }),
  Schema.Struct({ kind: Schema.Literal("a share of"), share: count(1, 4) })
])

const bringsOf = (answers: typeof Answers.Type) => (n: number) =>
  answers.kind === "differ"
    ? Math.max(1, n + answers.by)
    : answers.kind === "at most"
    ? Math.min(n, answers.most)
    : Math.ceil(n / answers.share)

const Consumer = Schema.Struct({
  kind: Schema.Literals(["sampleMany", "sampleMany in batches", "stream"]),
  n: count(0, 25),
  batch: count(1, 12)
})

const consume = ({ batch, kind, n }: typeof Consumer.Type) =>
  kind === "stream"
    ? stream(n, batch)
    : LlmModel.sampleMany("p", n, kind === "sampleMany" ? {} : { batch })

const Combinators = <A extends Schema.Schema<Combinator>>(one: A) =>
  Schema.Array(one).check(Schema.isMinLength(1), Schema.isMaxLength(4))

const Experiment = {
  maxBatch: count(1, 12),
  answers: Answers,
  consumers: Schema.Array(Consumer).check(Schema.isMinLength(1), Schema.isMaxLength(5))
}

const compare = (
  { answers, consumers, maxBatch, stack }: {
    readonly stack: ReadonlyArray<Combinator>
    readonly maxBatch: number
    readonly answers: typeof Answers.Type
    readonly consumers: ReadonlyArray<typeof Consumer.Type>
  },
  isWatched: boolean,
  concurrency: 1 | "unbounded"
) =>
  Effect.gen(function*() {
    const options = { maxBatch, brings: bringsOf(answers) }
    const bare = yield* build([], options)
    for (const one of consumers) yield* consume(one).pipe(using(bare.model))
    const { model, provider, stores } = yield* build(stack, options, isWatched)
    const taken = yield* Effect.forEach(consumers, (one) => consume(one).pipe(using(model)), { concurrency })
    assert.isAtMost(provider.requests.length, bare.provider.requests.length)
    assert.deepStrictEqual(taken.map(({ length }) => length), consumers.map(({ n }) => n))
    if (stack.at(-1) === "Persistent") {
      const key = new Key.Key(model.identity, "p", [])
      assert.strictEqual((yield* stores[0]!.positions(key)).length, provider.given.length)
    }
  }).pipe(Effect.scoped)

describe("A cache sends at most the requests of the provider alone, whose answers are short or long", () => {
  for (const [way, isWatched] of ways) {
    it.effect.prop(
      `to consumers one after the other, ${way}`,
      { ...Experiment, stack: Combinators(Combinator) },
      (experiment) => compare(experiment, isWatched, 1),
      { arbitrary: { runs: 300 } }
    )

    it.effect.prop(
      `to consumers at once, which a remembered sequence serves, ${way}`,
      { ...Experiment, stack: Combinators(Schema.Literals(["Repeatable", "Persistent"])) },
      (experiment) => compare(experiment, isWatched, "unbounded"),
      { arbitrary: { runs: 300 } }
    )
  }
})
