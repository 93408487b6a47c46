import * as Layer from "effect/Layer"
import type { LlmModel } from "../../LlmModel.ts"
import { isOverModel, overModel } from "./overModel.ts"

type ModelLayer = Layer.Layer<LlmModel, unknown, unknown>

/** Layers of models, at least one. */
export type Layers = readonly [ModelLayer, ...Array<ModelLayer>]

/** What the layers need that none beneath them provides. */
export type Services<Stacked extends ReadonlyArray<ModelLayer>> = Stacked extends
  readonly [infer Outer extends ModelLayer, ...infer Beneath extends ReadonlyArray<ModelLayer>]
  ? Exclude<Layer.Services<Outer>, Layer.Success<Beneath[number]>> | Services<Beneath>
  : never

/** The layers, with an error in place of each that takes no model and has some beneath it. */
export type Checked<Stacked extends ReadonlyArray<unknown>> = Stacked extends
  readonly [infer Outer extends ModelLayer, infer Next, ...infer Others] ? readonly [
    LlmModel extends Layer.Services<Outer> ? Outer : "This layer takes no model: give it as the last one",
    ...Checked<readonly [Next, ...Others]>
  ]
  : Stacked

type Known = Layer.Layer<LlmModel, never, LlmModel>

export const stack = (...layers: [Known, ...Array<Known>]): Known => {
  const isOpen = isOverModel(layers.at(-1)!)
  const compose = () =>
    layers
      // A composed layer is shared by reference: without `fresh` the upper one would be the lower one.
      .map((layer, i) => layers.indexOf(layer) === i || isOverModel(layer) ? layer : Layer.fresh(layer))
      .reduceRight((beneath, layer) => Layer.provideMerge(layer, beneath))
  // Composed anew each time, so that it is not shared between models.
  return isOpen
    ? overModel("LlmModel.stack", (memoMap, scope) => Layer.buildWithMemoMap(compose(), memoMap, scope))
    : compose()
}
