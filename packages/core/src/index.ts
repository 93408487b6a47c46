/**
 * Sampling of language models with explicit statistics: independent, repeatable and persistent.
 *
 * @since 0.1.0
 */
export * as Attempt from "./Attempt.ts"
export * as Audit from "./Audit.ts"
export * as Estimate from "./Estimate.ts"
export * as Events from "./Events.ts"
export * as Fork from "./Fork.ts"
export * as Identity from "./Identity.ts"
export * as Independent from "./Independent.ts"
export * as IndependentModel from "./IndependentModel.ts"
export * as InvalidInput from "./InvalidInput.ts"
export * as Key from "./Key.ts"
export * as LlmModel from "./LlmModel.ts"
export * as Metrics from "./Metrics.ts"
export * as Output from "./Output.ts"
export * as Persistent from "./Persistent.ts"
export * as Progress from "./Progress.ts"
export * as Repeatable from "./Repeatable.ts"
export * as RepeatableModel from "./RepeatableModel.ts"
export * as Sample from "./Sample.ts"
export * as SampleError from "./SampleError.ts"
export * as SampleStore from "./SampleStore.ts"
export * as Usage from "./Usage.ts"
