/**
 * An agent with a tool: it looks up the weather, and then gives its plan as an object.
 */
import { Effect, Schema } from "effect"
import { Chat, Tool, Toolkit } from "effect/ai"

export const Plan = Schema.Struct({ city: Schema.String, pack: Schema.Array(Schema.String) })

export const tools = Toolkit.make(Tool.make("weather", {
  description: "The weather of tomorrow in a city.",
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.String
}))

export const plan = Effect.fnUntraced(function*(wish: string) {
  const chat = yield* Chat.empty
  let answer = yield* chat.generateText({ prompt: wish, toolkit: tools })
  while (answer.toolCalls.length > 0) answer = yield* chat.generateText({ prompt: [], toolkit: tools })
  const { value } = yield* chat.generateObject({ prompt: "Now your plan.", schema: Plan, objectName: "plan" })
  return value
})
