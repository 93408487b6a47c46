/**
 * Attempts: parts of a program that may fail on the samples they draw, and succeed on others.
 *
 * **Details**
 *
 * Every attempt gets a `Repeatable` of its own over one `Independent`: its steps see the same answer to the same prompt,
 * and every attempt sees new ones. That is why these ask for an `IndependentModel`, and give the attempt its `LlmModel`
 * and its `RepeatableModel`. What an attempt has left under way of its draws ends with it; its `Scope` is the caller's.
 *
 * Errors are retried, or left out; a defect is neither: it ends the whole.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { formatJson } from "effect/Formatter"
import { dual, identity } from "effect/Function"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import type * as Types from "effect/Types"
import { AuditFailure } from "./Audit.ts"
import * as Fork from "./Fork.ts"
import { IndependentModel } from "./IndependentModel.ts"
import { asEffect } from "./internal/asEffect.ts"
import { again, CurrentFork } from "./internal/model/currentFork.ts"
import { repeatableContext } from "./internal/model/repeatableContext.ts"
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
 * No attempt succeeded, and no more are to be made.
 *
 * @category errors
 * @since 0.1.0
 */
export class AttemptsExhausted<E = unknown> extends Data.TaggedError("AttemptsExhausted")<{
  /** What each attempt failed with, in the order of the attempts. */
  readonly errors: ReadonlyArray<E>
}> {
  /** How many attempts were made. */
  get attempts(): number {
    return this.errors.length
  }

  /** What the last attempt failed with. */
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
 * Whether a new sample, or a new try, may mend what an attempt failed with.
 *
 * **Details**
 *
 * Not a `ReplicationCacheMiss`, nor a `ProviderError` that is not retryable (a bad key, a bad request, …), nor a
 * `StoreError` of a damaged sample or a name that cannot be stored, nor an `AuditFailure`. Everything else, the program's
 * own errors above all.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isMendable = (error: unknown): boolean => {
  if (error instanceof ReplicationCacheMiss || error instanceof AuditFailure) return false
  if (error instanceof ProviderError) return error.isRetryable
  if (error instanceof StoreError) return error.kind === "Unavailable"
  return true
}

/**
 * Which attempts `retry` makes: those that all of these allow. Without any of them it goes on until one succeeds.
 *
 * @category options
 * @since 0.1.0
 */
export interface RetryOptions<E, E2 = unknown, R2 = unknown> {
  /** When to make another attempt. Its input is what the last one failed with. */
  readonly schedule?: Schedule.Schedule<unknown, E, E2, R2> | undefined
  /** How many attempts are made after the first, at the most. */
  readonly times?: number | undefined
  /** Which errors to retry, of those that a new sample may mend. Asked once for each. */
  readonly while?: ((error: E) => boolean | Effect.Effect<boolean, E2, R2>) | undefined
  /** Which errors not to retry. Asked once for each. */
  readonly until?: ((error: E) => boolean | Effect.Effect<boolean, E2, R2>) | undefined
}

/**
 * What `retry` returns: what its options fail with and need is added to what the attempt does.
 *
 * @category models
 * @since 0.1.0
 */
export type RetryReturn<A, E, R, O extends RetryOptions<E>> = Effect.Effect<
  Succeeded<A, E>,
  E | AttemptsExhausted<E> | Effect.Error<Effect.Retry.Return<never, never, never, O>>,
  Exclude<R, Given> | IndependentModel | Effect.Services<Effect.Retry.Return<never, never, never, O>>
>

/** A schedule, or what makes one of others, for attempts that fail with `E`. */
type Policy<E, E2, R2> =
  | Schedule.Schedule<unknown, Types.NoInfer<E>, E2, R2>
  | ((
    $: <O, SE, R>(_: Schedule.Schedule<O, Types.NoInfer<E>, SE, R>) => Schedule.Schedule<O, E, SE, R>
  ) => Schedule.Schedule<unknown, Types.NoInfer<E>, E2, R2>)

/**
 * Makes attempts until one succeeds, as a schedule allows. It takes what `Effect.retry` takes: options, a schedule, or a
 * function that builds one.
 *
 * **Details**
 *
 * What no new sample can mend (see `isMendable`) is not retried, nor what `while` or `until` refuses: it fails as it is,
 * so that a miss in replication can be caught by its tag. When the schedule ends, or the attempts that `times` allows are
 * made, the error is an `AttemptsExhausted`.
 *
 * A fork inside an attempt is another one in each attempt, so that an attempt which failed while its forks were at work
 * replays however they were scheduled.
 *
 * **Gotchas**
 *
 * What time cuts off is not recorded: a time limit that fires around a draw, or a draw that is interrupted because
 * another part of the attempt failed. In replay that draw is there at once, and those after it may get other samples. Set
 * the time limit on the provider, and give what may be cut off a fork of its own.
 *
 * **Example** (Up to five retries)
 *
 * ```ts
 * import { Attempt, Independent, LlmModel } from "@llm-cache/core"
 * import { Data, Effect } from "effect"
 *
 * class NotANumber extends Data.TaggedError("NotANumber")<{ readonly answer: string }> {}
 *
 * const attempt = Effect.gen(function*() {
 *   const answer = yield* LlmModel.sampleOne("Choose a number between 1 and 1000.")
 *   return /^\d+$/.test(answer) ? Number(answer) : yield* new NotANumber({ answer })
 * })
 *
 * const program = attempt.pipe(
 *   Attempt.retry({ times: 5 }),
 *   Effect.provide(Independent.layer)
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const retry: {
  <E, O extends RetryOptions<E>>(options: O): <A, R>(attempt: Effect.Effect<A, E, R>) => RetryReturn<A, E, R, O>
  <E, E2, R2>(policy: Policy<E, E2, R2>): <A, R>(
    attempt: Effect.Effect<A, E, R>
  ) => Effect.Effect<Succeeded<A, E>, E | AttemptsExhausted<E> | E2, Exclude<R, Given> | IndependentModel | R2>
  <A, E, R, O extends RetryOptions<E>>(attempt: Effect.Effect<A, E, R>, options: O): RetryReturn<A, E, R, O>
  <A, E, R, E2, R2>(
    attempt: Effect.Effect<A, E, R>,
    policy: Policy<E, E2, R2>
  ): Effect.Effect<Succeeded<A, E>, E | AttemptsExhausted<E> | E2, Exclude<R, Given> | IndependentModel | R2>
} = dual(2, <A, E, R, E2, R2>(
  attempt: Effect.Effect<A, E, R>,
  policy: RetryOptions<E, E2, R2> | Policy<E, E2, R2>
): Effect.Effect<Succeeded<A, E>, E | AttemptsExhausted<E> | E2, Exclude<R, Given> | IndependentModel | R2> => {
  const options: RetryOptions<E, E2, R2> = typeof policy === "function"
    ? { schedule: policy(identity) }
    : Schedule.isSchedule(policy)
    ? { schedule: policy }
    : policy
  const { schedule = Schedule.forever, times = Infinity } = options
  return Effect.suspend(() => {
    const errors: Array<E> = []
    const next = Effect.suspend(() => Effect.updateService(fresh(attempt), CurrentFork, again(errors.length + 1)))
    // What ends the retries is a success here, whichever it is.
    const once: Effect.Effect<
      Result.Result<Succeeded<A, E>, E | E2>,
      E,
      Exclude<R, Given> | IndependentModel | R2
    > = Effect.matchEffect(next, {
      onSuccess: (value) =>
        Effect.succeed(Result.succeed({ value, attempts: errors.length + 1, lastError: errors.at(-1) })),
      onFailure: (error) => {
        errors.push(error)
        return Effect.matchEffect(isRetried(options, error), {
          onSuccess: (yes) => yes ? Effect.fail(error) : Effect.succeed(Result.fail(error)),
          onFailure: (error) => Effect.succeed(Result.fail(error))
        })
      }
    })
    return once.pipe(
      Effect.retryOrElse(
        Schedule.while(schedule, ({ attempt }) => attempt <= times),
        () => Effect.fail(new AttemptsExhausted({ errors }))
      ),
      Effect.flatMap(Effect.fromResult)
    )
  })
})

const isRetried = Effect.fnUntraced(function*<E, E2, R2>(options: RetryOptions<E, E2, R2>, error: E) {
  if (!isMendable(error)) return false
  if (options.while !== undefined && !(yield* asEffect(options.while(error)))) return false
  return options.until === undefined || !(yield* asEffect(options.until(error)))
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
 * What is raced.
 *
 * @category options
 * @since 0.1.0
 */
export interface RaceOptions {
  /** How many attempts are made. */
  readonly n: number
  /** The fork that the forks of the attempts are in. @default the one that this runs in */
  readonly name?: string | undefined
}

/**
 * Makes `n` attempts at once, and takes the first that succeeds. The others are interrupted.
 *
 * **Details**
 *
 * Each attempt is in a fork of its own, named by its index, so that what it draws does not depend on the others. An error
 * that no new sample can mend ends the race; when all attempts have failed, the error is an `AttemptsExhausted`. Requests
 * of the interrupted attempts that were sent already are recorded when they come back, as long as the caching layer lives:
 * provide it around the whole program.
 *
 * **Gotchas**
 *
 * Who is first is a matter of time, which a cache does not record. Use `best` for a program that is to replay.
 *
 * The attempts of two races at one place of the program are in forks of the same names, so they share sequences. Under
 * `Independent` the second race goes on where the first has stopped; give each a `name` to keep them apart.
 *
 * @category combinators
 * @since 0.1.0
 */
export const race: {
  (options: RaceOptions): <A, E, R>(
    attempt: Effect.Effect<A, E, R>
  ) => Effect.Effect<Chosen<A>, E | AttemptsExhausted<E> | ProviderError, Exclude<R, Given> | IndependentModel>
  <A, E, R>(
    attempt: Effect.Effect<A, E, R>,
    options: RaceOptions
  ): Effect.Effect<Chosen<A>, E | AttemptsExhausted<E> | ProviderError, Exclude<R, Given> | IndependentModel>
} = dual(
  2,
  <A, E, R>(
    attempt: Effect.Effect<A, E, R>,
    options: RaceOptions
  ): Effect.Effect<Chosen<A>, E | AttemptsExhausted<E> | ProviderError, Exclude<R, Given> | IndependentModel> =>
    Effect.flatMap(indices(options.n), (indices) => {
      // What ends the race is a failure here, which interrupts the others.
      const one = (index: number): Effect.Effect<
        E,
        Result.Result<Chosen<A>, E>,
        Exclude<R, Given> | IndependentModel
      > =>
        Effect.matchEffect(fresh(attempt), {
          onSuccess: (value) => Effect.fail(Result.succeed({ value, index })),
          onFailure: (error) => isMendable(error) ? Effect.succeed(error) : Effect.fail(Result.fail(error))
        })
      return Effect.matchEffect(Fork.forEach(indices, one, { concurrency: "unbounded" }), {
        onSuccess: (errors) => Effect.fail(new AttemptsExhausted({ errors })),
        onFailure: (end) => Effect.fromResult(end)
      })
    }).pipe(inFork(options.name))
)

/**
 * Of how many attempts the best is taken, and what is good.
 *
 * @category options
 * @since 0.1.0
 */
export interface BestOptions<A, Score extends number | Effect.Effect<number, unknown, unknown>> extends RaceOptions {
  /**
   * How good the value of an attempt is; `NaN` is below every number. Asked once for each attempt that succeeds, within
   * it: a judge that samples draws from the attempt's own models, and where it fails, the attempt has failed.
   */
  readonly score: (value: A) => Score
  /** How many attempts are made at a time. @default 1 */
  readonly concurrency?: Types.Concurrency | undefined
}

/**
 * What `best` returns: what `score` fails with and needs is added to what the attempt does.
 *
 * @category models
 * @since 0.1.0
 */
export type BestReturn<A, E, R, Score> = Effect.Effect<
  Chosen<A>,
  E | Effect.Error<Score> | AttemptsExhausted<E | Effect.Error<Score>> | ProviderError,
  Exclude<R | Effect.Services<Score>, Given> | IndependentModel
>

/**
 * Makes `n` attempts, and takes the one with the highest score, of several the first.
 *
 * **Details**
 *
 * Each attempt is in a fork of its own, named by its index: the result is the same in every run, however the attempts are
 * scheduled. Attempts that fail are left out, unless no new sample can mend it; when all have failed, the error is an
 * `AttemptsExhausted`.
 *
 * **Gotchas**
 *
 * The attempts of two of these at one place of the program are in forks of the same names, so they share sequences. Under
 * `Independent` the second goes on where the first has stopped; give each a `name` to keep them apart.
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
export const best: {
  <A, Score extends number | Effect.Effect<number, unknown, unknown>>(
    options: BestOptions<A, Score>
  ): <E, R>(attempt: Effect.Effect<A, E, R>) => BestReturn<A, E, R, Score>
  <A, E, R, Score extends number | Effect.Effect<number, unknown, unknown>>(
    attempt: Effect.Effect<A, E, R>,
    options: BestOptions<Types.NoInfer<A>, Score>
  ): BestReturn<A, E, R, Score>
} = dual(
  2,
  Effect.fnUntraced(
    function*<A, E, R, Score extends number | Effect.Effect<number, unknown, unknown>>(
      attempt: Effect.Effect<A, E, R>,
      options: BestOptions<A, Score>
    ) {
      const scored = Effect.flatMap(
        attempt,
        (value) => Effect.map(asEffect(options.score(value)), (score) => ({ value, score }))
      )
      const results = yield* Fork.forEach(yield* indices(options.n), (index) =>
        Effect.matchEffect(fresh(scored), {
          onSuccess: (one) => Effect.succeed(Result.succeed({ ...one, index })),
          onFailure: (error) => isMendable(error) ? Effect.succeed(Result.fail(error)) : Effect.fail(error)
        }), { concurrency: options.concurrency })
      const [chosen, errors] = Arr.separate(results)
      if (!Arr.isArrayNonEmpty(chosen)) return yield* new AttemptsExhausted({ errors })
      const { index, value } = chosen.reduce((one, other) =>
        one.score >= other.score || Number.isNaN(other.score) ? one : other
      )
      return { value, index }
    },
    (self, _, { name }) => inFork(name)(self)
  )
)

// The numbers of `n` attempts.
const indices = (n: number): Effect.Effect<ReadonlyArray<number>, ProviderError> =>
  Number.isSafeInteger(n) && n >= 1
    ? Effect.sync(() => Array.from({ length: n }, (_, index) => index))
    : Effect.fail(ProviderError.badRequest("Attempt", `n is ${n}: give a whole number of at least 1`))

const inFork = (name: string | undefined) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  name === undefined ? self : Fork.fork(self, name)

// An attempt, with a Repeatable of its own, whose scope is not the attempt's. Of several errors, it fails with the one
// that no new sample can mend.
const fresh = <A, E, R>(
  attempt: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Given> | IndependentModel> =>
  Effect.scopedWith((scope) =>
    Effect.flatMap(
      Effect.flatMap(IndependentModel, (model) => Scope.provide(Repeatable.make(model), scope)),
      (model) => Effect.provideContext(attempt, repeatableContext(model))
    )
  ).pipe(Effect.catchCause((cause) => {
    const unmendable = cause.reasons.find((reason) => Cause.isFailReason(reason) && !isMendable(reason.error))
    return Effect.failCause(unmendable === undefined ? cause : Cause.fromReasons([unmendable]))
  }))
