import { assert, describe, it } from "@effect/vitest"
import {
  Attempt,
  Estimate,
  Fork,
  Independent,
  type IndependentModel,
  LlmModel,
  MemoryStore,
  Output,
  Persistent,
  Repeatable,
  SampleError,
  SampleStore,
  Usage
} from "@llm-cache/core"
import { Cause, Effect, Exit, Layer } from "effect"
import { makeDirectory } from "./support/directory.ts"
import { makeProvider } from "./support/provider.ts"

describe("A model made from a function in JavaScript", () => {
  const noEffects: ReadonlyArray<[string, () => unknown]> = [
    ["a value", () => ({ samples: ["x"] })],
    ["a promise", () => Promise.resolve({ samples: ["x"] })],
    ["nothing", () => undefined]
  ]

  it.effect.each(noEffects)(
    "says how to mend a function that returns %s, under every model",
    ([, generate]) =>
      Effect.gen(function*() {
        const provider = LlmModel.layer({ model: "m", generate: generate as never })
        const cached = Persistent.layer({ store: MemoryStore.layer })
        for (
          const over of [[], [LlmModel.retry()], [Independent.layer], [Repeatable.layer], [Independent.layer, cached]]
        ) {
          const model = over.reduceRight<typeof provider>((beneath, layer) => Layer.provide(layer, beneath), provider)
          const exit = yield* Effect.exit(Effect.provide(LlmModel.sampleMany("p", 2), model))
          assert.isTrue(Exit.hasDies(exit))
          assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), "Effect.promise")
        }
      })
  )

  it.effect("keeps paid samples although other fields of the answer are not what they should be", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const wrong = {
        samples: [{ text: "a", finishReason: 1, refusal: {}, reasoning: null }, { text: "b", finishReason: "stop" }],
        failures: [new Error("half a sample")],
        model: 3,
        responseId: {},
        inputTokens: "12",
        outputTokens: NaN
      }
      const layer = Persistent.layer({ directory: root }).pipe(
        Layer.provide(LlmModel.layer({ model: "m", generate: () => Effect.succeed(wrong as never) }))
      )
      const draw = Effect.provide(LlmModel.sampleManyWithMetadata("p", 2), layer)
      const [samples, usage] = yield* Usage.measure(draw)
      assert.deepStrictEqual(samples.map(({ text }) => text), ["a", "b"])
      assert.deepStrictEqual(samples.map(({ metadata }) => Object.keys(metadata)), [
        ["request", "index", "createdAt", "elapsed", "requestSamples"],
        ["request", "index", "finishReason", "createdAt", "elapsed", "requestSamples"]
      ])
      assert.deepStrictEqual([usage.failedSamples, usage.spent.unmetered], [1, 1])
      assert.deepStrictEqual(yield* draw, samples)
      const answers = (answer: unknown) =>
        Effect.provide(
          LlmModel.sampleOne("q"),
          LlmModel.layer({ model: "m", generate: () => Effect.succeed(answer as never) })
        )
      assert.strictEqual(yield* answers({ samples: ["a"], failures: 5 }), "a")
      const error = yield* Effect.flip(answers({ samples: [], failures: [new Error("half a sample")] }))
      assert.instanceOf(error, SampleError.ProviderError)
      assert.instanceOf(error.reason, SampleError.UnusableResponse)
      assert.include(error.message, "half a sample")
    }))
})

it.effect("A store that returns a promise ends the draw, and the next one too", () =>
  Effect.gen(function*() {
    const provider = yield* makeProvider()
    const memory = yield* MemoryStore.make
    const store = SampleStore.make({ ...memory, prepare: () => Promise.resolve() as never })
    const draw = Effect.exit(LlmModel.sampleOne("p"))
    const exits = yield* Effect.all([draw, draw]).pipe(
      Effect.provide(LlmModel.stack(Persistent.layer({ store }), provider.layer))
    )
    for (const exit of exits) assert.isTrue(Exit.hasDies(exit))
    assert.deepStrictEqual(provider.requests, [])
  }))

const yes = (): never => Promise.resolve(true) as never
const always: () => boolean = yes
const one = LlmModel.sampleOne("p")
const refused = Effect.andThen(one, Effect.fail("no"))

const defectOf = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.map(
    Effect.exit(program),
    (exit) => Exit.isFailure(exit) && Exit.hasDies(exit) ? String(Cause.squash(exit.cause)) : "no defect"
  )

const promises: ReadonlyArray<
  [option: string, defect: Effect.Effect<string, never, IndependentModel.IndependentModel>]
> = [
  ["check", defectOf(Estimate.passAtK({ prompt: "p", n: 2, k: 1, check: yes }))],
  ["check", defectOf(Estimate.passAtK({ sample: one, n: 2, k: 1, check: yes }))],
  ["by", defectOf(Estimate.majority({ prompt: "p", n: 2, by: yes }))],
  ["by", defectOf(Estimate.majority({ sample: one, n: 2, by: yes }))],
  ["by", defectOf(Estimate.majority({ prompt: "p", n: 2, spec: Output.text, by: yes }))],
  ["score", defectOf(Attempt.best(one, { n: 2, score: yes }))],
  ["while", defectOf(Attempt.retry(refused, { times: 1, while: always }))],
  ["until", defectOf(Attempt.retry(refused, { times: 1, until: always }))],
  ["validate", defectOf(Output.query("p", Output.text, { validate: yes }))]
]

it.effect.each(promises)(
  "A promise of `%s` is no value: it ends the program, with the way to mend it",
  ([option, defect]) =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const message = yield* Effect.provide(defect, LlmModel.stack(Independent.layer, provider.layer))
      assert.include(message, `\`${option}\` returned a promise: return an effect, as by \`Effect.promise\``)
    })
)

it.effect("A fork's name that is no text is InvalidInput", () =>
  Effect.gen(function*() {
    const provider = yield* makeProvider()
    for (const name of [3, undefined, null, {}]) {
      const draw = Fork.fork(one, name as never).pipe(Effect.provide(provider.layer))
      const { _tag, message } = yield* Effect.flip(draw)
      assert.strictEqual(_tag, "InvalidInput")
      assert.include(message, "no text")
    }
  }))

it.effect("A cache without a store says what to give", () =>
  Effect.gen(function*() {
    const provider = yield* makeProvider()
    const wrong = [
      [{ dir: "cache" }, "Persistent.layer has no store: give `directory` or `store`"],
      [{ store: MemoryStore.make }, "`store` is an effect: give the `layer` of the store's module"]
    ] as const
    for (const [options, message] of wrong) {
      const layer = Persistent.layer(options as unknown as Persistent.Options)
      const exit = yield* Effect.exit(one.pipe(Effect.provide(layer), Effect.provide(provider.layer)))
      assert.include(Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "", message)
    }
    assert.deepStrictEqual(provider.requests, [])
  }))

it.effect("A `sample` that is no effect is InvalidInput", () =>
  Effect.gen(function*() {
    const provider = yield* makeProvider()
    const sample = (() => one) as unknown as typeof one
    const { _tag, message } = yield* Effect.flip(Estimate.passAtK({ sample, n: 2, k: 1, check: () => true })).pipe(
      Effect.provide(LlmModel.stack(Independent.layer, provider.layer))
    )
    assert.strictEqual(_tag, "InvalidInput")
    assert.include(message, "`sample` is no effect")
  }))
