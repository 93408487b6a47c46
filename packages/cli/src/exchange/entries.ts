import type { Key } from "@llm-cache/core/Key"
import type { Entry } from "@llm-cache/core/Sample"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** Samples that are read at a time. */
const chunk = 256

/** The samples of a key in the order of their positions, some at a time. Continues behind a damaged sample. */
export const entriesOf = <E = never>(
  store: Store,
  key: Key,
  onDamaged: (error: StoreError) => Effect.Effect<void, E>
): Stream.Stream<Entry, StoreError | E> =>
  Stream.unwrap(Effect.map(store.positions(key), (positions) =>
    Stream.paginate(
      0,
      Effect.fnUntraced(function*(start: number) {
        const first = positions[start]
        if (first === undefined) return [[], Option.none()] as const
        const samples = yield* Effect.catchIf(
          store.getMany(key, first, lengthFrom(positions, start)),
          ({ kind }) => kind === "Damaged",
          (error) => Effect.as(onDamaged(error), [])
        )
        const entries = samples.map((drawn, i): Entry => ({ position: first + i, drawn }))
        // removed since, or damaged
        return [entries, Option.some(start + Math.max(samples.length, 1))] as const
      })
    )))

const lengthFrom = (positions: ReadonlyArray<number>, start: number): number => {
  let length = 1
  while (length < chunk && positions[start + length] === positions[start]! + length) length++
  return length
}
