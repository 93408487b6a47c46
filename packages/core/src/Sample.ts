/**
 * A sample is one response text to one prompt, with its metadata.
 *
 * @since 0.1.0
 */

import type { Json } from "./Identity.ts"

/**
 * The metadata of a sample. A field is absent if the provider did not give it.
 *
 * **Gotchas**
 *
 * `inputTokens`, `outputTokens` and `elapsed` belong to the whole request that brought the sample, and
 * `requestSamples` says how many samples that request brought: add them up over requests, told apart by `request`, and
 * not over samples.
 *
 * @category models
 * @since 0.1.0
 */
export interface Metadata {
  /** A name of the request that no other request has. Together with `index`, it is a name of the sample. */
  readonly request?: string | undefined
  /** Which of the request's samples it is, from 0. */
  readonly index?: number | undefined
  /** The model's name as the provider gives it in its answer. */
  readonly model?: string | undefined
  /** Why the model stopped, in the provider's words (`stop`, `length`, …). */
  readonly finishReason?: string | undefined
  /** The words with which the model refused, if the provider gives them beside the text. */
  readonly refusal?: string | undefined
  /** The model's reasoning, if the provider gives it beside the text. */
  readonly reasoning?: string | undefined
  /** The provider's id of the answer that brought the sample. */
  readonly responseId?: string | undefined
  /** When the request was answered, in milliseconds since the epoch. */
  readonly createdAt?: number | undefined
  /** How long the request took, in milliseconds, with its retries and its waits for the provider's `Limits`. */
  readonly elapsed?: number | undefined
  /** How many samples the request brought. */
  readonly requestSamples?: number | undefined
  /** Prompt tokens of the request. */
  readonly inputTokens?: number | undefined
  /** Completion tokens of the request, over all its samples. */
  readonly outputTokens?: number | undefined
  /**
   * What the answer has beside its text and the other fields, as JSON: tool calls, log probabilities, details of the usage,
   * …. Every store returns it as it was put.
   */
  readonly rest?: JsonObject | undefined
}

/**
 * An object that JSON can hold.
 *
 * @category models
 * @since 0.1.0
 */
export interface JsonObject {
  readonly [name: string]: Json
}

/**
 * One response text to one prompt.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sample {
  readonly text: string
  readonly metadata: Metadata
}

/**
 * A sample that was taken from a sequence.
 *
 * **Details**
 *
 * `origins` are the positions at which the sample was taken from the shared readers (`Independent`) on its way, the
 * outermost first. A store keeps them, so that after a restart the readers go on behind them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Drawn extends Sample {
  readonly origins: ReadonlyArray<number>
}

/**
 * A drawn sample and the position it has in a sequence.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  /** 0 is the first sample of the sequence. */
  readonly position: number
  readonly drawn: Drawn
  /**
   * Names the write of this sample, so that a store which is told twice to store it (because it could not say whether it
   * had) does so once.
   */
  readonly id?: string | undefined
}
