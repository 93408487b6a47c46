import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Identity from "../../Identity.ts"
import type { Key } from "../../Key.ts"
import type { JsonObject } from "../../Sample.ts"
import type { ProviderErrorReason, SampleError } from "../../SampleError.ts"

/**
 * A request to `generate`.
 *
 * @category models
 * @since 0.1.0
 */
export interface GenerateRequest {
  /** The identity, the prompt and the fork of the draw, so that one function can serve models of every identity. */
  readonly key: Key
  readonly prompt: string
  /** How many samples. */
  readonly n: number
  /** Publishes `RequestRetried`. Run it before a wait for a retry. */
  readonly onRetry?: ((wait: RetryWait) => Effect.Effect<void>) | undefined
}

/**
 * A wait of `generate` before it asks the provider again.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryWait {
  /** The failure that the retry may fix. */
  readonly error: SampleError
  readonly delay: Duration.Duration
}

/**
 * A sample in the answer of `generate`.
 *
 * @category models
 * @since 0.1.0
 */
export interface GeneratedSample {
  /** Empty if the model answered without a text. */
  readonly text: string
  readonly finishReason?: string | undefined
  /** The words with which the model refused. */
  readonly refusal?: string | undefined
  readonly reasoning?: string | undefined
  /** What the answer has beside its text, such as tool calls. Stores keep it with the sample. */
  readonly rest?: JsonObject | undefined
}

/**
 * The answer of `generate`.
 *
 * **Details**
 *
 * It has at least one sample. Fewer than were asked for are fine (the rest is requested again), and so are more (all are
 * kept). The counts are those of the whole request.
 *
 * @category models
 * @since 0.1.0
 */
export interface Generation {
  readonly samples: ReadonlyArray<string | GeneratedSample>
  /**
   * The parts of the answer that are malformed, or that the provider marks as failed. They are no samples.
   *
   * @default none
   */
  readonly failures?: ReadonlyArray<ProviderErrorReason> | undefined
  /** The provider's id of the answer. */
  readonly responseId?: string | undefined
  /** The model's name as the provider gives it. */
  readonly model?: string | undefined
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  /**
   * Whether a span inside the request has the tokens, as `generate` with a tracing client makes it. The request's own span
   * then leaves them out, so that a sum over spans counts them once.
   *
   * @default false
   */
  readonly isUsageTraced?: boolean | undefined
  /**
   * Whether the provider returned one sample because it ignores `n`. From then on each request asks for one sample, and
   * up to `concurrency` requests are sent at once.
   *
   * @default false
   */
  readonly ignoresN?: boolean | undefined
}

/**
 * How a model is made.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<R = never> extends Identity.Options {
  /** Asks for `n` independent samples of a prompt. Called once per request, in a scope of its own. */
  readonly generate: (request: GenerateRequest) => Effect.Effect<Generation, SampleError, R>
  /**
   * The most samples that one call of `generate` may be asked for.
   *
   * @default no limit
   */
  readonly maxBatch?: number | undefined
  /**
   * How many requests are sent at once for one draw of several samples, to a provider that returns one sample per
   * request: if `maxBatch` is 1, or after an answer with `ignoresN`. The other requests of a larger batch are sent when
   * the consumer needs them.
   *
   * @default 1
   */
  readonly concurrency?: number | undefined
  /**
   * The provider's name, for spans and metrics. OpenTelemetry names the well-known ones: `openai`, `anthropic`, ….
   *
   * @default none
   */
  readonly provider?: string | undefined
  /**
   * Whether the provider gives each response an id of its own. Then a response whose id came before for the same prompt
   * fails with `RepeatedResponse`: a cache in between answers. Give `false` for a server that repeats its ids; its
   * samples are recorded without them.
   *
   * @default true
   */
  readonly uniqueResponseIds?: boolean | undefined
}
