/**
 * An agent with tools, in a chat of two questions. Run it twice: the second run sends no request, and its tools run again.
 */
import { NodeRuntime } from "@effect/platform-node"
import { CachedModel } from "@llm-cache/ai"
import { Persistent } from "@llm-cache/core"
import { Console, Effect, Layer, Schema } from "effect"
import { Chat, Tool, Toolkit } from "effect/ai"
import * as LanguageProvider from "../shared/LanguageProvider.ts"

const toolkit = Toolkit.make(Tool.make("forecast", {
  description: "The weather of the next days in a city.",
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.Struct({ tomorrow: Schema.String, dayAfter: Schema.String })
}))

const handlers = toolkit.toLayer({
  forecast: Effect.fnUntraced(function*({ city }) {
    yield* Console.log(`  The agent looks up ${city}`)
    return { tomorrow: city === "Rome" ? "sun" : "rain", dayAfter: city === "Bergen" ? "sun" : "rain" }
  })
})

const agent = Effect.gen(function*() {
  const chat = yield* Chat.fromPrompt([{
    role: "system",
    content: "You plan trips. Look up the forecast of every city, all at once. Answer in one short sentence."
  }])
  for (const question of ["Shall I hike in Oslo or in Rome tomorrow?", "And the day after, in Oslo or in Bergen?"]) {
    yield* Console.log(`\n${question}`)
    let response = yield* chat.generateText({ prompt: question, toolkit })
    while (response.toolCalls.length > 0) response = yield* chat.generateText({ prompt: [], toolkit })
    yield* Console.log(`  ${response.text}`)
  }
}).pipe(Effect.provide(handlers))

const main = Effect.gen(function*() {
  const provider = yield* LanguageProvider.make
  const model = CachedModel.layer().pipe(
    Layer.provideMerge(Persistent.layer({ directory: ".llm_cache/chat-agent" })),
    Layer.provide(provider.layer)
  )
  yield* Effect.provide(agent, model)
  yield* Console.log(`\nRequests sent: ${yield* provider.requestsSent}`)
})

NodeRuntime.runMain(Effect.scoped(main))
