import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import type { SampleError } from "../../SampleError.ts"

export const errorOf = (cause: Cause.Cause<SampleError>): SampleError | undefined =>
  Option.getOrUndefined(Cause.findErrorOption(cause))

/** The kind of a failure in one word: `error.type` of OpenTelemetry. */
export const failureType = (cause: Cause.Cause<SampleError>): string => {
  const error = errorOf(cause)
  if (error === undefined) return Cause.hasDies(cause) ? "defect" : "interrupted"
  return error._tag === "ProviderError" ? error.reason._tag : error._tag
}
