import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Key } from "../../Key.ts"
import type { Entry } from "../../Sample.ts"
import type { StoreError } from "../../SampleError.ts"
import type { KeyFilter, Store } from "../../SampleStore.ts"
import type { VerifyOptions } from "../../Transfer.ts"
import { progressSince } from "../progressSince.ts"
import { readAll } from "./readAll.ts"

/** How many samples of a key are read at a time. */
export const chunk = 256

/** How many samples or keys are in progress at once. */
export const concurrency = 16

/**
 * Reads every sample of a store, those of a key in order and some at a time. After a sample that cannot be read it
 * continues if `onDamaged` does. Returns how many keys and samples there are.
 */
export const readSamples = <E1, E2>(
  store: Store,
  { filter = () => true, leftovers, onProgress = () => Effect.void }: VerifyOptions & KeyFilter,
  onDamaged: (error: StoreError) => Effect.Effect<void, E1>,
  visit: (
    key: Key,
    samples: Stream.Stream<Arr.NonEmptyReadonlyArray<Entry>, StoreError | E1>
  ) => Effect.Effect<void, E2>
) =>
  Effect.gen(function*() {
    const listed = store.keys({ leftovers }).pipe(
      Stream.filter((element) => Result.isFailure(element) || filter(element.success.key))
    )
    const total = yield* Stream.runFold(
      listed,
      () => ({ keys: 0, samples: 0 }),
      (sum, element) =>
        Result.isFailure(element) ? sum : { keys: sum.keys + 1, samples: sum.samples + element.success.samples }
    )
    const start = yield* Clock.currentTimeMillis
    let done = 0
    const progress = (some: number) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        done += some
        return onProgress(progressSince(start, now, done, Math.max(done, total.samples)))
      })
    const entriesOf = (key: Key) =>
      Stream.fromIterableEffect(Effect.map(store.positions(key), Arr.chunksOf(chunk))).pipe(
        Stream.mapEffect((positions) =>
          Effect.tap(readAll(store, key, positions, onDamaged), progress(positions.length))
        ),
        Stream.filter(Arr.isReadonlyArrayNonEmpty)
      )
    yield* listed.pipe(
      Stream.mapEffect(
        (element): Effect.Effect<void, StoreError | E1 | E2> =>
          Result.isFailure(element)
            ? onDamaged(element.failure)
            : visit(element.success.key, entriesOf(element.success.key)),
        { concurrency }
      ),
      Stream.runDrain
    )
    return total
  })
