/**
 * A repeatable model, as a requirement in the types: `Repeatable.layer` and `Persistent.layer` provide it beside `LlmModel`.
 *
 * **When to use**
 *
 * Use in code that relies on repeatability: steps that must see the same answer to the same prompt. Such code needs this
 * service instead of `LlmModel`, and does not compile without a repeatable layer. The nearest repeatable layer provides its
 * model, even with other layers in between.
 *
 * **Example** (The nearest one)
 *
 * ```ts
 * import { Independent, RepeatableModel, Repeatable } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const twice = Effect.all([RepeatableModel.sampleOne("A number?"), RepeatableModel.sampleOne("A number?")]).pipe( // the same
 *   Effect.provide(Independent.layer), // changes nothing for it
 *   Effect.provide(Repeatable.layer)
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as LlmModel from "./LlmModel.ts"

/**
 * The service of a repeatable model. If the compiler reports it as missing, provide `Repeatable.layer` or
 * `Persistent.layer`.
 *
 * @category services
 * @since 0.1.0
 */
export class RepeatableModel
  extends Context.Service<RepeatableModel, LlmModel.Model>()("@llm-cache/core/RepeatableModel")
{}

const accessors = LlmModel.accessors(RepeatableModel)

/**
 * The endless samples of a prompt, see `LlmModel.sample`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sample: LlmModel.Accessors<RepeatableModel>["sample"] = accessors.sample

/**
 * The first sample of a run, see `LlmModel.sampleOne`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleOne: LlmModel.Accessors<RepeatableModel>["sampleOne"] = accessors.sampleOne

/**
 * The first `n` samples of a run, see `LlmModel.sampleMany`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleMany: LlmModel.Accessors<RepeatableModel>["sampleMany"] = accessors.sampleMany

/**
 * The endless samples of a prompt with their metadata, see `LlmModel.sampleWithMetadata`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleWithMetadata: LlmModel.Accessors<RepeatableModel>["sampleWithMetadata"] =
  accessors.sampleWithMetadata

/**
 * The first sample of a run with its metadata, see `LlmModel.sampleOneWithMetadata`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleOneWithMetadata: LlmModel.Accessors<RepeatableModel>["sampleOneWithMetadata"] =
  accessors.sampleOneWithMetadata

/**
 * The first `n` samples of a run with their metadata, see `LlmModel.sampleManyWithMetadata`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const sampleManyWithMetadata: LlmModel.Accessors<RepeatableModel>["sampleManyWithMetadata"] =
  accessors.sampleManyWithMetadata
