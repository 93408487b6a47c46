import { assert, describe, it } from "@effect/vitest"
import { Fork, Independent, MemoryStore } from "@llm-cache/core"
import { Effect, Random, Schema, Stream } from "effect"
import { Chat, LanguageModel, Tool, Toolkit } from "effect/ai"
import { cached, call, deltas, finish, replayed, scripted, text } from "./support/scripted.ts"

const Weather = Tool.make("weather", { parameters: Schema.Struct({ city: Schema.String }), success: Schema.Int })

const toolkit = Toolkit.make(Weather)

/** Handlers that take any time. */
const handlers = toolkit.toLayer({
  weather: ({ city }) =>
    Effect.gen(function*() {
      const times = yield* Random.nextIntBetween(0, 50)
      for (let i = 0; i < times; i++) yield* Effect.yieldNow
      return city.length
    })
})

/** Every answer of the provider is another one. */
const provider = () =>
  scripted((options, i) =>
    options.responseFormat.type === "json"
      ? [text(`{"best":"city ${i}"}`), finish()]
      : options.prompt.content.at(-1)?.role === "user"
      ? [
        call(`${i}-1`, "weather", { city: "Rome" }),
        call(`${i}-2`, "weather", { city: `Oslo ${i}` }),
        finish("tool-calls")
      ]
      : [text(`answer ${i}`), finish()], (_, i) => Stream.fromIterable(deltas("streamed ", String(i))))

const agent = Effect.gen(function*() {
  const chat = yield* Chat.empty
  const texts: Array<string> = []
  for (const prompt of ["Weather?", "And tomorrow?"]) {
    yield* chat.generateText({ prompt, toolkit })
    texts.push((yield* chat.generateText({ prompt: [], toolkit })).text)
  }
  const { value } = yield* LanguageModel.generateObject({
    prompt: "Best?",
    schema: Schema.Struct({ best: Schema.String })
  })
  const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "Report" }))
  return [...texts, value.best, ...parts.flatMap((part) => part.type === "text-delta" ? [part.delta] : [])]
}).pipe(Effect.provide(handlers))

describe("agents", () => {
  it.effect("record once and send nothing again: chats with tools at once, objects and streams", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const first = provider()
      const outputs = yield* Effect.provide(agent, cached(first.layer, { store }))
      assert.strictEqual(first.requests.length, 6)
      const second = provider()
      assert.deepStrictEqual(yield* Effect.provide(agent, cached(second.layer, { store })), outputs)
      assert.strictEqual(second.requests.length, 0)
      assert.deepStrictEqual(yield* Effect.provide(agent, replayed(store)), outputs)
    }))

  it.effect("replay when ten run at once in forks, 100 times", () =>
    Effect.gen(function*() {
      const store = yield* MemoryStore.make
      const ten = Fork.forEach(Array.from({ length: 10 }), () => agent, { concurrency: 10 }).pipe(
        Effect.provide(Independent.layer)
      )
      const outputs = yield* Effect.provide(ten, cached(provider().layer, { store }))
      assert.strictEqual(new Set(outputs.map((output) => output.join())).size, 10)
      for (let i = 0; i < 100; i++) assert.deepStrictEqual(yield* Effect.provide(ten, replayed(store)), outputs)
    }))
})
