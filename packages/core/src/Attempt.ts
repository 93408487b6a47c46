/**
 * Attempts: parts of a program that may fail with some samples and succeed with others.
 *
 * **Details**
 *
 * Every attempt gets its own `Repeatable` over one `Independent`: the steps of an attempt see the same answer to the same
 * prompt, and the next attempt sees new answers. So these functions need an `IndependentModel`, and provide the attempt
 * with its `LlmModel` and `RepeatableModel`. Unfinished draws of an attempt end with it. Its `Scope` is the caller's.
 *
 * An error of the program leads to another attempt, or excludes the attempt from a choice. A failure of the provider does
 * neither, because a replay does not have it. A defect ends the program.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { dual, identity } from "effect/Function"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Types from "effect/Types"
import type { AuditFailure } from "./Audit.ts"
import * as Fork from "./Fork.ts"
import type { IndependentModel } from "./IndependentModel.ts"
import { asEffect } from "./internal/asEffect.ts"
import { AttemptsExhausted, isProviderFailure, isRetryable } from "./internal/attempt/errors.ts"
import { withFreshModel } from "./internal/attempt/freshModel.ts"
import { retryAttempt } from "./internal/attempt/retryAttempt.ts"
import { checkCount } from "./internal/model/checkCount.ts"
import { InvalidInput } from "./InvalidInput.ts"
import type { LlmModel } from "./LlmModel.ts"
import type { RepeatableModel } from "./RepeatableModel.ts"
import type { SampleError } from "./SampleError.ts"

/**
 * The services that these functions provide to an attempt.
 *
 * @category models
 * @since 0.1.0
 */
export type ProvidedModels = LlmModel | RepeatableModel

/**
 * The result of a successful attempt.
 *
 * @category models
 * @since 0.1.0
 */
export interface Succeeded<A, E> {
  readonly value: A
  /** The number of attempts, this one included. */
  readonly attempts: number
  /** The error of the attempt before, if there was one. */
  readonly lastError: E | undefined
}

export { AttemptsExhausted, isProviderFailure, isRetryable } from "./internal/attempt/errors.ts"

/**
 * The errors of an attempt that may come out unchanged: those that say whether they are retryable, and the types that
 * include them, such as `unknown`. All others come out in an `AttemptsExhausted`.
 *
 * @category models
 * @since 0.1.0
 */
export type FinalError<E> = E extends SampleError | AuditFailure ? E
  : E extends { readonly isRetryable: true } ? never
  : "isRetryable" extends keyof E ? E
  : SampleError extends E ? E
  : never

/**
 * The limits of `retry`. Another attempt needs the consent of all options, and so does each time that an attempt resumes
 * after a failure of the provider. Without options there is no limit.
 *
 * @category options
 * @since 0.1.0
 */
export interface RetryOptions<E, E2 = unknown, R2 = unknown> {
  /** When to make another attempt, and when to resume one. Its input is the last error. */
  readonly schedule?: Schedule.Schedule<unknown, E, E2, R2> | undefined
  /** The most attempts after the first. Each of them is resumed at most as often. */
  readonly times?: number | undefined
  /** Which retryable errors to retry. It runs once for each error. */
  readonly while?: ((error: E) => boolean | Effect.Effect<boolean, E2, R2>) | undefined
  /** Which errors not to retry. It runs once for each error. */
  readonly until?: ((error: E) => boolean | Effect.Effect<boolean, E2, R2>) | undefined
}

/**
 * The errors of an attempt that come out of `retry` unchanged: if `while` or `until` is given, any.
 *
 * @category models
 * @since 0.1.0
 */
export type UnchangedError<E, O> = [keyof O & ("while" | "until")] extends [never] ? FinalError<E> : E

/** A schedule for attempts that fail with `E`, or a function that builds it. */
type Policy<E, E2, R2> =
  | Schedule.Schedule<unknown, Types.NoInfer<E>, E2, R2>
  | ((
    $: <O, SE, R>(_: Schedule.Schedule<O, Types.NoInfer<E>, SE, R>) => Schedule.Schedule<O, E, SE, R>
  ) => Schedule.Schedule<unknown, Types.NoInfer<E>, E2, R2>)

