/**
 * The conformance suite of `LlmModel`: the laws of models and combinators, as tests for Vitest.
 *
 * **When to use**
 *
 * Use in the tests of a combinator of your own, or of a model that you make by hand. The suite puts it over scripted models.
 *
 * **Example** (A combinator that counts draws)
 *
 * ```ts
 * import { LlmModel } from "@llm-cache/core"
 * import { LlmModelTest } from "@llm-cache/testing"
 * import { Effect, Layer } from "effect"
 *
 * const counting = (count: (samples: number) => void) =>
 *   Layer.fresh(Layer.effect(
 *     LlmModel.LlmModel,
 *     Effect.map(LlmModel.LlmModel, (model) =>
 *       LlmModel.fromDraw({
 *         ...model,
 *         draw: (...args) => Effect.tap(model.draw(...args), (drawn) => Effect.sync(() => count(drawn.length)))
 *       }))
 *   ))
 *
 * LlmModelTest.suite("counting", counting(() => {}), { sequence: "new" })
 * ```
 *
 * @since 0.1.0
 */
import { describe, it } from "@effect/vitest"
import { LlmModel, type Model } from "@llm-cache/core/LlmModel"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { strict as assert } from "node:assert"
import { of } from "./ModelLaws.ts"
import * as TestModel from "./TestModel.ts"

/**
 * The kind of the model.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The `sequence` of the model: `"new"` for every run (a provider, or a combinator that passes draws on to one), `"remembered"`, or
   * `"shared"`.
   */
  readonly sequence: Model["sequence"]
  /**
   * Whether it draws from the model beneath. For a model that answers by itself, the suite leaves out the laws that need a script.
   *
   * @default true
   */
  readonly isScripted?: boolean | undefined
}

/**
 * Defines a test for each law of the model. Each builds the layer anew.
 *
 * @category tests
 * @since 0.1.0
 */
export const suite = <E>(
  name: string,
  layer: Layer.Layer<LlmModel, E, LlmModel>,
  { isScripted = true, sequence }: Options
): void => {
  describe(`the model ${name}`, () => {
    it.effect(`has a ${sequence} sequence`, () =>
      Effect.gen(function*() {
        const model = yield* LlmModel
        assert.equal(model.sequence, sequence)
      }).pipe(Effect.provide(Layer.provide(Layer.fresh(layer), TestModel.layer()))))

    for (const law of of(sequence)) {
      if (isScripted || !law.isScripted) it.live(law.name, () => law.check(layer))
    }
  })
}
