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
        draw: (key, position, batch, options) =>
          // A stream that looks ahead may not take all samples of a draw.
          Effect.tap(model.draw(key, position, batch, { ...options, most: 1 }), (drawn) =>
            Effect.sync(() => {
              samples += drawn.length
            }))
      }))
  )
  return { layer: Layer.fresh(layer), samples: () => samples }
}
