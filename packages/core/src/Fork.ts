/**
 * Forks give a part of a program its own sequences of samples, so that a parallel program replays exactly: the draws of
 * each part do not depend on the scheduling of fibers.
 *
 * **When to use**
 *
 * Use a fork for each concurrent part of a program: each trial of an experiment, each agent, each candidate. `forEach` does
 * this for the items of a list.
 *
 * **Details**
 *
 * A fiber's forks form a path of names. The path is part of the cache key, in memory and in every store, so that under a
 * fork
 *
 * - `Repeatable` and `Persistent` have their own sequence, which no other path shares;
 * - `Independent` has its own reader, which starts at the sequence's first position;
 * - the same path names the same sequences in every run and in every place of the program.
 *
 * Samples of different paths are independent draws. Forks share the model itself: its layers, the concurrency limit of its
 * provider and the store. A counter-based random generator splits its key in the same way (Salmon et al., "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011).
 *
 * Inside one fork the order of draws still matters: two concurrent fibers need a fork each. `Audit.checkReplay` and the
 * event `Raced` find fibers that lack one.
 *
 * **Gotchas**
 *
 * A cache does not record interruptions, so they do not replay: neither a time limit around a draw, nor the end of a draw
 * because another one failed. Set the time limit on the provider, and give interruptible parts a fork of their own, so
 * that later draws stay the same.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
import { CurrentFork, enterFork } from "./internal/model/currentFork.ts"

/**
 * The names of the fiber's forks, the outermost first.
 *
 * @category accessors
 * @since 0.1.0
 */
export const path: Effect.Effect<ReadonlyArray<string>> = Effect.map(CurrentFork, ({ path }) => path)

/**
 * Runs an effect in a fork of this name, with its own sequences. It does not start a fiber.
 *
 * **Details**
 *
 * Forks nest. A name is any well-formed text that is not empty. Any other name fails the draw with `InvalidInput`.
 *
 * **Gotchas**
 *
 * A draw uses the fork of its fiber. A stream draws when it runs, so put the fork around the run, or use `stream`.
 *
 * **Example** (Two agents that share nothing)
 *
 * ```ts
 * import { Fork, LlmModel } from "@llm-cache/core"
 * import { Effect } from "effect"
 *
 * const agent = LlmModel.sampleOne("Choose a number between 1 and 1000.")
 *
 * const both = Effect.all([
 *   Fork.fork(agent, "first"),
 *   agent.pipe(Fork.fork("second"))
 * ], { concurrency: 2 })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const fork: {
  (name: string): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, name: string): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, name: string): Effect.Effect<A, E, R> =>
    Effect.updateService(self, CurrentFork, enterFork(name))
)

/**
 * Lets a stream draw in a fork of this name, inside the fork of its run. The draws of its consumer stay outside.
 *
 * **Example** (The drafts and their titles are drawn from sequences of their own)
 *
 * ```ts
 * import { Fork, LlmModel } from "@llm-cache/core"
 * import { Stream } from "effect"
 *
 * const drafts = LlmModel.sample("Write a poem.").pipe(Fork.stream("drafts"))
 *
 * const titled = drafts.pipe(
 *   Stream.mapEffect((draft) => LlmModel.sampleOne(`Give a title to ${draft}`)),
 *   Stream.take(3)
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const stream: {
  (name: string): <A, E, R>(self: Stream.Stream<A, E, R>) => Stream.Stream<A, E, R>
  <A, E, R>(self: Stream.Stream<A, E, R>, name: string): Stream.Stream<A, E, R>
} = dual(
  2,
  <A, E, R>(self: Stream.Stream<A, E, R>, name: string): Stream.Stream<A, E, R> =>
    Stream.updateService(self, CurrentFork, enterFork(name))
)

/**
 * The concurrency and the fork names of `forEach`.
 *
 * @category options
 * @since 0.1.0
 */
export interface ForEachOptions<Item, Discard extends boolean = false> {
  /** How many items to run at a time. @default 1 */
  readonly concurrency?: Types.Concurrency | undefined
  /** Whether to discard the results. @default false */
  readonly discard?: Discard | undefined
  /** The name of an item's fork. Items of the same name share sequences. @default the index */
  readonly name?: ((item: Item, index: number) => string) | undefined
}

/**
 * Runs an effect for each item in a fork of its own, and returns the results in the order of the items. The option `name`
 * names the forks, by default by index.
 *
 * **Gotchas**
 *
 * Two lists in the same fork use forks of the same names, and so the same sequences. Under `Independent` the second list
 * continues after the draws of the first. Put each list into a fork of its own to keep them apart. Name forks by their item
 * to keep its samples when the list grows at its beginning.
 *
 * **Example** (Ten trials at a time)
 *
 * ```ts
 * import { Fork, LlmModel } from "@llm-cache/core"
 *
 * const trials = Array.from({ length: 100 }, (_, i) => i)
 *
 * const numbers = Fork.forEach(
 *   trials,
 *   () => LlmModel.sampleOne("Choose a number between 1 and 1000."),
 *   { concurrency: 10 }
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const forEach: {
  <Item, A, E, R, const Discard extends boolean = false>(
    f: (item: Item, index: number) => Effect.Effect<A, E, R>,
    options?: ForEachOptions<Item, Discard>
  ): (items: Iterable<Item>) => Effect.Effect<Discard extends false ? Array<A> : void, E, R>
  <Item, A, E, R, const Discard extends boolean = false>(
    items: Iterable<Item>,
    f: (item: Item, index: number) => Effect.Effect<A, E, R>,
    options?: ForEachOptions<Item, Discard>
  ): Effect.Effect<Discard extends false ? Array<A> : void, E, R>
} = dual(
  (args) => typeof args[1] === "function",
  <Item, A, E, R>(
    items: Iterable<Item>,
    f: (item: Item, index: number) => Effect.Effect<A, E, R>,
    options: ForEachOptions<Item, boolean> = {}
  ): Effect.Effect<Array<A> | void, E, R> => {
    const { name = (_, index) => String(index) } = options
    return Effect.forEach(
      items,
      (item, index) => Effect.suspend(() => fork(f(item, index), name(item, index))),
      options
    )
  }
)
