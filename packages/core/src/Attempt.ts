/**
 * Attempts: parts of a program that may fail on the samples they draw, and succeed on others.
 *
 * **Details**
 *
 * Every attempt gets a `Repeatable` of its own over one `Independent`: its steps see the same answer to the same prompt,
 * and every attempt sees new ones. That is why these ask for an `IndependentModel`, and give the attempt its `LlmModel`
 * and its `RepeatableModel`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type * as Types from "effect/Types"
import * as Fork from "./Fork.ts"
import { IndependentModel } from "./IndependentModel.ts"
import { repeatableContext } from "./internal/repeatableContext.ts"
import type { LlmModel } from "./LlmModel.ts"
import * as Repeatable from "./Repeatable.ts"
import type { RepeatableModel } from "./RepeatableModel.ts"
import { ProviderError, ReplicationCacheMiss, StoreError } from "./SampleError.ts"

/**
 * What an attempt gets.
 *
 * @category models
 * @since 0.1.0
 */
export type Given = LlmModel | RepeatableModel

/**
 * An attempt that succeeded.
 *
 * @category models
 * @since 0.1.0
 */
export interface Succeeded<A, E> {
  readonly value: A
  /** How many attempts were made, this one included. */
  readonly attempts: number
  /** What the attempt before failed with, if there was one. */
  readonly lastError: E | undefined
}

/**
 * No attempt succeeded, and the schedule allows no more.
 *
 * @category errors
 * @since 0.1.0
 */
export class AttemptsExhausted extends Data.TaggedError("AttemptsExhausted")<{
  /** How many attempts were made. */
  readonly attempts: number
  /** What the last one failed with. */
  readonly lastError: unknown
}> {
  override get message(): string {
    const { attempts, lastError } = this
    const why = lastError instanceof Error ? lastError.message : String(lastError)
    return `No attempt of ${attempts} succeeded. The last one failed with: ${why}`
  }
}

/**
 * An `AttemptsExhausted` of attempts that fail with `E`.
 *
 * @category errors
 * @since 0.1.0
 */
export type Exhausted<E> = AttemptsExhausted & { readonly lastError: E }

/**
 * Whether a new sample, or a new try, may mend what an attempt failed with.
 *
 * **Details**
 *
 * Not a `ReplicationCacheMiss`, nor a `ProviderError` that is not retryable (a bad key, a bad request, …), nor a
 * `StoreError` of a damaged sample or a name that cannot be stored. Everything else, the program's own errors above all.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isMendable = (error: unknown): boolean => {
  if (error instanceof ReplicationCacheMiss) return false
  if (error instanceof ProviderError) return error.isRetryable
  if (error instanceof StoreError) return error.kind === "Unavailable"
  return true
}

/**
 * Makes attempts until one succeeds, as a schedule allows.
 *
 * **Details**
 *
 * What no new sample can mend (see `isMendable`) is not retried: it fails as it is, so that a miss in replication can be
 * caught by its tag. When the schedule ends, the error is an `AttemptsExhausted`.
 *
 * **Example** (Up to five retries)
 *
 * ```ts
 * import { Attempt, Independent, LlmModel } from "@llm-cache/core"
 * import { Data, Effect, Schedule } from "effect"
 *
 * class NotANumber extends Data.TaggedError("NotANumber")<{ readonly answer: string }> {}
 *
 * const attempt = Effect.gen(function*() {
 *   const answer = yield* LlmModel.sampleOne("Choose a number between 1 and 1000.")
 *   return /^\d+$/.test(answer) ? Number(answer) : yield* new NotANumber({ answer })
 * })
 *
 * const program = Attempt.retry(attempt, { schedule: Schedule.recurs(5) }).pipe(
 *   Effect.provide(Independent.layer)
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const retry = Effect.fnUntraced(function*<A, E, R, R1 = never>(
  attempt: Effect.Effect<A, E, R>,
  options: {
    /** When to make another attempt. Its input is what the last one failed with. */
    readonly schedule: Schedule.Schedule<unknown, E, never, R1>
    /** Which errors to retry, of those that a new sample may mend. @default all of them */
    readonly while?: ((error: E) => boolean) | undefined
  }
): Effect.fn.Return<Succeeded<A, E>, E | Exhausted<E>, Exclude<R, Given> | IndependentModel | R1> {
  let attempts = 0
  let lastError: E | undefined
  const isRetried = (error: E) => isMendable(error) && (options.while?.(error) ?? true)
  const value = yield* Effect.suspend(() => {
    attempts++
    return fresh(attempt)
  }).pipe(
    Effect.tapError((error) =>
      Effect.sync(() => {
        lastError = error
      })
    ),
    Effect.retry({ schedule: options.schedule, while: isRetried }),
    Effect.mapError((error) =>
      isRetried(error) ? new AttemptsExhausted({ attempts, lastError: error }) as Exhausted<E> : error
    )
  )
  return { value, attempts, lastError }
})

