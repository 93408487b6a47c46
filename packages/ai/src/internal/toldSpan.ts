import type { SpanTransformer } from "effect/ai/Telemetry"
import type { Span } from "effect/Tracer"

/** The span of an inner model, for its transformer. */
export type Told = Parameters<SpanTransformer>[0]

/** Whether a provider has written its tokens on its span. */
export const hasUsage = ({ attributes }: Span): boolean =>
  attributes.has("gen_ai.usage.input_tokens") || attributes.has("gen_ai.usage.output_tokens")
