/**
 * Tests an agent with a tool and an object by a scripted `LanguageModel`.
 */
import { assert, it } from "@effect/vitest"
import * as TestLanguageModel from "@llm-cache/testing/TestLanguageModel"
import { Effect, Layer } from "effect"
import { plan, tools } from "./trip.ts"

const weather = tools.toLayer({ weather: ({ city }) => Effect.succeed(`sun in ${city}`) })

it.effect("plans for the weather that the tool tells", () =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* plan("To Rome!"), { city: "Rome", pack: ["sunglasses"] })
    const { requests } = yield* TestLanguageModel.TestLanguageModel
    assert.deepStrictEqual(requests.map(({ objectName, text }) => [text, objectName]), [
      ["To Rome!", undefined],
      ["\"sun in Rome\"", undefined],
      ["Now your plan.", "plan"]
    ])
  }).pipe(Effect.provide(Layer.merge(
    weather,
    TestLanguageModel.layer({
      script: TestLanguageModel.prompts([
        ["To Rome", TestLanguageModel.toolCall("weather", { city: "Rome" })],
        [/sun in/, "It will be sunny."],
        ["Now your plan", TestLanguageModel.object({ city: "Rome", pack: ["sunglasses"] })]
      ]),
      unused: "fail"
    })
  ))))
