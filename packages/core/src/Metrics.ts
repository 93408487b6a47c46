/**
 * Metrics of requests and caches as Effect metrics, for a dashboard.
 *
 * **Details**
 *
 * Metrics of requests have the names, attributes and boundaries of
 * [OpenTelemetry's metrics for generative AI](https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/). Metrics
 * of caches have names of this library.
 *
 * | metric | kind | attributes |
 * | --- | --- | --- |
 * | `gen_ai.client.operation.duration` | histogram, seconds | `gen_ai.operation.name`, `gen_ai.provider.name`, `gen_ai.request.model`, `gen_ai.response.model`, `error.type` |
 * | `gen_ai.client.token.usage` | histogram, tokens of a request | the same, and `gen_ai.token.type`: `input` or `output` |
 * | `llm_cache.hits`, `llm_cache.misses`, `llm_cache.stored`, `llm_cache.refused` | counter | `gen_ai.request.model`, `llm_cache.store` |
 *
 * For requests, the model is the provider's name of it. For caches it is the alias, if the model has one. The duration of
 * a request includes its retries and its waits for the `Limits` of the provider. `error.type` is the reason of a
 * `ProviderError`, the tag of another error, `interrupted` or `defect`.
 *
 * As in Effect's own metrics, the attribute `unit` (`s`, `{token}`) tells exporters the unit of a histogram.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Events from "./Events.ts"
import { failureType } from "./internal/events/failureType.ts"
import { defined } from "./internal/model/answer.ts"

/**
 * The names of the metrics.
 *
 * @category names
 * @since 0.1.0
 */
export const names = {
  /** The duration of requests, in seconds. */
  operationDuration: "gen_ai.client.operation.duration",
  /** The tokens of requests, of prompts and of answers. */
  tokenUsage: "gen_ai.client.token.usage",
  /** Draws that a cache answered. */
  hits: "llm_cache.hits",
  /** Draws that a cache could not answer. */
  misses: "llm_cache.misses",
  /** Samples that a cache recorded. */
  stored: "llm_cache.stored",
  /** Samples that a cache excludes by their finish reason. */
  refused: "llm_cache.refused"
} as const

const powersOf = (base: number, first: number, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, i) => first * base ** i)

const duration = Metric.histogram(names.operationDuration, {
  description: "The duration of requests to language models",
  attributes: { unit: "s" },
  boundaries: powersOf(2, 0.01, 14)
})

const tokens = Metric.histogram(names.tokenUsage, {
  description: "The tokens of requests to language models",
  attributes: { unit: "{token}" },
  boundaries: powersOf(4, 1, 14)
})

const caches = {
  Hit: Metric.counter(names.hits, { description: "Draws that a cache answered", incremental: true }),
  Miss: Metric.counter(names.misses, { description: "Draws that a cache could not answer", incremental: true }),
  Stored: Metric.counter(names.stored, { description: "Samples that a cache recorded", incremental: true }),
  Refused: Metric.counter(names.refused, {
    description: "Samples that a cache excludes by their finish reason",
    incremental: true
  })
}

/**
 * Keeps metrics of all programs that use the same `Events`.
 *
 * **Example** (Send metrics to a collector by OTLP)
 *
 * ```ts
 * import { Events, LlmModel, Metrics } from "@llm-cache/core"
 * import { Effect, Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { OtlpMetrics, OtlpSerialization } from "effect/observability"
 *
 * const program = LlmModel.sampleOne("A number?").pipe(
 *   Effect.provide(Metrics.layer.pipe(
 *     Layer.provideMerge(Events.layer),
 *     Layer.provide(OtlpMetrics.layer({
 *       url: "http://localhost:4318/v1/metrics",
 *       resource: { serviceName: "agent" }
 *     })),
 *     Layer.provide([OtlpSerialization.layerJson, FetchHttpClient.layer])
 *   ))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, Events.Events> = Layer.effectDiscard(
  Effect.contextWith((context) =>
    Events.listen((event) => {
      switch (event._tag) {
        case "RequestSent":
        case "RequestRetried":
        case "Raced":
          return
        case "RequestDone":
        case "RequestFailed": {
          const metadata = event._tag === "RequestDone" ? event.samples[0]?.metadata ?? {} : {}
          const attributes = defined({
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": event.provider,
            "gen_ai.request.model": event.model,
            "gen_ai.response.model": metadata.model,
            "error.type": event._tag === "RequestFailed" ? failureType(event.cause) : undefined
          }) as Record<string, string>
          Metric.withAttributes(duration, attributes).updateUnsafe(event.elapsed / 1000, context)
          const { inputTokens, outputTokens } = metadata
          for (const [type, count] of [["input", inputTokens], ["output", outputTokens]] as const) {
            if (count === undefined) continue
            Metric.withAttributes(tokens, { ...attributes, "gen_ai.token.type": type }).updateUnsafe(count, context)
          }
          return
        }
        case "Hit":
        case "Miss":
        case "Stored":
        case "Refused": {
          const attributes = { "gen_ai.request.model": event.key.identity.name, "llm_cache.store": event.store }
          Metric.withAttributes(caches[event._tag], attributes).updateUnsafe(1, context)
        }
      }
    })
  )
)
