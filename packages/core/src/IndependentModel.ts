/**
 * An independent model, as a requirement in the types: `Independent.layer` provides it beside `LlmModel`.
 *
 * **When to use**
 *
 * Use in code whose logic relies on independence: estimates, votes, retries. It asks for this service instead of
 * `LlmModel`, and does not compile where no `Independent.layer` is provided. It gets the model of the nearest
 * `Independent.layer`, whatever else is provided in between.
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
 * Provide `Independent.layer` where the compiler says that this is missing. It is the service of an independent model.
 *
 * @category services
 * @since 0.1.0
 */
export class IndependentModel
  extends Context.Service<IndependentModel, LlmModel.Model>()("@llm-cache/core/IndependentModel")
{}

const accessors = LlmModel.accessors(IndependentModel)

/**
 * The samples of a prompt, without end, see `LlmModel.sample`.
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