/**
 * Makes attempts until one succeeds or the options allow no more. Like `Effect.retry`, it takes options, a schedule, or a
 * function that builds a schedule.
 *
 * **Details**
 *
 * It retries only errors that another attempt can fix (see `isRetryable`) and that `while` and `until` let pass. Other
 * errors end the retries unchanged, so that `Effect.catchTag` finds a `ReplicationCacheMiss`. When the schedule or `times`
 * allows no more attempts, the error is `AttemptsExhausted`.
 *
 * A failure of the provider or the store (see `isProviderFailure`) is no attempt. The same attempt runs again from its
 * start: its draws repeat from its memory, and then it goes on. So a replay, in which no request fails, gives the same
 * values. An attempt resumes by `schedule` and `times`, counted anew for each attempt and apart from the attempts, and
 * waits at least as long as the `retryAfter` of the failure, up to five minutes. Each time is a warning in the log.
 *
 * Each attempt has its own forks of the same name. So a program replays even if an attempt failed while its forks were
 * still at work.
 *
 * **Gotchas**
 *
 * An attempt that resumes repeats its draws, and also all its other effects: files that it wrote, messages that it sent.
 *
 * A failure of the provider that the attempt turns into an error of its own starts another attempt, and its replay gives
 * other values. Let it pass.
 *
 * A cache does not record interruptions: neither a time limit around a draw, nor the end of a draw because another part
 * of the attempt failed with an error of its own. In a replay that draw succeeds at once, and later draws may get other
 * samples. Set the time limit on the provider, and give interruptible parts a fork of their own.
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
  <E, E2, R2>(policy: Policy<E, E2, R2>): <A, R>(
    attempt: Effect.Effect<A, E, R>
  ) => Effect.Effect<
    Succeeded<A, E>,
    FinalError<E> | AttemptsExhausted<E> | E2,
    Exclude<R, ProvidedModels> | IndependentModel | R2
  >
  // The unions have no names, so that editors show their members.
  <E, O extends RetryOptions<E>>(options: O): <A, R>(attempt: Effect.Effect<A, E, R>) => Effect.Effect<
    Succeeded<A, E>,
    UnchangedError<E, O> | AttemptsExhausted<E> | Effect.Error<Effect.Retry.Return<never, never, never, O>>,
    Exclude<R, ProvidedModels> | IndependentModel | Effect.Services<Effect.Retry.Return<never, never, never, O>>
  >
  <A, E, R, O extends RetryOptions<E>>(attempt: Effect.Effect<A, E, R>, options: O): Effect.Effect<
    Succeeded<A, E>,
    UnchangedError<E, O> | AttemptsExhausted<E> | Effect.Error<Effect.Retry.Return<never, never, never, O>>,
    Exclude<R, ProvidedModels> | IndependentModel | Effect.Services<Effect.Retry.Return<never, never, never, O>>
  >
  <A, E, R, E2, R2>(
    attempt: Effect.Effect<A, E, R>,
    policy: Policy<E, E2, R2>
  ): Effect.Effect<
    Succeeded<A, E>,
    FinalError<E> | AttemptsExhausted<E> | E2,
    Exclude<R, ProvidedModels> | IndependentModel | R2
  >
} = dual(2, <A, E, R, E2, R2>(
  attempt: Effect.Effect<A, E, R>,
  policy: RetryOptions<E, E2, R2> | Policy<E, E2, R2>
): Effect.Effect<
  Succeeded<A, E>,
  E | AttemptsExhausted<E> | E2,
  Exclude<R, ProvidedModels> | IndependentModel | R2
> => {
  if (typeof policy === "function") return retryAttempt(attempt, { schedule: policy(identity) })
  return retryAttempt(attempt, Schedule.isSchedule(policy) ? { schedule: policy } : policy)
})

/**
 * The attempt that won a `race`, or the `best` one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Winner<A> {
  readonly value: A
  /** The index of the attempt, from 0 on. */
  readonly index: number
}

/**
 * The number of attempts, and the fork around them.
 *
 * @category options
 * @since 0.1.0
 */
export interface RaceOptions {
  /** The number of attempts. */
  readonly n: number
  /** The name of a fork around the forks of all attempts. @default none */
  readonly name?: string | undefined
}

/**
 * Makes `n` attempts at once, takes the first success and interrupts the other attempts.
 *
 * **Details**
 *
 * Each attempt runs in a fork named by its index, so its draws do not depend on the other attempts. A non-retryable error
 * (see `isRetryable`) ends the race. When all attempts fail, the error is `AttemptsExhausted`. If `n` is not a whole
 * number of at least 1, it is `InvalidInput`.
 *
 * The caching layer still records in-flight requests of interrupted attempts, as long as it lives: provide it around the
 * whole program.
 *
 * **Gotchas**
 *
 * The winner depends on time, and a cache does not record time. Use `best` for a program that has to replay.
 *
 * Two races in the same fork use forks of the same names, and so the same sequences. Under `Independent` the second race
 * continues after the draws of the first. Give each a `name` to keep them apart.
 *
 * @category combinators
 * @since 0.1.0
 */
export const race: {
  (options: RaceOptions): <A, E, R>(
    attempt: Effect.Effect<A, E, R>
  ) => Effect.Effect<
    Winner<A>,
    FinalError<E> | AttemptsExhausted<E> | InvalidInput,
    Exclude<R, ProvidedModels> | IndependentModel
  >
  <A, E, R>(
    attempt: Effect.Effect<A, E, R>,
    options: RaceOptions
  ): Effect.Effect<
    Winner<A>,
    FinalError<E> | AttemptsExhausted<E> | InvalidInput,
    Exclude<R, ProvidedModels> | IndependentModel
  >
} = dual(
  2,
  <A, E, R>(
    attempt: Effect.Effect<A, E, R>,
    options: RaceOptions
  ): Effect.Effect<Winner<A>, E | AttemptsExhausted<E> | InvalidInput, Exclude<R, ProvidedModels> | IndependentModel> =>
    Effect.flatMap(indices("Attempt.race", options.n), (indices) => {
      // Fails with the final result, a success too: a failure interrupts the other attempts.
      const one = (index: number): Effect.Effect<
        E,
        Result.Result<Winner<A>, E>,
        Exclude<R, ProvidedModels> | IndependentModel
      > =>
        Effect.matchEffect(withFreshModel(attempt, identity), {
          onSuccess: (value) => Effect.fail(Result.succeed({ value, index })),
          onFailure: (error) => isRetryable(error) ? Effect.succeed(error) : Effect.fail(Result.fail(error))
        })
      return Effect.matchEffect(Fork.forEach(indices, one, { concurrency: "unbounded" }), {
        onSuccess: (errors) => Effect.fail(new AttemptsExhausted({ errors })),
        onFailure: (end) => Effect.fromResult(end)
      })
    }).pipe(inFork(options.name))
)

