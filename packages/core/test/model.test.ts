import { assert, describe, it } from "@effect/vitest"
import {
  DirectoryStore,
  Fork,
  Identity,
  Independent,
  Key,
  LlmModel,
  MemoryStore,
  Persistent,
  Prefetch,
  Repeatable,
  SampleError
} from "@llm-cache/core"
import { Context, Effect, Exit, Fiber, Layer, Option, References, Result, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { makeDirectory, samplesIn } from "./support/directory.ts"
import { makeGate, makeProvider, using } from "./support/provider.ts"
import { build, count, Stack } from "./support/stack.ts"

const reasonOf = (error: unknown) => error instanceof SampleError.ProviderError ? error.reason._tag : error

describe("A request to generate", () => {
  it.effect("has the key of its draw, with the identity and the fork", () =>
    Effect.gen(function*() {
      const keys: Array<Key.Key> = []
      const model = yield* LlmModel.make({
        model: "m",
        temperature: 1,
        generate: ({ key, prompt }) => {
          assert.strictEqual(prompt, key.prompt)
          keys.push(key)
          return Effect.succeed({ samples: [`${key.identity.name} ${key.path.join()}`] })
        }
      })
      yield* LlmModel.sampleOne("p").pipe(Fork.fork("f"), using(model))
      assert.deepStrictEqual(keys.map(({ identity, path, prompt }) => [identity, prompt, path]), [
        [model.identity, "p", ["f"]]
      ])
      // One model can serve another identity.
      const other = yield* Identity.make({ model: "other" })
      const [drawn] = yield* model.draw(new Key.Key(other, "p", []), 0, 1)
      assert.strictEqual(drawn.text, "other ")
    }))

  it.effect("brings the rest of the answer, which is kept as JSON with the sample", () =>
    Effect.gen(function*() {
      const rest = { tool_calls: [{ name: "f", count: 1.5, none: undefined as never }] }
      const cyclic: Record<string, never> = {}
      cyclic["self"] = cyclic as never
      const model = yield* LlmModel.make({
        model: "m",
        generate: () =>
          Effect.succeed({
            samples: [{ text: "a", rest }, { text: "b" }, { text: "c", rest: cyclic }, { text: "d", rest: 7 as never }]
          })
      })
      const drawn = yield* model.draw(new Key.Key(model.identity, "p", []), 0, 4)
      assert.deepStrictEqual(drawn.map(({ metadata, text }) => [text, metadata.rest]), [
        ["a", { tool_calls: [{ name: "f", count: 1.5 }] }],
        ["b", undefined],
        ["c", undefined],
        ["d", undefined]
      ])
      assert.isFalse("rest" in drawn[1]!.metadata)
      const root = yield* makeDirectory
      const cached = yield* Persistent.make(model, yield* DirectoryStore.make(root))
      yield* using(cached)(LlmModel.sampleOne("p"))
      const again = yield* DirectoryStore.make(root)
      assert.deepStrictEqual(
        (yield* again.get(new Key.Key(model.identity, "p", []), 0))?.metadata.rest,
        drawn[0].metadata.rest
      )
    }))
})

describe("A batch", () => {
  it.effect.each([
    { batch: 20, maxBatch: 10, n: 40, sent: [10, 10, 10, 10] },
    { batch: 20, maxBatch: 8, n: 20, sent: [7, 7, 7] },
    { batch: 20, maxBatch: 8, n: 21, sent: [7, 7, 7] },
    { batch: 20, maxBatch: 8, n: 22, sent: [7, 7, 7, 7] },
    { batch: 20, maxBatch: 20, n: 20, sent: [20] },
    { batch: 20, maxBatch: 100, n: 41, sent: [20, 20, 20] },
    { batch: 20, maxBatch: 1, n: 3, sent: [1, 1, 1] },
    { batch: 1, maxBatch: 10, n: 3, sent: [1, 1, 1] }
  ])(
    "is sent as evenly filled requests when the consumer needs them: %j",
    ({ batch, maxBatch, n, sent }) =>
      Effect.gen(function*() {
        for (
          const stack of [[], ["Repeatable"], ["Persistent"], ["Independent"], ["Independent", "Persistent"]] as const
        ) {
          const provider = yield* makeProvider({ maxBatch })
          const [model] = yield* build(stack, provider.model, yield* makeDirectory)
          yield* LlmModel.sample("p", { batch }).pipe(Stream.take(n), Stream.runDrain, using(model!))
          assert.deepStrictEqual(provider.requests, sent, stack.join())
        }
      })
  )

  it.effect.prop(
    "of sampleMany requests the missing samples, and no more",
    {
      n: count(1, 20),
      maxBatch: count(1, 8),
      recorded: count(0, 12),
      stack: Schema.Literals(["Repeatable", "Persistent"])
    },
    ({ maxBatch, n, recorded, stack }) =>
      Effect.gen(function*() {
        const provider = yield* makeProvider({ maxBatch })
        const [model] = yield* build([stack], provider.model, yield* makeDirectory)
        if (recorded > 0) yield* LlmModel.sampleMany("p", recorded).pipe(using(model!))
        provider.requests.length = 0
        const texts = yield* LlmModel.sampleMany("p", n).pipe(using(model!))
        assert.deepStrictEqual(texts, provider.given.slice(0, n))
        const missing = Math.max(0, n - recorded)
        assert.strictEqual(provider.requests.reduce((a, b) => a + b, 0), missing)
        assert.strictEqual(provider.requests.length, Math.ceil(missing / maxBatch))
      }).pipe(Effect.scoped)
  )

  it.effect("fills gaps, and does not request stored samples", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const { Key, SampleStore } = yield* Effect.promise(() => import("@llm-cache/core"))
      const store = yield* Effect.provide(SampleStore.SampleStore, MemoryStore.layer)
      const key = new Key.Key(provider.model.identity, "p", [])
      for (const position of [1, 4]) {
        yield* store.put(key, [{ position, drawn: { text: `old ${position}`, metadata: {}, origins: [] } }], "drop")
      }
      const model = yield* Persistent.make(provider.model, store)
      assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 6).pipe(using(model)), [
        "p #0",
        "old 1",
        "p #1",
        "p #2",
        "old 4",
        "p #3"
      ])
      assert.deepStrictEqual(provider.requests, [4])
    }).pipe(Effect.scoped))

  it.effect("is completed if the provider returns fewer samples, and not requested again if it returns more", () =>
    Effect.gen(function*() {
      for (const stack of [[], ["Repeatable"], ["Persistent"], ["Independent"]] as const) {
        const root = yield* makeDirectory
        const one = yield* makeProvider({ brings: () => 1 })
        const [less] = yield* build(stack, one.model, root)
        assert.strictEqual((yield* LlmModel.sampleMany("p", 4).pipe(using(less!))).length, 4)
        assert.strictEqual(one.requests.length, 4)
        const many = yield* makeProvider({ brings: (n) => n + 3 })
        const [more] = yield* build(stack, many.model, yield* makeDirectory)
        const texts = yield* LlmModel.sample("p").pipe(Stream.take(8), Stream.runCollect, using(more!))
        assert.deepStrictEqual(texts, many.given)
        assert.deepStrictEqual(many.requests, [1, 1])
      }
    }).pipe(Effect.scoped))

  it.effect("that came short is followed by a request for its rest", () =>
    Effect.gen(function*() {
      for (const stack of [[], ["Repeatable"], ["Persistent"], ["Independent"]] as const) {
        const answers = [10, 10, 20, 7, 13]
        const provider = yield* makeProvider({ brings: () => answers.shift()! })
        const [model] = yield* build(stack, provider.model, yield* makeDirectory)
        yield* LlmModel.sample("p", { batch: 20 }).pipe(Stream.take(60), Stream.runDrain, using(model!))
        assert.deepStrictEqual(provider.requests, [20, 10, 20, 20, 13], stack.join())
        answers.push(15, 5, 20)
        provider.requests.length = 0
        yield* LlmModel.sampleMany("q", 40, { batch: 20 }).pipe(using(model!))
        assert.deepStrictEqual(provider.requests, [20, 5, 20], stack.join())
      }
    }).pipe(Effect.scoped))

  it.effect("that came short is completed for an independent reader without other state", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider({ maxBatch: 2, brings: (n) => Math.max(1, n - 1) })
      const model = yield* Independent.make(provider.model)
      const some = (n: number, batch: number) => Stream.runDrain(Stream.take(LlmModel.sample("p", { batch }), n))
      provider.failures = 1
      yield* Effect.gen(function*() {
        yield* Effect.flip(some(1, 1))
        yield* Fork.fork(some(2, 1), "inner")
        provider.requests.length = 0
        yield* some(3, 2)
      }).pipe(Fork.fork("outer"), using(model))
      assert.deepStrictEqual(provider.requests, [2, 1, 2])
    }).pipe(Effect.scoped))

  it.effect("of any size costs no more than the samples of its answer", () =>
    Effect.gen(function*() {
      for (
        const stack of [[], ["Repeatable"], ["Persistent"], ["Independent"], ["Independent", "Persistent"]] as const
      ) {
        for (const maxBatch of [10, undefined]) {
          const provider = yield* makeProvider({ ...(maxBatch && { maxBatch }), brings: (n) => Math.min(n, 10) })
          const [model] = yield* build(stack, provider.model, yield* makeDirectory)
          yield* LlmModel.sample("p", { batch: Number.MAX_SAFE_INTEGER }).pipe(
            Stream.take(11),
            Stream.runDrain,
            using(model!)
          )
          assert.strictEqual(provider.requests.length, 2)
        }
      }
    }).pipe(Effect.scoped))

  it.effect("does not request the samples of an in-flight request", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const gate = yield* makeGate
      provider.gate = gate.wait
      const [model] = yield* build(["Persistent"], provider.model, yield* makeDirectory)
      const key = new Key.Key(provider.model.identity, "p", [])
      const fibers = yield* Effect.forEach([[3, 1], [0, 5], [4, 3]] as const, ([position, batch]) =>
        Effect.forkChild(model!.draw(key, position, batch), { startImmediately: true }))
      yield* gate.open
      yield* Effect.forEach(fibers, Fiber.join)
      // position 3; 0, 1, 2 and 4; the last waits for 4
      assert.deepStrictEqual(provider.requests, [1, 4])
      yield* LlmModel.sampleMany("p", 6).pipe(using(model!))
      assert.deepStrictEqual(provider.requests, [1, 4, 1])
    }).pipe(Effect.scoped))

  it.effect("of a bare provider hands out no sample beyond n", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider({ brings: (n) => n + 3 })
      assert.strictEqual((yield* LlmModel.sampleMany("p", 2).pipe(using(provider.model))).length, 2)
      assert.notStrictEqual(
        yield* LlmModel.sampleOne("p").pipe(using(provider.model)),
        yield* LlmModel.sampleOne("p").pipe(using(provider.model))
      )
    }))
})

