/**
 * The contract of a model: how samples are drawn from the sequence of a key.
 *
 * **When to use**
 *
 * Programs use `LlmModel`. Read this to write a model or a combinator of your own: implement `draw`, and complete it with
 * `LlmModel.fromDraw`.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Identity } from "./Identity.ts"
import type { Key } from "./Key.ts"
import type { Drawn, Entry } from "./Sample.ts"
import type { SampleError } from "./SampleError.ts"

/**
 * How many samples a request to a provider asks for.
 *
 * @category options
 * @since 0.1.0
 */
export interface SampleOptions {
  /**
   * How many samples are requested at a time when one is missing. A provider's `maxBatch` splits it into evenly filled
   * requests, each sent only when the consumer needs it.
   *
   * @default 1
   */
  readonly batch?: number | undefined
}

/**
 * Samples that were drawn together, at least one.
 *
 * @category models
 * @since 0.1.0
 */
export type Samples = Arr.NonEmptyReadonlyArray<Drawn>

/**
 * Wishes of the consumer of a draw. They are for the model that the consumer draws from, and for no model beneath it:
 * `LlmModel.fromDraw` drops options of another model's draw. So a model that wraps another can pass them on or leave them out.
 *
 * @category options
 * @since 0.1.0
 */
export interface DrawOptions {
  /** The `draw` of the model that the options are for. */
  readonly of: Model["draw"]
  /**
   * How many samples a remembered sequence may return in one draw, from the position on. Only recorded samples are
   * returned beyond the first. A stream may end before it has taken them all.
   *
   * @default 1
   */
  readonly most?: number | undefined
  /**
   * Called with the samples in the step in which they leave the sequence. A consumer that is interrupted right after
   * that step, before the draw returns, still has them, and can give them back.
   */
  readonly onTaken?: ((samples: Samples) => void) | undefined
  /** The shared reader, as any object of its own, that draws from a remembered sequence. An audit compares readers by it. */
  readonly reader?: object | undefined
}

/**
 * A model: a distribution, and how its samples are drawn.
 *
 * @category models
 * @since 0.1.0
 */
export interface Model {
  /** The distribution that is sampled. */
  readonly identity: Identity
  /**
   * The samples of a prompt, without end: the consumer decides how many it takes, and no more are drawn. Running the
   * stream again is a new run. It is made from `draw`: a model that wraps another changes `draw`, by `fromDraw`.
   */
  readonly sample: (prompt: string, options?: SampleOptions) => Stream.Stream<string, SampleError>
  /**
   * Which sequence the runs of a prompt read: a `"new"` one each (a provider), all the same `"remembered"` one
   * (Repeatable, Persistent), or a `"shared"` one together, each element once (Independent).
   */
  readonly sequence: "new" | "remembered" | "shared"
  /**
   * The draw beneath `sample`: takes samples from the sequence of a key, at least one.
   *
   * **Details**
   *
   * - `"remembered"`: the sample at `position`, and behind it at most `options.most - 1` more that are recorded.
   * - `"shared"`: exactly one, the next that nobody has. `position` is ignored.
   * - `"new"`: one request of `requestSize(batch)` samples; it may bring fewer or more. `position` is ignored.
   *
   * A draw that fails uses up no position.
   */
  readonly draw: (
    key: Key,
    position: number,
    batch: number,
    options?: DrawOptions
  ) => Effect.Effect<Samples, SampleError>
  /**
   * A shortcut to samples that are at hand: the samples of a remembered sequence from a position on, in order and at
   * most `most` (`Infinity` if the consumer may stop at any), synchronously.
   *
   * **Details**
   *
   * Returns fewer, or none, wherever `draw` would wait, fail or ask the model beneath; then the consumer draws. Reading
   * has no effect and raises no events, so programs that observe events draw. Absent if reading a sample needs more than
   * that, as in a shared sequence, where each read takes a position.
   *
   * It is not enumerable: a model made by `fromDraw({ ...model, draw })` does not have the `peek` of the model it wraps.
   */
  readonly peek?: ((key: Key, position: number, most: number) => ReadonlyArray<Drawn>) | undefined
  /**
   * How many samples a draw asks for when `missing` are wanted. 1 for every model that is not `"new"`.
   */
  readonly requestSize: (missing: number) => number
  /**
   * Tells the model that samples were drawn from it in an earlier run of the program and recorded at these positions,
   * so that it does not hand them out again. Absent if that cannot happen.
   */
  readonly restore: ((key: Key, entries: ReadonlyArray<Entry>) => Effect.Effect<void, SampleError>) | undefined
  /**
   * Makes the model run `resume`, which calls `restore` with the samples recorded of a key, before its first draw of
   * that key. So a draw that bypasses the recording store also continues behind the recorded samples. Ends with the
   * scope. Absent if `restore` is.
   */
  readonly attach?:
    | ((resume: (key: Key) => Effect.Effect<void, SampleError>) => Effect.Effect<void, never, Scope.Scope>)
    | undefined
  /**
   * Gives back samples that were drawn and that no consumer got, so that the next draws get them. Absent if every run
   * gets them again anyway, or never.
   */
  readonly giveBack: ((key: Key, drawn: ReadonlyArray<Drawn>) => Effect.Effect<void>) | undefined
  /**
   * The stores beneath, by their ids, and whether a shared reader is between this model and the store.
   */
  readonly stores: ReadonlyMap<string, { readonly isShared: boolean }>
  /**
   * Whether the model leaves out samples that it has asked for, as a cache with `excludeFinishReasons` does. So the answer of a request
   * may never be handed out. A layer over such a model says it, too.
   *
   * @default false
   */
  readonly leavesSamplesOut?: boolean | undefined
}
