import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Types from "effect/Types"
import type { OutputRejected } from "./errors.ts"

declare const TypeId: unique symbol
declare const ItemTypeId: unique symbol

/**
 * A description of a text. Reading a text with it yields an `A`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Spec<in out A> extends Any {
  readonly [TypeId]: Types.Invariant<A>
}

/**
 * Any spec.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any {
  readonly [TypeId]: unknown
}

/**
 * A spec with a recognizable beginning, so that it can be repeated: a tag, a code, a JSON, or a sequence that begins with
 * one of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Item<in out A> extends Spec<A> {
  readonly [ItemTypeId]: true
}

/**
 * The type of the value that reading a spec yields.
 *
 * @category models
 * @since 0.1.0
 */
export type Type<S> = S extends Spec<infer A> ? A : never

/**
 * The spec of several parts: an `Item` if the first part is one.
 *
 * @category models
 * @since 0.1.0
 */
export type Sequence<Parts extends ReadonlyArray<Any>> = Parts extends
  readonly [{ readonly [ItemTypeId]: true }, ...ReadonlyArray<Any>] ? Item<Yields<Parts>>
  : Spec<Yields<Parts>>

type Yields<Parts extends ReadonlyArray<Any>> = { -readonly [I in keyof Parts]: Type<Parts[I]> }

/**
 * The result of `validate`: `true` or `undefined` accepts a value, `false` rejects it, and a text rejects it with a reason.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict = boolean | string | undefined

/**
 * The limit of samples, and the check of their values.
 *
 * @category options
 * @since 0.1.0
 */
export interface QueryOptions<
  A,
  V extends Verdict | Effect.Effect<Verdict, unknown, unknown>,
  S extends Schedule.Schedule<unknown, OutputRejected, unknown, unknown>
> {
  /** When to draw another sample. Its input is the rejection of the last sample. @default three more, at once */
  readonly schedule?: S | undefined
  /**
   * Whether to accept a value. It runs once for each value, with the `LlmModel` of the attempt, as in `Attempt.retry`: a
   * judge that samples gets new samples in each attempt.
   *
   * @default accepts every value
   */
  readonly validate?: ((value: A) => V) | undefined
}
