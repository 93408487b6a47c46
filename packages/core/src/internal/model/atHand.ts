import type * as Arr from "effect/Array"
import type * as Effect from "effect/Effect"
import type { Key } from "../../Key.ts"
import type { Model } from "../../LlmModel.ts"
import type { Drawn } from "../../Sample.ts"
import type { SampleError } from "../../SampleError.ts"
import type { TextsOf } from "../store/textsOf.ts"

/** Lets an effect be interrupted where the caller can be. */
export type Restore = <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, E>

/**
 * What a model can do beside its draw. The first three are ways to several samples at once, from a position on and at most
 * `most`, where reading them is no act. No one is told of them, so they are for fibers that no one observes.
 */
export interface AtHand {
  /**
   * Samples that are in memory: none where there is no such sample at the position. Of a shared sequence it is the next
   * sample alone, and it is handed out. A run looks the key up once.
   */
  readonly now?: ((key: Key) => (position: number, most: number) => ReadonlyArray<Drawn>) | undefined
  /** The texts of samples that are recorded in a store, as many as can be read at once. */
  readonly texts?: TextsOf | undefined
  /** Samples that are recorded in a store: none where the one at the position is not. */
  readonly recorded?: (key: Key, position: number, most: number) => Effect.Effect<ReadonlyArray<Drawn>, SampleError>
  /**
   * The draw of a shared sequence, for who gives back what it took: told of the sample before it can be interrupted.
   */
  readonly taking?: (
    key: Key,
    position: number,
    batch: number,
    onTaken: (drawn: Arr.NonEmptyReadonlyArray<Drawn>) => void
  ) => ReturnType<Model["draw"]>
  /**
   * Draws of a provider, for who is not interruptible: where it is interrupted as it waits, by `restore`, it gives what
   * has come by then, if anything has.
   */
  readonly buy?: (
    key: Key,
    position: number,
    batch: number,
    restore: Restore
  ) => Effect.Effect<Arr.NonEmptyReadonlyArray<Drawn>, SampleError>
}

const atHand = Symbol("@llm-cache/core/atHand")

/**
 * What a model has at hand belongs to its draw, so that a model which wraps another one and has a draw of its own hands
 * out nothing that does not go through that.
 */
export const withAtHand = (draw: Model["draw"], hand: AtHand | undefined): Model["draw"] =>
  hand === undefined ? draw : Object.assign((...of: Parameters<Model["draw"]>) => draw(...of), { [atHand]: hand })

export const atHandOf = (draw: Model["draw"] & { readonly [atHand]?: AtHand }): AtHand | undefined => draw[atHand]