it.effect.prop("sampleMany of no samples draws none", { stack: Stack }, ({ stack }) =>
  Effect.gen(function*() {
    const provider = yield* makeProvider()
    const [model] = yield* build(stack, provider.model, yield* makeDirectory)
    assert.deepStrictEqual(yield* LlmModel.sampleMany("p", 0).pipe(using(model!)), [])
    assert.deepStrictEqual(provider.requests, [])
  }).pipe(Effect.scoped))

describe("InvalidInput comes before any request", () => {
  const wrong = [0, -1, 1.5, NaN, Infinity, -Infinity, 2 ** 60]

  it.effect.prop(
    "for a batch or n that is not a whole number in range",
    { stack: Stack, bad: Schema.Literals(wrong.filter(Number.isFinite)) },
    ({ bad, stack }) =>
      Effect.gen(function*() {
        const provider = yield* makeProvider()
        const [model] = yield* build(stack, provider.model, yield* makeDirectory)
        for (const number of [bad, NaN, Infinity]) {
          const errors = yield* Effect.all([
            Effect.flip(LlmModel.sample("p", { batch: number }).pipe(Stream.take(1), Stream.runDrain)),
            Effect.flip(LlmModel.sampleMany("p", 1, { batch: number })),
            Effect.flip(LlmModel.sampleMany("p", number === 0 ? -1 : number))
          ]).pipe(using(model!))
          for (const [i, error] of errors.entries()) {
            assert.instanceOf(error, SampleError.InvalidInput)
            const [least, given] = i === 2 ? [0, number === 0 ? -1 : number] : [1, number]
            assert.include(error.message, `is ${given}: give a whole number of at least ${least}`)
          }
        }
        assert.deepStrictEqual(provider.requests, [])
      }).pipe(Effect.scoped)
  )

  it.effect.prop("for a prompt with a lone surrogate", { stack: Stack }, ({ stack }) =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const [model] = yield* build(stack, provider.model, yield* makeDirectory)
      for (const prompt of ["\uD800", "a\uDC00b", "\uDC00\uD800"]) {
        const errors = yield* Effect.all([
          Effect.flip(LlmModel.sampleOne(prompt)),
          Effect.flip(LlmModel.sampleMany(prompt, 2)),
          Effect.flip(Stream.runHead(LlmModel.sample(prompt)))
        ]).pipe(using(model!))
        for (const error of errors) {
          assert.instanceOf(error, SampleError.InvalidInput)
          assert.include(error.message, "toWellFormed")
        }
      }
      assert.deepStrictEqual(provider.requests, [])
      // a whole pair is fine
      assert.strictEqual(yield* LlmModel.sampleOne("🙂").pipe(using(model!)), "🙂 #0")
    }).pipe(Effect.scoped))

  it.effect("for a prompt that is no text, as programs in JavaScript can pass it", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const messages: ReadonlyArray<readonly [unknown, string]> = [
        [[{ role: "user", content: "a" }], "is an array"],
        [{ role: "user", content: "a" }, "is of the type object"],
        [undefined, "is undefined"],
        [null, "is null"],
        [1, "is of the type number"]
      ]
      for (const [value, type] of messages) {
        const prompt = value as string
        const errors = yield* Effect.all([
          Effect.flip(LlmModel.sampleOne(prompt)),
          Effect.flip(LlmModel.sampleMany(prompt, 2)),
          Effect.flip(Stream.runHead(LlmModel.sample(prompt))),
          Effect.map(Prefetch.prefetch([{ prompt, n: 1 }]), ({ failed }) => failed[0]!.error)
        ]).pipe(Effect.provide(Repeatable.layer), Effect.provide(provider.layer))
        for (const error of errors) {
          assert.instanceOf(error, SampleError.InvalidInput)
          assert.include(error.message, `the prompt ${type}, and has to be a text`)
        }
      }
      assert.deepStrictEqual(provider.requests, [])
    }))

  const generate = () => Effect.succeed({ samples: ["x"] })

  it.effect.each<readonly [string, Partial<LlmModel.Options>]>([
    ["generate", { generate: undefined as never }],
    ["generate", { generate: { samples: ["x"] } as never }],
    ...wrong.filter((number) => number !== Infinity).map((maxBatch) => ["maxBatch", { maxBatch }] as const),
    ...[-0.1, NaN, Infinity].map((temperature) => ["temperature", { temperature }] as const),
    ["model", { model: "" }],
    ["model", { alias: "" }],
    ["model", { model: "", alias: "m" }],
    ["surrogate", { alias: "\uD800" }],
    ["parameters", { parameters: { top_p: NaN } }],
    ["parameters", { parameters: { seed: Symbol.iterator as never } }],
    ["parameters", { parameters: { stop: [undefined as never] } }],
    ["parameters", { parameters: { stop: "\uD800" } }],
    ["parameters", { parameters: { when: new Date(0) as never } }]
  ])("%s: %j", ([name, options]) =>
    Effect.gen(function*() {
      const all = { model: "m", generate, ...options }
      const error = yield* Effect.flip(LlmModel.make(all))
      assert.instanceOf(error, SampleError.InvalidInput)
      assert.include(error.message, name)
      assert.isFalse(error.isRetryable)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.provide(LlmModel.sampleOne("p"), LlmModel.layer(all)))))
    }))
})

