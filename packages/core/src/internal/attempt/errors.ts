import * as Duration from "effect/Duration"
import { formatJson } from "effect/Formatter"
import { AuditFailure } from "../../Audit.ts"
import { ProviderError, ReplicationCacheMiss, StoreError } from "../../SampleError.ts"
import { TaggedError } from "../errors/taggedError.ts"

/**
 * All attempts failed, and the limit is reached.
 *
 * @category errors
 * @since 0.1.0
 */
export class AttemptsExhausted<E = unknown> extends TaggedError("AttemptsExhausted")<{
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

/** The words of an error. */
export const textOf = (error: unknown): string => {
  if (typeof error === "string") return error
  return error instanceof Error && error.message !== "" ? error.message : formatJson(error)
}

/**
 * Whether another attempt can fix an error, by new samples or because the provider or the store works again.
 *
 * **Details**
 *
 * It is `false` for a `ReplicationCacheMiss`, an `AuditFailure`, a `StoreError` about a damaged sample or an invalid name,
 * and every error that says `isRetryable: false`: an `InvalidInput`, a `ProviderError` about a bad key, an error of your own.
 * It is `true` for all other errors.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isRetryable = (error: unknown): boolean => {
  if (error instanceof ReplicationCacheMiss || error instanceof AuditFailure) return false
  if (error instanceof StoreError) return error.kind === "Unavailable"
  return propertyOf(error, "isRetryable") !== false
}

/**
 * Whether an error is a failure of the provider or the store that may pass. A cache does not record it, so it resumes an
 * attempt and does not start another.
 *
 * **Details**
 *
 * It is `true` for a `ProviderError` and a `StoreError` that are retryable (see `isRetryable`), for an `AttemptsExhausted`
 * with such an error, and for every error that says `isProviderFailure: true`. A `retryAfter` of such an error, a `Duration`, is the
 * time to wait.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isProviderFailure = (error: unknown): boolean => {
  if (error instanceof AttemptsExhausted) return error.errors.some(isProviderFailure)
  const isFailure = error instanceof ProviderError || error instanceof StoreError ||
    propertyOf(error, "isProviderFailure") === true
  return isFailure && isRetryable(error)
}

/** The time that a failed provider asks to wait. */
export const retryAfterOf = (error: unknown): Duration.Duration | undefined =>
  error instanceof AttemptsExhausted
    ? retryAfterOf(error.errors.findLast(isProviderFailure))
    : retryAfterIn(error)

const retryAfterIn = (error: unknown): Duration.Duration | undefined => {
  const retryAfter = isProviderFailure(error) ? propertyOf(error, "retryAfter") : undefined
  return Duration.isDuration(retryAfter) ? retryAfter : undefined
}

const propertyOf = (error: unknown, name: "isRetryable" | "isProviderFailure" | "retryAfter"): unknown =>
  typeof error === "object" && error !== null && name in error ? Reflect.get(error, name) : undefined
