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
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as Types from "effect/Types"
import { ForkPath } from "./internal/forkPath.ts"

/**
 * The names of the forks that the fiber runs in, the outermost first.
 *
 * @category accessors
 * @since 0.1.0
 */
export const path: Effect.Effect<ReadonlyArray<string>> = ForkPath

/**
 * Runs an effect in a fork of this name: with sequences of its own.
 *
 * **Details**
 *
 * Forks nest. A name is any text that is not empty; in a directory it becomes a folder's name, which has at most 255
 * bytes.
 *
 * **Gotchas**
 *
 * The fork is that of the fiber which samples. A stream samples when it is run, so the fork goes around what runs it.
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
    Effect.updateService(self, ForkPath, (path) => [...path, name])
)

/**
 * Runs an effect for each item, each in a fork named by the item's index, and gives the results in the order of the
 * items.
 *
 * **Gotchas**
 *
 * The forks of two lists at one place of the program have the same names, so they share sequences. Under `Independent`
 * the second list goes on where the first has stopped; put each into a fork of its own to keep them apart.
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
export const forEach = <Item, A, E, R>(
  items: Iterable<Item>,
  f: (item: Item, index: number) => Effect.Effect<A, E, R>,
  options?: {
    /** How many items are worked on at a time. @default 1 */
    readonly concurrency?: Types.Concurrency | undefined
  }
): Effect.Effect<Array<A>, E, R> =>
  Effect.forEach(items, (item, index) => fork(Effect.suspend(() => f(item, index)), String(index)), {
    concurrency: options?.concurrency
  })
