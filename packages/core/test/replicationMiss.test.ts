import { assert, describe, it } from "@effect/vitest"
import { Identity, Independent, LlmModel, MemoryStore, Persistent, SampleError, SampleStore } from "@llm-cache/core"
import * as TestModel from "@llm-cache/testing/TestModel"
import { Effect, Exit, Fiber } from "effect"
import * as Path from "node:path"
import { makeDirectory } from "./support/directory.ts"
import { makeGate, makeProvider, using } from "./support/provider.ts"

const record = Effect.fnUntraced(function*(store: SampleStore.Store, options: Partial<TestModel.Options>) {
  const { model } = yield* TestModel.make(options)
  yield* LlmModel.sampleOne("p").pipe(using(yield* Persistent.make(model, store)))
})

const missOf = (store: SampleStore.Store, options: Identity.Options, prompt = "p") =>
  LlmModel.sampleOne(prompt).pipe(
    Effect.provide(Persistent.layerReplication({ store, ...options })),
    Effect.flip,
    Effect.map((error) => {
      assert.instanceOf(error, SampleError.ReplicationCacheMiss)
      return error
    })
  )

const memory = Effect.provide(SampleStore.SampleStore, MemoryStore.layer)

describe("a miss of a model that is not in the cache", () => {
  it.effect("lists the models in it, the most similar first", () =>
    Effect.gen(function*() {
      const store = yield* memory
      for (const model of ["gpt-4o", "claude", "llama-3.1-8b"]) yield* record(store, { model })
      yield* record(store, { model: "llama-3.1-8b", temperature: 0.5, parameters: { top_p: 0.9 } })
      const miss = yield* missOf(store, { model: "llama-3.1-8B", temperature: 1 })
      assert.deepStrictEqual(miss.stored?.map(String), [
        "llama-3.1-8b, temperature 1",
        "llama-3.1-8b, temperature 0.5, {\"top_p\":0.9}",
        "gpt-4o, temperature 1",
        "claude, temperature 1"
      ])
      assert.include(
        miss.message,
        "No prompt is stored for this identity: compare its name, temperature and parameters with the recorded ones: " +
          "llama-3.1-8b, temperature 1; llama-3.1-8b, temperature 0.5, "
      )
      assert.include(JSON.stringify(miss), "llama-3.1-8b")
    }))

  it.effect("names five of many models, and counts the others", () =>
    Effect.gen(function*() {
      const store = yield* memory
      for (let i = 0; i < 7; i++) yield* record(store, { model: `model-${i}` })
      const { message } = yield* missOf(store, { model: "model-3", temperature: 2 })
      assert.include(message, "recorded ones: model-3, temperature 1; ")
      assert.include(message, "; 2 more. Replication")
    }))

  it.effect("says that the store is empty", () =>
    Effect.gen(function*() {
      const miss = yield* missOf(yield* memory, { model: "m" })
      assert.deepStrictEqual(miss.stored, [])
      assert.include(miss.message, "The store is empty: check its place")
    }))

  it.effect("lists no models if the model is in the cache", () =>
    Effect.gen(function*() {
      const store = yield* memory
      yield* record(store, { model: "m" })
      for (const prompt of ["p", "q"]) {
        const draw = LlmModel.sampleMany(prompt, 2).pipe(
          Effect.provide(Persistent.layerReplication({ store, model: "m", temperature: 1 }))
        )
        const miss = yield* Effect.flip(draw)
        assert.instanceOf(miss, SampleError.ReplicationCacheMiss)
        assert.notProperty(miss, "stored")
      }
    }))
})

