/**
 * An independent model, as a requirement in the types: `Independent.layer` provides it beside `LlmModel`.
 *
 * **When to use**
 *
 * Use in code that relies on independence: estimates, votes, retries. Such code needs this service instead of `LlmModel`,
 * and does not compile without an `Independent.layer`. The nearest `Independent.layer` provides its model, even with other
 * layers in between.
 *
 * **Example** (The nearest one)
 *
 * ```ts
 * import { Independent, IndependentModel, Repeatable } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const two = IndependentModel.sampleMany("A number?", 2).pipe( // two different draws
 *   Effect.provide(Repeatable.layer), // changes nothing for it
 *   Effect.provide(Independent.layer)
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as LlmModel from "./LlmModel.ts"

/**
 * The service of an independent model. If the compiler reports it as missing, provide `Independent.layer`.
 *
 * @category services
 * @since 0.1.0
 */
export class IndependentModel
  extends Context.Service<IndependentModel, LlmModel.Model>()("@llm-cache/core/IndependentModel")
{}

const accessors = LlmModel.accessors(IndependentModel)

/**
 * The endless samples of a prompt, see `LlmModel.sample`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sample: LlmModel.Accessors<IndependentModel>["sample"] = accessors.sample

/**
 * The first sample of a run, see `LlmModel.sampleOne`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleOne: LlmModel.Accessors<IndependentModel>["sampleOne"] = accessors.sampleOne

/**
 * The first `n` samples of a run, see `LlmModel.sampleMany`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleMany: LlmModel.Accessors<IndependentModel>["sampleMany"] = accessors.sampleMany

/**
 * The endless samples of a prompt with their metadata, see `LlmModel.sampleWithMetadata`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleWithMetadata: LlmModel.Accessors<IndependentModel>["sampleWithMetadata"] =
  accessors.sampleWithMetadata

/**
 * The first sample of a run with its metadata, see `LlmModel.sampleOneWithMetadata`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleOneWithMetadata: LlmModel.Accessors<IndependentModel>["sampleOneWithMetadata"] =
  accessors.sampleOneWithMetadata

/**
 * The first `n` samples of a run with their metadata, see `LlmModel.sampleManyWithMetadata`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleManyWithMetadata: LlmModel.Accessors<IndependentModel>["sampleManyWithMetadata"] =
  accessors.sampleManyWithMetadata
