// Programs find stores and combinators that break the laws. The suites of the sound ones are those of the packages.
import { assert, describe, it } from "@effect/vitest"
import { Independent, LlmModel, MemoryStore, Persistent, Repeatable, SampleStore } from "@llm-cache/core"
import { Effect, Layer } from "effect"
import { ProgramTest } from "../src/index.ts"

/** Stores in memory that last as long as the test, changed. */
const changed = (change: (store: SampleStore.Store) => Partial<SampleStore.Implementation>) => {
  const stores = new Map<string, SampleStore.Store>()
  return (folder: string) =>
    Layer.effect(
      SampleStore.SampleStore,
      Effect.gen(function*() {
        const kept = stores.get(folder)
        if (kept !== undefined) return kept
        const memory = yield* MemoryStore.make
        const { peek: _, ...methods } = memory
        const store = SampleStore.make({ ...methods, ...change(memory) })
        stores.set(folder, store)
        return store
      })
    )
}

const drawing = (change: (model: LlmModel.Model) => LlmModel.Model["draw"]) => (model: LlmModel.Model) =>
  LlmModel.fromDraw({ ...model, draw: change(model) })

const broken: ReadonlyArray<readonly [what: string, options: ProgramTest.Options]> = [
  ["a store that forgets the origins of samples", {
    store: changed((store) => ({
      put: (key, entries, ifTaken) =>
        store.put(
          key,
          entries.map((entry) => ({ ...entry, drawn: { ...entry.drawn, origins: [] } })) as never,
          ifTaken
        )
    }))
  }],
  ["a store that keeps one sample of a request", {
    store: changed((store) => ({
      put: (key, [first], ifTaken) => store.put(key, [first] as never, ifTaken)
    }))
  }],
  ["a store that forgets at a restart", { store: () => MemoryStore.layer }],
  ["a store that does not remove", { store: changed(() => ({ remove: () => Effect.void })) }],
  ["an Independent that shares a sequence with others", { combinators: { independent: Repeatable.make } }],
  ["a Repeatable that draws one sample more", {
    combinators: {
      repeatable: (source) =>
        Effect.map(
          Repeatable.make(source),
          drawing((model) => (key, position, batch) =>
            Effect.tap(model.draw(key, position, batch), () => Effect.ignore(model.draw(key, position + 1, 1)))
          )
        )
    }
  }],
  ["a Persistent that answers a failed request by itself", {
    combinators: {
      persistent: (source, store) =>
        Effect.map(
          Persistent.make(source, store),
          drawing((model) => (key, position, batch) =>
            Effect.catchTag(model.draw(key, position, batch), "ProviderError", () =>
              Effect.succeed([{ text: "sorry", metadata: {}, origins: [] }] as const))
          )
        )
    }
  }]
]

describe("programs find", () => {
  for (const [what, options] of broken) {
    it.effect(what, () =>
      Effect.gen(function*() {
        const { message, program } = yield* Effect.flip(ProgramTest.check({ runs: 300, ...options }))
        assert.include(message, "LLM_CACHE_SEED=programs")
        assert.include(message, JSON.stringify(program))
        const again = yield* Effect.flip(ProgramTest.checkProgram(program, options))
        assert.deepStrictEqual(again.program, program)
      }))
  }
})

const passing = drawing((model) => (...args) => model.draw(...args))

ProgramTest.suite("combinators that pass every draw on", {
  runs: 100,
  combinators: {
    independent: (source) => Independent.make(source),
    persistent: (source, store) => Effect.map(Persistent.make(source, store), passing),
    repeatable: (source) => Effect.map(Repeatable.make(source), passing)
  }
})

ProgramTest.suite("a store that answers later", {
  runs: 100,
  isSynchronous: false,
  store: changed((store) => ({
    getMany: (key, from, count) =>
      Effect.andThen(
        Effect.promise(() => new Promise((resolve) => setImmediate(resolve))),
        store.getMany(key, from, count)
      )
  }))
})
