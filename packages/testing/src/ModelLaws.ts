/**
 * The laws of a model, as checks for any test runner: the number of samples that it asks for, the samples of its runs, the effects of
 * failures and interruptions, and that no answer is lost.
 *
 * **When to use**
 *
 * With Vitest use `LlmModelTest.suite`, which makes a test of each law. With another runner, run the checks by hand:
 *
 * **Example** (With Node's own runner)
 *
 * ```ts
 * import { Repeatable } from "@llm-cache/core"
 * import * as ModelLaws from "@llm-cache/testing/ModelLaws"
 * import { Effect } from "effect"
 * import { test } from "node:test"
 *
 * for (const { check, name } of ModelLaws.of("remembered")) {
 *   void test(name, () => Effect.runPromise(check(Repeatable.layer)))
 * }
 * ```
 *
 * @since 0.1.0
 */
import type { LlmModel, Model } from "@llm-cache/core/LlmModel"
import type { SampleError } from "@llm-cache/core/SampleError"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { answers } from "./internal/modelLaws/answers.ts"
import { demand } from "./internal/modelLaws/demand.ts"
import { failure } from "./internal/modelLaws/failure.ts"
import { keys } from "./internal/modelLaws/keys.ts"
import { sequences } from "./internal/modelLaws/sequences.ts"

/**
 * A law.
 *
 * @category models
 * @since 0.1.0
 */
export interface Law {
  /** A sentence about the model. */
  readonly name: string
  /** The sequences of models that have the law. */
  readonly sequences: ReadonlyArray<Model["sequence"]>
  /**
   * Whether the law scripts the model beneath: its answers, its failures and its latency. A model that asks a provider by itself cannot be
   * checked for it.
   */
  readonly isScripted: boolean
  /** A model that breaks the law. Its sequence is `"new"` or `"remembered"`. */
  readonly broken: Layer.Layer<LlmModel, SampleError, LlmModel>
  /**
   * Dies with an assertion error if the model breaks the law. The layer is built over the scripted model of the law, and a model that
   * asks by itself ignores that.
   */
  readonly check: <E>(layer: Layer.Layer<LlmModel, E, LlmModel>) => Effect.Effect<void>
}

/**
 * All laws.
 *
 * @category laws
 * @since 0.1.0
 */
export const laws: ReadonlyArray<Law> = [...demand, ...sequences, ...keys, ...failure, ...answers]

/**
 * The laws of models with a sequence.
 *
 * @category laws
 * @since 0.1.0
 */
export const of = (sequence: Model["sequence"]): ReadonlyArray<Law> =>
  laws.filter(({ sequences }) => sequences.includes(sequence))