/**
 * One of several attempts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Chosen<A> {
  readonly value: A
  /** Which attempt it was, from 0 on. */
  readonly index: number
}

/**
 * Makes `n` attempts at once, and takes the first that succeeds. The others are interrupted.
 *
 * **Details**
 *
 * Each attempt is in a fork of its own, named by its index, so that what it draws does not depend on the others. An error
 * that no new sample can mend ends the race; when all attempts have failed, the error is an `AttemptsExhausted`. Requests
 * of the interrupted attempts that were sent already are recorded when they come back.
 *
 * **Gotchas**
 *
 * Who is first is a matter of time, which a cache does not record. Use `best` for a program that is to replay.
 *
 * @category combinators
 * @since 0.1.0
 */
export const race = <A, E, R>(
  attempt: Effect.Effect<A, E, R>,
  options: {
    /** How many attempts are made. */
    readonly n: number
  }
): Effect.Effect<Chosen<A>, E | Exhausted<E> | ProviderError, Exclude<R, Given> | IndependentModel> =>
  Effect.gen(function*() {
    const attempts = yield* forked(attempt, options.n)
    return yield* yield* Effect.raceAll(attempts.map((one) =>
      Effect.matchEffect(one, {
        onFailure: (error) => isMendable(error) ? Effect.fail(error) : Effect.succeed(Effect.fail(error)),
        onSuccess: (chosen) => Effect.succeed(Effect.succeed(chosen))
      })
    )).pipe(
      Effect.mapError((lastError) => new AttemptsExhausted({ attempts: options.n, lastError }) as Exhausted<E>)
    )
  })

/**
 * Makes `n` attempts, and takes the one with the highest score, of several the first.
 *
 * **Details**
 *
 * Each attempt is in a fork of its own, named by its index: the result is the same in every run, however the attempts are
 * scheduled. Attempts that fail are left out, unless no new sample can mend it; when all have failed, the error is an
 * `AttemptsExhausted`.
 *
 * **Example** (The longest of five answers)
 *
 * ```ts
 * import { Attempt, Independent, LlmModel } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const program = Attempt.best(LlmModel.sampleOne("Tell a story."), {
 *   n: 5,
 *   score: (story) => story.length,
 *   concurrency: "unbounded"
 * }).pipe(Effect.provide(Independent.layer))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const best = <A, E, R>(
  attempt: Effect.Effect<A, E, R>,
  options: {
    /** How many attempts are made. */
    readonly n: number
    readonly score: (value: A) => number
    /** How many attempts are made at a time. @default 1 */
    readonly concurrency?: Types.Concurrency | undefined
  }
): Effect.Effect<Chosen<A>, E | Exhausted<E> | ProviderError, Exclude<R, Given> | IndependentModel> =>
  Effect.gen(function*() {
    const attempts = yield* forked(attempt, options.n)
    const results = yield* Effect.forEach(
      attempts,
      (one) =>
        Effect.flatMap(Effect.result(one), (result) =>
          Result.isFailure(result) && !isMendable(result.failure)
            ? Effect.fail(result.failure)
            : Effect.succeed(result)),
      { concurrency: options.concurrency }
    )
    const chosen = results.flatMap((result) => Result.isSuccess(result) ? [result.success] : [])
    if (chosen.length === 0) {
      const lastError = results.flatMap((result) => Result.isFailure(result) ? [result.failure] : []).at(-1)
      return yield* new AttemptsExhausted({ attempts: options.n, lastError }) as Exhausted<E>
    }
    return chosen.reduce((one, other) => options.score(other.value) > options.score(one.value) ? other : one)
  })

// Attempts, each in a fork of its own.
const forked = <A, E, R>(
  attempt: Effect.Effect<A, E, R>,
  n: number
): Effect.Effect<
  ReadonlyArray<Effect.Effect<Chosen<A>, E, Exclude<R, Given> | IndependentModel>>,
  ProviderError
> =>
  Number.isSafeInteger(n) && n >= 1
    ? Effect.sync(() =>
      Array.from({ length: n }, (_, index) =>
        Fork.fork(Effect.map(fresh(attempt), (value) => ({ value, index })), String(index)))
    )
    : Effect.fail(ProviderError.badRequest("Attempt", `n is ${n}: give a whole number of at least 1`))

// An attempt, with a Repeatable of its own.
const fresh = <A, E, R>(
  attempt: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Given> | IndependentModel> =>
  Effect.scoped(Effect.flatMap(
    Effect.flatMap(IndependentModel, Repeatable.make),
    (model) => Effect.provideContext(attempt, repeatableContext(model))
  ))
