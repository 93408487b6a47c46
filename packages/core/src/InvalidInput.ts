/**
 * The error for an argument or an option that cannot be meant, such as a `batch` of 0 or a model without a name.
 *
 * **Details**
 *
 * It is raised before any request is sent and before anything is stored. Trying again does not help, so `Attempt` does
 * not retry it. It is part of `SampleError`.
 *
 * @since 0.1.0
 */
import { TaggedError } from "./internal/errors/taggedError.ts"

/**
 * An argument or an option is invalid. The message names it and gives the valid values.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidInput extends TaggedError("InvalidInput")<{
  /** The function that was called, such as `LlmModel.sampleMany`. */
  readonly module: string
  /** Which argument is invalid, and its valid values. */
  readonly description: string
}> {
  readonly isRetryable = false

  override get message(): string {
    return `${this.module}: ${this.description}`
  }
}
