import * as Effect from "effect/Effect"
import type { Key } from "../../Key.ts"
import type { Entry } from "../../Sample.ts"
import type { StoreError } from "../../SampleError.ts"
import type { Store } from "../../SampleStore.ts"

/** How many stretches are read at once. */
const atOnce = 16

/** The samples at ascending positions. A damaged sample is left out if `onDamaged` continues. */
export const readAll = <E>(
  store: Store,
  key: Key,
  positions: ReadonlyArray<number>,
  onDamaged: (error: StoreError) => Effect.Effect<void, E>
): Effect.Effect<ReadonlyArray<Entry>, StoreError | E> => {
  const read = Effect.fnUntraced(function*(
    { first, length }: Stretch
  ): Effect.fn.Return<ReadonlyArray<Entry>, StoreError | E> {
    const entries: Array<Entry> = []
    for (let i = 0; i < length;) {
      const samples = yield* Effect.catchIf(
        store.getMany(key, first + i, length - i),
        ({ kind }) => kind === "Damaged",
        (error) => Effect.as(onDamaged(error), [])
      )
      for (const [j, drawn] of samples.entries()) entries.push({ position: first + i + j, drawn })
      // removed since, or damaged
      i += Math.max(samples.length, 1)
    }
    return entries
  })
  return Effect.map(Effect.forEach(stretches(positions), read, { concurrency: atOnce }), (found) => found.flat())
}

/** Consecutive positions. */
interface Stretch {
  readonly first: number
  readonly length: number
}

const stretches = (positions: ReadonlyArray<number>): ReadonlyArray<Stretch> => {
  const found: Array<Stretch> = []
  for (let i = 0; i < positions.length;) {
    const start = i++
    while (i < positions.length && positions[i] === positions[i - 1]! + 1) i++
    found.push({ first: positions[start]!, length: i - start })
  }
  return found
}
