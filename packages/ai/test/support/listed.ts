import type { Key, SampleStore } from "@llm-cache/core"
import { Effect, Result, Stream } from "effect"

/** The keys of a store. */
export const keysOf = (store: SampleStore.Store): Effect.Effect<ReadonlyArray<Key.Key>> =>
  Effect.orDie(Effect.map(Stream.runCollect(store.keys()), (listed) => listed.map((one) => Result.getOrThrow(one).key)))

/** The texts and the metadata of the samples in a store. */
export const samplesOf = (store: SampleStore.Store) =>
  Effect.orDie(Effect.map(
    Effect.flatMap(keysOf(store), Effect.forEach((key) => store.getMany(key, 0, 100))),
    (samples) => samples.flat()
  ))
