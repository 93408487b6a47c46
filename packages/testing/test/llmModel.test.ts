import { assert, describe, it } from "@effect/vitest"
import { Independent, Key, LlmModel, MemoryStore, Persistent, Repeatable } from "@llm-cache/core"
import { Effect, Exit, Layer, Schedule } from "effect"
import { LlmModelTest, ModelLaws } from "../src/index.ts"

LlmModelTest.suite("Repeatable", Repeatable.layer, { sequence: "remembered" })
LlmModelTest.suite("Persistent", Persistent.layer({ store: MemoryStore.layer }), { sequence: "remembered" })
LlmModelTest.suite("Independent", Independent.layer, { sequence: "shared" })
LlmModelTest.suite(
  "Independent over Persistent",
  LlmModel.stack(Independent.layer, Persistent.layer({ store: MemoryStore.layer })),
  {
    sequence: "shared"
  }
)
LlmModelTest.suite("Repeatable over Independent", LlmModel.stack(Repeatable.layer, Independent.layer), {
  sequence: "remembered"
})
LlmModelTest.suite("retry", LlmModel.retry(Schedule.recurs(0)), { sequence: "new" })
LlmModelTest.suite(
  "a function",
  LlmModel.layer({ model: "dice", generate: ({ n }) => Effect.succeed({ samples: Array<string>(n).fill("6") }) }),
  { sequence: "new", isScripted: false }
)
LlmModelTest.suite(
  "a function that is remembered",
  LlmModel.stack(
    Repeatable.layer,
    LlmModel.layer({ model: "dice", generate: ({ n }) => Effect.succeed({ samples: Array<string>(n).fill("6") }) })
  ),
  { sequence: "remembered", isScripted: false }
)

describe("a broken model", () => {
  for (const { broken, check, name } of ModelLaws.laws) {
    it.live(`is found by the law: ${name}`, () =>
      Effect.gen(function*() {
        assert.isTrue(Exit.isFailure(yield* Effect.exit(check(broken))), "it passes")
      }))
  }
})

describe("a wrapper that loses the fork of a draw", () => {
  const forkless = Layer.fresh(Layer.effect(
    LlmModel.LlmModel,
    Effect.map(LlmModel.LlmModel, (model) =>
      LlmModel.fromDraw({
        ...model,
        draw: ({ identity, prompt }, ...others) => model.draw(new Key.Key(identity, prompt, []), ...others)
      }))
  ))

  it.live("is found", () =>
    Effect.gen(function*() {
      const red: Array<string> = []
      for (const { check, name } of ModelLaws.of("new")) {
        if (Exit.isFailure(yield* Effect.exit(check(forkless)))) red.push(name)
      }
      assert.deepStrictEqual(red, ["asks for each fork"])
    }))
})