describe("A model made from a function", () => {
  it.effect("fails with the error of the function at each draw", () =>
    Effect.gen(function*() {
      const miss = new SampleError.ProviderError({
        provider: "mock",
        reason: new SampleError.BadKey({ description: "set KEY" })
      })
      const layer = LlmModel.layer({ model: "m", generate: () => Effect.fail(miss) })
      assert.strictEqual(yield* Effect.flip(Effect.provide(LlmModel.sampleOne("p"), layer)), miss)
      assert.strictEqual(miss.message, "mock: set KEY")
    }))

  it.effect.each([
    ["none", []],
    ["only ones without a text", [null, undefined, 3, { text: null }]],
    ["no list", null],
    ["a text for a list", "abc"]
  ])("fails and stores nothing if the function returns %s", ([, samples]) =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const layer = Persistent.layer({ directory: root }).pipe(
        Layer.provide(LlmModel.layer({ model: "m", generate: () => Effect.succeed({ samples: samples as never }) }))
      )
      assert.strictEqual(
        reasonOf(yield* Effect.flip(Effect.provide(LlmModel.sampleOne("p"), layer))),
        "UnusableResponse"
      )
      assert.deepStrictEqual(samplesIn(root), {})
    }))

  it.effect("drops samples without text, keeps empty texts and repairs lone surrogates", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const layer = Persistent.layer({ directory: root }).pipe(Layer.provide(LlmModel.layer({
        model: "m",
        generate: () => Effect.succeed({ samples: [null as never, { text: "a\uD800b", finishReason: "stop" }, ""] })
      })))
      const texts = yield* Effect.provide(LlmModel.sampleMany("p", 2), layer)
      assert.deepStrictEqual(texts, ["a\uFFFDb", ""])
      assert.deepStrictEqual(samplesIn(root), { 0: "a\uFFFDb", 1: "" })
      assert.deepStrictEqual(yield* Effect.provide(LlmModel.sampleMany("p", 2), layer), texts)
    }))

  it.effect("keeps the refusal, the reasoning and the answer's id with a sample, also in a directory", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const layer = Persistent.layer({ directory: root }).pipe(Layer.provide(LlmModel.layer({
        model: "m",
        generate: () =>
          Effect.succeed({
            samples: [{ text: "", finishReason: "stop", refusal: "No.", reasoning: "hm\uD800" }],
            responseId: "c1"
          })
      })))
      for (let run = 0; run < 2; run++) {
        const [{ metadata, text }] = yield* Effect.provide(
          Effect.flatMap(LlmModel.LlmModel, (model) => model.draw(new Key.Key(model.identity, "p", []), 0, 1)),
          layer
        )
        assert.strictEqual(text, "")
        assert.deepInclude(metadata, { refusal: "No.", reasoning: "hm\uFFFD", responseId: "c1" })
      }
    }))

  it.effect("fails with the failure in an answer without samples", () =>
    Effect.gen(function*() {
      const reason = new SampleError.ServerFault({ description: "gone" })
      const model = yield* LlmModel.make({
        model: "m",
        generate: () => Effect.succeed({ samples: [], failures: [reason] })
      })
      const error = yield* Effect.flip(LlmModel.sampleOne("p").pipe(using(model)))
      assert(error._tag === "ProviderError")
      assert.strictEqual(error.reason, reason)
    }))

  it.effect("gets the services of the function from the context of its construction", () =>
    Effect.gen(function*() {
      class Word extends Context.Service<Word, { readonly word: string }>()("Word") {}
      const layer = LlmModel.layer({
        model: "m",
        generate: () => Effect.map(Word, ({ word }) => ({ samples: [word] }))
      })
      const program = Effect.provide(LlmModel.sampleOne("p"), layer)
      assert.strictEqual(yield* Effect.provideService(program, Word, { word: "yes" }), "yes")
    }))

  it.effect("can sample another model without sampling itself", () =>
    Effect.gen(function*() {
      const provider = yield* makeProvider()
      const shout = LlmModel.layer({
        model: "shout",
        generate: ({ n, prompt }) =>
          Effect.map(LlmModel.sampleMany(prompt, n), (samples) => ({ samples: samples.map((text) => `${text}!`) }))
      })
      const program = LlmModel.sampleMany("p", 2).pipe(Effect.provide(Repeatable.layer), Effect.provide(shout))
      assert.deepStrictEqual(yield* Effect.provide(program, provider.layer), ["p #0!", "p #1!"])
    }))

  it.effect("runs in the spans and the log of the sampling fiber, with the services of its construction", () =>
    Effect.gen(function*() {
      class Word extends Context.Service<Word, string>()("Word") {}
      const seen: Array<unknown> = []
      const layer = LlmModel.layer({
        model: "m",
        generate: () =>
          Effect.gen(function*() {
            const parent = Option.getOrUndefined((yield* Effect.currentSpan).parent)
            const annotations = yield* References.CurrentLogAnnotations
            seen.push(parent?._tag === "Span" && parent.name, annotations["of"], yield* Word)
            return { samples: ["x"] }
          }).pipe(Effect.orDie)
      }).pipe(Layer.provide(Layer.succeed(Word, "where it is made")), Layer.withSpan("made"))
      yield* LlmModel.sampleOne("p").pipe(
        Effect.withSpan("sampled"),
        Effect.annotateLogs({ of: "who samples" }),
        Effect.provide(Layer.provide(Repeatable.layer, layer)),
        Effect.provideService(Word, "where it is sampled")
      )
      assert.deepStrictEqual(seen, ["sampled", "who samples", "where it is made"])
    }))

  it.effect("has a scope for each request, which outlasts the sampling fiber", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const gate = yield* makeGate
      const source = yield* LlmModel.make({
        model: "m",
        generate: () =>
          Effect.gen(function*() {
            yield* Effect.acquireRelease(
              Effect.sync(() => log.push("open")),
              () => Effect.sync(() => log.push("closed"))
            )
            yield* gate.wait
            log.push("used")
            return { samples: ["x"] }
          })
      })
      const model = yield* Repeatable.make(source)
      const asking = Effect.scoped(LlmModel.sampleOne("p")).pipe(using(model))
      yield* Fiber.interrupt(yield* Effect.forkChild(asking, { startImmediately: true }))
      assert.deepStrictEqual(log, ["open"])
      yield* gate.open
      yield* asking
      assert.deepStrictEqual(log, ["open", "used", "closed"])
    }).pipe(Effect.scoped))

  it.effect("adds metadata, time and duration of the request to each sample", () =>
    Effect.gen(function*() {
      const source = yield* LlmModel.make({
        model: "m",
        generate: () =>
          Effect.as(TestClock.adjust("3 seconds"), {
            samples: [{ text: "a", finishReason: "stop" }, null as never, "b"],
            model: "m-1",
            inputTokens: 5,
            outputTokens: 7
          })
      })
      yield* TestClock.setTime(10_000)
      const drawn = yield* source.draw(new Key.Key(source.identity, "p", []), 0, 2)
      const name = drawn[0].metadata.request
      assert.match(name!, /^[0-9a-f-]{36}$/)
      const request = {
        request: name,
        model: "m-1",
        createdAt: 13_000,
        elapsed: 3_000,
        requestSamples: 2,
        inputTokens: 5,
        outputTokens: 7
      }
      assert.deepStrictEqual(drawn, [
        { text: "a", metadata: { ...request, index: 0, finishReason: "stop" }, origins: [] },
        { text: "b", metadata: { ...request, index: 1 }, origins: [] }
      ])
    }))

  it.effect("that dies ends its waiting draws and nothing else", () =>
    Effect.gen(function*() {
      let calls = 0
      const source = yield* LlmModel.make({
        model: "m",
        generate: () => calls++ === 0 ? Effect.die("bug") : Effect.succeed({ samples: [`${calls}`] })
      })
      const model = yield* Independent.make(yield* Repeatable.make(source))
      assert.isTrue(Exit.hasDies(yield* Effect.exit(LlmModel.sampleOne("p").pipe(using(model)))))
      assert.strictEqual(yield* LlmModel.sampleOne("p").pipe(using(model)), "2")
    }).pipe(Effect.scoped))
})