/**
 * The number of attempts, their score, and the fork around them.
 *
 * @category options
 * @since 0.1.0
 */
export interface BestOptions<A, Score extends number | Effect.Effect<number, unknown, unknown>> extends RaceOptions {
  /**
   * The score of an attempt's value; `NaN` is below every number. It runs once in each successful attempt: a judge that
   * samples uses the attempt's models, and if the judge fails, so does the attempt.
   */
  readonly score: (value: A) => Score
  /** How many attempts to make at a time. @default 1 */
  readonly concurrency?: Types.Concurrency | undefined
}

/**
 * The failures of the provider inside an attempt that end `best`.
 *
 * @category models
 * @since 0.1.0
 */
export type ProviderFailure<E> = Extract<E, AttemptsExhausted | { readonly isProviderFailure: boolean }>

/**
 * Makes `n` attempts and takes the highest score; in a tie, the first attempt.
 *
 * **Details**
 *
 * Each attempt runs in a fork named by its index, so the result does not depend on scheduling and replays. An attempt that
 * fails does not count, but a non-retryable error (see `isRetryable`) ends all, and so does a failure of the provider (see
 * `isProviderFailure`): a replay would count that attempt. When all attempts fail, the error is `AttemptsExhausted`. If `n`
 * is not a whole number of at least 1, it is `InvalidInput`.
 *
 * **Gotchas**
 *
 * Two calls in the same fork use forks of the same names, and so the same sequences. Under `Independent` the second call
 * continues after the draws of the first. Give each a `name` to keep them apart.
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
  ): <E, R>(
    attempt: Effect.Effect<A, E, R>
  ) => Effect.Effect<
    Winner<A>,
    | FinalError<E | Effect.Error<Score>>
    | ProviderFailure<E | Effect.Error<Score>>
    | AttemptsExhausted<E | Effect.Error<Score>>
    | InvalidInput,
    Exclude<R | Effect.Services<Score>, ProvidedModels> | IndependentModel
  >
  <A, E, R, Score extends number | Effect.Effect<number, unknown, unknown>>(
    attempt: Effect.Effect<A, E, R>,
    options: BestOptions<Types.NoInfer<A>, Score>
  ): Effect.Effect<
    Winner<A>,
    | FinalError<E | Effect.Error<Score>>
    | ProviderFailure<E | Effect.Error<Score>>
    | AttemptsExhausted<E | Effect.Error<Score>>
    | InvalidInput,
    Exclude<R | Effect.Services<Score>, ProvidedModels> | IndependentModel
  >
} = dual(
  2,
  Effect.fnUntraced(
    function*<A, E, R, Score extends number | Effect.Effect<number, unknown, unknown>>(
      attempt: Effect.Effect<A, E, R>,
      options: BestOptions<A, Score>
    ) {
      const scored = Effect.flatMap(
        attempt,
        (value) => Effect.map(asEffect("score", options.score(value)), (score) => ({ value, score }))
      )
      const results = yield* Fork.forEach(
        yield* indices("Attempt.best", options.n),
        (index) =>
          Effect.matchEffect(withFreshModel(scored, identity), {
            onSuccess: (one) => Effect.succeed(Result.succeed({ ...one, index })),
            onFailure: (error) => isExcluded(error) ? Effect.succeed(Result.fail(error)) : Effect.fail(error)
          }),
        { concurrency: options.concurrency }
      )
      const [scores, errors] = Arr.separate(results)
      if (!Arr.isArrayNonEmpty(scores)) return yield* new AttemptsExhausted({ errors })
      const { index, value } = scores.reduce((one, other) =>
        one.score >= other.score || Number.isNaN(other.score) ? one : other
      )
      return { value, index }
    },
    (self, _, { name }) => inFork(name)(self)
  )
)

// A replay has no failures of the provider, so they cannot decide which attempts count.
const isExcluded = (error: unknown): boolean => isRetryable(error) && !isProviderFailure(error)

const indices = (module: string, n: number): Effect.Effect<ReadonlyArray<number>, InvalidInput> =>
  Effect.map(checkCount(module, "n", n), () => Array.from({ length: n }, (_, index) => index))

const inFork = (name: string | undefined) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  name === undefined ? self : Fork.fork(self, name)
