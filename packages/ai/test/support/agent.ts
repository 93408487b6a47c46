import { Effect, Random, Schema, Stream } from "effect"
import { Chat, LanguageModel, Tool, Toolkit } from "effect/ai"
import { call, deltas, finish, scripted, text } from "./scripted.ts"

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

/** A provider for the agent. Every answer is another one. */
export const agentProvider = () =>
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

/** The number of requests of the agent. */
export const agentRequests = 6

/**
 * A chat of two turns with two tools at once, an object and a stream. It gives all that the model answered: the results of
 * tools, which come in the order in which they ended, are sorted.
 */
export const agent = Effect.gen(function*() {
  const chat = yield* Chat.empty
  const output: Array<unknown> = []
  for (const prompt of ["Weather?", "And tomorrow?"]) {
    const { content, toolResults } = yield* chat.generateText({ prompt, toolkit })
    output.push(
      content.filter(({ type }) => type !== "tool-result"),
      toolResults.map(({ id, result }) => ({ id, result })).sort((a, b) => (a.id < b.id ? -1 : 1))
    )
    output.push((yield* chat.generateText({ prompt: [], toolkit })).content)
  }
  const { content, value } = yield* LanguageModel.generateObject({
    prompt: "Best?",
    schema: Schema.Struct({ best: Schema.String })
  })
  output.push(content, value)
  output.push(yield* Stream.runCollect(LanguageModel.streamText({ prompt: "Report" })))
  return JSON.stringify(output)
}).pipe(Effect.provide(handlers))
