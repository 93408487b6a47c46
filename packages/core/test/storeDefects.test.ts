import { assert, describe, it } from "@effect/vitest"
import { Events, LlmModel, MemoryStore, Persistent, SampleStore } from "@llm-cache/core"
import { Effect, Exit, Logger, References, Stream } from "effect"
import { using } from "./support/provider.ts"

const answering = LlmModel.make({
  model: "m",
  generate: ({ n, prompt }) =>
    Effect.sync(() => ({ model: "m-1", responseId: crypto.randomUUID(), samples: Array(n).fill(prompt) }))
})

const replayed = (store: SampleStore.Store) =>
  LlmModel.sampleOne("p").pipe(
    Effect.provide(Persistent.layerReplication({ store, model: "m" }))
  )

describe("A response that is paid for is stored although", () => {
  const dies: Record<string, () => Partial<SampleStore.Store>> = {
    "the list of positions dies": () => ({ positions: () => Effect.die(new Error("bug")) }),
    "the list of positions throws": () => ({
      positions: () => {
        throw new Error("bug")
      }
    }),
    "the list of keys dies": () => ({ keys: () => Stream.die(new Error("bug")) }),
    "the list of keys throws": () => ({
      keys: () => {
        throw new Error("bug")
      }
    })
  }

  it.effect.each(Object.keys(dies))("%s", (name) =>
    Effect.gen(function*() {
      const messages: Array<string> = []
      const logger = Logger.make(({ message }) => void messages.push(String(message)))
      const memory = yield* MemoryStore.make
      // The store throws only after the request was sent.
      const store = SampleStore.make({ ...memory, ...dies[name]!() })
      const cache = yield* Persistent.make(yield* answering, store)
      assert.strictEqual(
        yield* LlmModel.sampleOne("p").pipe(using(cache), Effect.provide(Logger.layer([logger]))),
        "p"
      )
      assert.strictEqual(yield* replayed(memory), "p")
      assert.include(messages.join(), "Its samples are stored all the same")
    }).pipe(Effect.scoped))

  it.effect("the logger throws", () =>
    Effect.gen(function*() {
      const logger = Logger.make(() => {
        throw new Error("bug")
      })
      const memory = yield* MemoryStore.make
      const cache = yield* Persistent.make(yield* answering, memory)
      const listen = Events.listen(() => {
        throw new Error("bug")
      })
      yield* Effect.andThen(listen, LlmModel.sampleOne("p")).pipe(
        using(cache),
        Effect.provide(Events.layer),
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "All")
      )
      assert.strictEqual(yield* replayed(memory), "p")
    }).pipe(Effect.scoped))
})

describe("Samples that the store did not take are kept although", () => {
  it.effect.each(["dies", "throws"])("its put %s", (how) =>
    Effect.gen(function*() {
      const memory = yield* MemoryStore.make
      let isBroken = true
      let requests = 0
      const store = SampleStore.make({
        ...memory,
        put: (...args) => {
          if (!isBroken) return memory.put(...args)
          if (how === "throws") throw new Error("bug")
          return Effect.die(new Error("bug"))
        }
      })
      const model = yield* LlmModel.make({
        model: "m",
        generate: () => Effect.sync(() => ({ samples: [`${requests++}`] }))
      })
      const cache = yield* Persistent.make(model, store)
      const draw = LlmModel.sampleOne("p").pipe(using(cache))
      for (let i = 0; i < 2; i++) assert.isTrue(Exit.hasDies(yield* Effect.exit(draw)))
      isBroken = false
      assert.strictEqual(yield* draw, "0")
      assert.strictEqual(requests, 1)
    }).pipe(Effect.scoped))
})
