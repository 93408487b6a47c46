/**
 * Forks give a part of a program its own sequences of samples, so that a program that samples in parallel replays
 * exactly: what each part draws does not depend on how its fibers are scheduled.
 *
 * **When to use**
 *
 * Use a fork for each part of a program that draws at the same time as others: each trial of an experiment, each agent,
 * each candidate. `forEach` does so for the items of a list.
 *
 * **Details**
 *
 * The names of the forks that a fiber runs in are its path. The path is part of what a sample is kept by, in memory and
 * in every store, so that under a fork
 *
 * - `Repeatable` and `Persistent` have a sequence of their own, which no other path shares;
 * - `Independent` has a reader of its own, which starts at that sequence's first position;
 * - the same path names the same sequences in every run of the program, and wherever in the program it is used.
 *
 * Samples of different paths are independent draws. What forks do share is the model itself: its layers, the requests
 * that its provider allows at once, and the store. It is to sampling what splitting a key is to a counter-based random
 * generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * Inside one fork the order of draws still matters: two fibers that draw in the same fork at the same time need a fork
 * each.
 *
 * **Gotchas**
 *
 * What time cuts off is not recorded, and does not replay: a time limit that fires around a draw, or a draw that is
 * interrupted because one beside it failed. Set the time limit on the provider, and give what may be cut off a fork of its
 * own, so that the draws after it stay the same.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
import { CurrentFork, into } from "./internal/model/currentFork.ts"

/**
 * The names of the forks that the fiber runs in, the outermost first.
 *
 * @category accessors
 * @since 0.1.0
 */
export const path: Effect.Effect<ReadonlyArray<string>> = Effect.map(CurrentFork, ({ path }) => path)

/**
 * Runs an effect in a fork of this name: with sequences of its own. It is about samples, and starts no fiber.
 *
 * **Details**
 *
 * Forks nest. A name is any well-formed text that is not empty; in a directory it becomes a folder's name, which has at
 * most 255 bytes.
 *
 * **Gotchas**
 *
 * The fork is that of the fiber which samples. A stream samples when it is run, so the fork goes around what runs it; see
 * `stream`.
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
    Effect.updateService(self, CurrentFork, into(name))
)

/**
 * Lets a stream draw in a fork of this name, inside the fork that it is run in. What its consumer draws is not in the fork.
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
    Stream.updateService(self, CurrentFork, into(name))
)

/**
 * How the items of a list are worked on.
 *
 * @category options
 * @since 0.1.0
 */
export interface ForEachOptions<Item, Discard extends boolean = false> {
  /** How many items are worked on at a time. @default 1 */
  readonly concurrency?: Types.Concurrency | undefined
  /** Whether the results are thrown away. @default false */
  readonly discard?: Discard | undefined
  /** The name of an item's fork. Items of the same name share sequences. @default the index */
  readonly name?: ((item: Item, index: number) => string) | undefined
}

/**
 * Runs an effect for each item, each in a fork of its own, and gives the results in the order of the items. The forks are
 * named by the index, or as `name` says.
 *
 * **Gotchas**
 *
 * The forks of two lists at one place of the program have the same names, so they share sequences. Under `Independent`
 * the second list goes on where the first has stopped; put each into a fork of its own to keep them apart. A name that
 * tells what the item is keeps its samples also when items are added before it.
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
