import * as Data from "effect/Data"
import { formatJson } from "effect/Formatter"
import { AuditFailure } from "../../Audit.ts"
import { InvalidInput, ProviderError, ReplicationCacheMiss, StoreError } from "../../SampleError.ts"

/**
 * All attempts failed, and the limit is reached.
 *
 * @category errors
 * @since 0.1.0
 */
export class AttemptsExhausted<E = unknown> extends Data.TaggedError("AttemptsExhausted")<{
  /** The error of each attempt, in the order of the attempts. */
  readonly errors: ReadonlyArray<E>
}> {
  /** The number of attempts. */
  get attempts(): number {
    return this.errors.length
  }

  /** The error of the last attempt. */
  get lastError(): E {
    return this.errors.at(-1) as E
  }

  override get cause(): E {
    return this.lastError
  }

  override get message(): string {
    return `No attempt of ${this.attempts} succeeded. The last one failed with: ${textOf(this.lastError)}`
  }
}

const textOf = (error: unknown): string => {
  if (typeof error === "string") return error
  return error instanceof Error && error.message !== "" ? error.message : formatJson(error)
}

/**
 * Whether another attempt can fix an error, by new samples or because the provider or the store works again.
 *
 * **Details**
 *
 * It is `false` for a `ReplicationCacheMiss`, an `InvalidInput`, an `AuditFailure`, a `ProviderError` that is not
 * retryable (a bad key, a bad request, …) and a `StoreError` about a damaged sample or an invalid name. It is `true` for
 * all other errors, above all for the program's own.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isRetryable = (error: unknown): boolean => {
  if (error instanceof ReplicationCacheMiss || error instanceof AuditFailure) return false
  if (error instanceof ProviderError || error instanceof InvalidInput) return error.isRetryable
  if (error instanceof StoreError) return error.kind === "Unavailable"
  return true
}
