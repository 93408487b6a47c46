/**
 * A layer that counts the samples that the model beneath hands out.
 */
import { LlmModel } from "@llm-cache/core"
import { Effect, Layer } from "effect"

export const make = () => {
  let samples = 0
  const layer = Layer.effect(
    LlmModel.LlmModel,
    Effect.map(LlmModel.LlmModel, (model) =>
      LlmModel.fromDraw({
        ...model,
        draw: (...args) =>
          Effect.tap(model.draw(...args), (drawn) =>
            Effect.sync(() => {
              samples += drawn.length
            }))
      }))
  )
  return { layer: Layer.fresh(layer), samples: () => samples }
}
