import type { Key } from "@llm-cache/core/Key"
import type { Entry } from "@llm-cache/core/Sample"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Listed, Store } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { Output } from "../output/Output.ts"

/** The most samples that are read at a time. */
const most = 64

/** The keys of a store. An entry that cannot be read is told on stderr, and makes the exit code 1. */
export const listed = (store: Store): Stream.Stream<Listed, StoreError, Output> =>
  store.keys().pipe(
    Stream.mapEffect((element) =>
      Result.isSuccess(element)
        ? Effect.succeed([element.success])
        : Effect.as(damaged(element.failure), [])
    ),
    Stream.flattenIterable
  )

/** The samples at ascending positions. A damaged one is told on stderr, and makes the exit code 1. */
export const samplesAt = (
  store: Store,
  key: Key,
  positions: ReadonlyArray<number>
): Stream.Stream<Entry, StoreError, Output> => readAt(store, key, positions, damaged)

/** The samples at ascending positions, some at a time. Continues behind a damaged sample. */
export const readAt = <E, R>(
  store: Store,
  key: Key,
  positions: ReadonlyArray<number>,
  onDamaged: (error: StoreError) => Effect.Effect<void, E, R>
): Stream.Stream<Entry, StoreError | E, R> =>
  Stream.unfold(0, (i) => {
    if (i >= positions.length) return Effect.void as Effect.Effect<undefined>
    const first = positions[i]!
    let length = 1
    while (length < most && positions[i + length] === first + length) length++
    return Effect.map(
      Effect.catchIf(
        store.getMany(key, first, length),
        ({ kind }) => kind === "Damaged",
        (error) => Effect.as(onDamaged(error), [])
      ),
      (samples) =>
        [
          samples.map((drawn, j): Entry => ({ position: first + j, drawn })),
          // The first of them was removed since, or is damaged.
          i + Math.max(samples.length, 1)
        ] as const
    )
  }).pipe(Stream.flattenIterable)

/** Tells of damage on stderr, and makes the exit code 1. */
export const damaged = (error: StoreError): Effect.Effect<void, never, Output> =>
  Effect.flatMap(Output, ({ found, note }) => Effect.andThen(note(error.message), found))