it.effect("a draw that fails beside later draws leaves its position to the next draw, and a replication names it until then", () =>
  Effect.gen(function*() {
    const store = yield* memory
    const provider = yield* makeProvider({ model: "m", temperature: 1 })
    const independent = yield* Independent.make(yield* Persistent.make(provider.model, store))
    const one = LlmModel.sampleOne("p").pipe(using(independent))
    const replication = Persistent.layerReplication({ store, model: "m", temperature: 1 })
    const replayed = (n: number) => Effect.provide(LlmModel.sampleMany("p", n), replication)
    const gate = yield* makeGate
    provider.gate = gate.wait
    provider.failures = 1
    const failing = yield* Effect.forkChild(Effect.exit(one), { startImmediately: true })
    const later = yield* Effect.forkChild(one, { startImmediately: true })
    yield* gate.open
    assert.isTrue(Exit.isFailure(yield* Fiber.join(failing)))
    const second = yield* Fiber.join(later)
    const miss = yield* Effect.flip(replayed(1))
    assert.instanceOf(miss, SampleError.ReplicationCacheMiss)
    assert.deepStrictEqual(miss.present, [1])
    assert.include(
      miss.message,
      "Its draw failed when the later ones were recorded, or its sample was removed. Replication does not ask the " +
        "model: run once without replication to draw it"
    )
    assert.deepStrictEqual([yield* one, second], yield* replayed(2))
  }))

it.effect("a miss in the folder of a model names it, and says that the cache is above it", () =>
  Effect.gen(function*() {
    const root = yield* makeDirectory
    const replicated = (directory: string) =>
      Effect.provide(LlmModel.sampleOne("p"), Persistent.layerReplication({ directory, model: "m", temperature: 1 }))
    const { model } = yield* TestModel.make({ model: "m", temperature: 1 })
    const recorded = yield* LlmModel.sampleOne("p").pipe(
      Effect.provide(Persistent.layer({ directory: root })),
      using(model)
    )
    assert.strictEqual(yield* replicated(root), recorded)
    const { message } = yield* Effect.flip(replicated(Path.join(root, "m_1")))
    assert.include(message, `(${root}/m_1 is the folder of one model: give the folder of the cache, above it)`)
    const other = yield* Effect.flip(Effect.provide(
      LlmModel.sampleOne("other"),
      Persistent.layerReplication({ directory: root, model: "m", temperature: 1 })
    ))
    assert.notInclude(other.message, "the folder of one model")
  }))

describe("a miss in a directory that does not exist", () => {
  it.effect("names it and the nearest folder above it that does", () =>
    Effect.gen(function*() {
      const root = yield* makeDirectory
      const directory = Path.join(root, "cahce", "of", "today")
      const miss = yield* LlmModel.sampleOne("p").pipe(
        Effect.provide(Persistent.layerReplication({ directory, model: "m" })),
        Effect.flip
      )
      assert.include(miss.message, `(there is no folder ${directory}; the nearest one above it is ${root})`)
      assert.include(miss.message, "The store is empty")
      const other = yield* LlmModel.sampleOne("p").pipe(
        Effect.provide(Persistent.layerReplication({ directory: root, model: "m" })),
        Effect.flip
      )
      assert.notInclude(other.message, "no folder")
    }))
})

it.effect("a miss with an explanation tells it in place of the difference, and advice in place of the usual one", () =>
  Effect.gen(function*() {
    const store = yield* memory
    yield* record(store, { model: "m" })
    const changed = (miss: SampleError.ReplicationCacheMiss, fields: Partial<SampleError.ReplicationCacheMiss>) =>
      new SampleError.ReplicationCacheMiss(Object.assign({}, miss, fields))
    const explained = (miss: SampleError.ReplicationCacheMiss) =>
      changed(miss, { explanation: "  Because.", advice: "Do it." }).message
    const unknown = yield* missOf(store, { model: "m", temperature: 1 }, "P")
    assert.include(unknown.message, "The nearest stored prompt differs")
    assert.match(explained(unknown), /^Nothing is stored for prompt [^\n]*\.\n {2}Because\.\nDo it\.$/)
    const gap = changed(unknown, { present: [1], position: 0 })
    assert.include(gap.message, "Its draw failed")
    assert.match(explained(gap), /^No sample at position 0 [^\n]* stored, at 1, in [^\n]*\.\n {2}Because\.\nDo it\.$/)
  }))
