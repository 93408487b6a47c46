import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Key } from "../../Key.ts"
import type { Drawn } from "../../Sample.ts"
import type { StoreError } from "../../SampleError.ts"
import type { Store } from "../../SampleStore.ts"
import type { Compared, CompareOptions } from "../../Transfer.ts"
import { readAll } from "./readAll.ts"
import { isSameSample } from "./sameSample.ts"

/** How many positions of a key are read at a time. */
const chunk = 256

/** How many keys are read at once. */
const concurrency = 16

/** Compares two stores position by position: the keys of the first, and then the other keys of the second. */
export const compareSamples = (
  first: Store,
  second: Store,
  { filter = () => true }: CompareOptions = {}
): Stream.Stream<Compared, StoreError> => {
  const compare = (
    store: Store,
    compareKey: (key: Key) => Effect.Effect<Stream.Stream<Compared, StoreError>, StoreError>
  ) =>
    store.keys().pipe(
      Stream.filter((element) => Result.isFailure(element) || filter(element.success.key)),
      Stream.mapEffect(
        (element): Effect.Effect<Stream.Stream<Compared, StoreError>, StoreError> =>
          Result.isFailure(element)
            ? Effect.succeed(Stream.succeed({ kind: "damaged", error: element.failure }))
            : compareKey(element.success.key),
        { concurrency }
      ),
      Stream.flatMap((compared) => compared)
    )
  const compareKey = (key: Key) =>
    Effect.map(
      Effect.all([first.positions(key), second.positions(key)]),
      ([ofFirst, ofSecond]) => {
        const all = Arr.chunksOf([...new Set([...ofFirst, ...ofSecond])].sort((a, b) => a - b), chunk)
        const [inFirst, inSecond] = [new Set(ofFirst), new Set(ofSecond)]
        return Stream.fromIterable(all).pipe(
          Stream.mapEffect((positions) => {
            const both = positions.filter((position) => inFirst.has(position) && inSecond.has(position))
            return Effect.map(
              Effect.all([read(first, key, both), read(second, key, both)]),
              ([ofFirst, ofSecond]) =>
                positions.map((position): Compared =>
                  !inSecond.has(position)
                    ? { kind: "onlyFirst", key, position }
                    : !inFirst.has(position)
                    ? { kind: "onlySecond", key, position }
                    : compareOne(key, position, ofFirst.get(position), ofSecond.get(position))
                )
            )
          }),
          Stream.flattenIterable
        )
      }
    )
  const onlySecond = (key: Key) =>
    Effect.map(
      Effect.all([first.positions(key), second.positions(key)]),
      ([ofFirst, ofSecond]) =>
        ofFirst.length > 0
          ? Stream.empty
          : Stream.fromIterable(ofSecond.map((position): Compared => ({ kind: "onlySecond", key, position })))
    )
  return Stream.concat(compare(first, compareKey), compare(second, onlySecond))
}

const compareOne = (
  key: Key,
  position: number,
  first: Drawn | StoreError | undefined,
  second: Drawn | StoreError | undefined
): Compared => {
  for (const sample of [first, second]) {
    if (sample !== undefined && "_tag" in sample) return { kind: "damaged", error: sample }
  }
  // Removed since.
  if (first === undefined) return { kind: "onlySecond", key, position }
  if (second === undefined) return { kind: "onlyFirst", key, position }
  const [one, other] = [first as Drawn, second as Drawn]
  return { kind: isSameSample(one, other) ? "same" : "different", key, position, first: one, second: other }
}

/** The samples at positions, or the error of a damaged one. */
const read = (store: Store, key: Key, positions: ReadonlyArray<number>) => {
  const found = new Map<number, Drawn | StoreError>()
  return Effect.map(
    readAll(store, key, positions, (error) => Effect.sync(() => void found.set(error.position!, error))),
    (entries) => {
      for (const { drawn, position } of entries) found.set(position, drawn)
      return found
    }
  )
}