describe("An identity", () => {
  it.effect("keeps the order of names inside a JSON Schema alone, and keeps it in every form", () =>
    Effect.gen(function*() {
      const schema = { type: "object", properties: { reasons: {}, answer: { z: 1, a: 2 } }, required: ["answer"] }
      const make = (parameters: Identity.Options["parameters"]) =>
        Effect.orDie(Identity.make({ model: "m", temperature: 1, parameters }))
      const outside = { type: "json_schema", json_schema: { strict: true, name: "n", schema } }
      const one = yield* make({ response_format: outside, a: 1 })
      assert.strictEqual(
        one.parameters,
        `{"a":1,"response_format":{"json_schema":{"name":"n","schema":{"type":"object","properties":{"reasons":{},` +
          `"answer":{"z":1,"a":2}},"required":["answer"]},"strict":true},"type":"json_schema"}}`
      )
      const { json_schema: { name, strict }, type } = outside
      assert.strictEqual(
        (yield* make({ a: 1, response_format: { json_schema: { name, strict, schema }, type } })).id,
        one.id
      )
      const reversed = { ...schema, properties: { answer: { z: 1, a: 2 }, reasons: {} } }
      assert.notStrictEqual(
        (yield* make({ a: 1, response_format: { ...outside, json_schema: { name, strict, schema: reversed } } })).id,
        one.id
      )
      assert.strictEqual(Identity.fromId(one.id)?.id, one.id)
      // A parameter of the name `properties` that is no object is no schema.
      assert.strictEqual(
        (yield* make({ z: { properties: [{ b: 1, a: 2 }], c: 3 } })).parameters,
        `{"z":{"c":3,"properties":[{"a":2,"b":1}]}}`
      )
      const root = yield* makeDirectory
      const store = yield* DirectoryStore.make(root)
      const key = new Key.Key(one, "p", [])
      yield* store.put(key, [{ position: 0, drawn: { text: "a", metadata: {}, origins: [] } }], "drop")
      const [listed] = yield* Stream.runCollect((yield* DirectoryStore.make(root)).keys())
      assert.strictEqual(Result.getOrThrow(listed!).key.identity.id, one.id)
    }))

  it.effect("consists of alias, temperature and parameters, and passes through every combinator", () =>
    Effect.gen(function*() {
      const source = yield* LlmModel.make({
        model: "vendor/m-large",
        alias: "m",
        temperature: 0.5,
        parameters: { top_p: 0.9, b: { d: 1, c: undefined } },
        generate: () => Effect.succeed({ samples: ["x"] })
      })
      const models = yield* build(["Independent", "Repeatable", "Persistent"], source, yield* makeDirectory)
      for (const { identity } of models) {
        assert.strictEqual(identity.name, "m")
        assert.strictEqual(identity.temperature, 0.5)
        assert.strictEqual(identity.parameters, `{"b":{"d":1},"top_p":0.9}`)
      }
    }).pipe(Effect.scoped))

  it.effect.prop(
    "equals another exactly if all three are equal",
    {
      one: Schema.Struct({
        name: Schema.Literals(["a", "b"]),
        temperature: Schema.Literals([0, 0.5, "none"]),
        p: Schema.Literals([1, "1", 2])
      }),
      two: Schema.Struct({
        name: Schema.Literals(["a", "b"]),
        temperature: Schema.Literals([0, 0.5, "none"]),
        p: Schema.Literals([1, "1", 2])
      })
    },
    ({ one, two }) =>
      Effect.gen(function*() {
        const make = ({ name, p, temperature }: typeof one) =>
          Identity.make({
            model: name,
            temperature: temperature === "none" ? undefined : temperature,
            parameters: { p }
          })
        assert.strictEqual((yield* make(one)).id === (yield* make(two)).id, JSON.stringify(one) === JSON.stringify(two))
      })
  )
})
