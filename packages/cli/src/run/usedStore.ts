import { Key } from "@llm-cache/core/Key"
import type { StoreError } from "@llm-cache/core/SampleError"
import * as SampleStore from "@llm-cache/core/SampleStore"
import * as Trace from "@llm-cache/core/Trace"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"

/** The samples of a store that a run drew. */
export interface UsedSamples {
  /** The store as if it had only these samples. */
  readonly store: SampleStore.Store
  /** The other stores that the run drew from, if it drew nothing from this one. */
  readonly others: ReadonlyArray<string>
  /** Drawn samples that the store has no more. */
  readonly missing: ReadonlyArray<Trace.TracedKey & { readonly positions: ReadonlyArray<number> }>
}

/** Finds the samples that a run drew from a store. */
export const usedStore = (store: SampleStore.Store, run: Trace.Run): Effect.Effect<UsedSamples, StoreError> =>
  Effect.gen(function*() {
    const all = yield* Trace.used(run.file)
    const here = all.filter((used) => used.store === store.id)
    // A cache that was moved since has another id. Then the only cache of the run is meant.
    const caches = new Set(all.map(({ store }) => store).filter((name) => name !== "Repeatable"))
    const used = here.length > 0 ? here : caches.size === 1 ? all.filter(({ store }) => caches.has(store)) : []
    const found: Array<{ readonly key: Key; readonly positions: ReadonlyArray<number> }> = []
    const missing: Array<Trace.TracedKey & { readonly positions: ReadonlyArray<number> }> = []
    for (const { key: traced, positions } of used) {
      const key = yield* findKey(store, traced)
      const held = new Set(key === undefined ? [] : yield* store.positions(key))
      const present = positions.filter((position) => held.has(position))
      if (key !== undefined && present.length > 0) found.push({ key, positions: present })
      if (present.length < positions.length) {
        missing.push({ ...traced, positions: positions.filter((position) => !held.has(position)) })
      }
    }
    const byKey = new Map(found.map((one) => [nameOf(one.key), one]))
    return {
      others: here.length > 0 ? [] : [...caches],
      missing,
      store: SampleStore.make({
        ...store,
        keys: () =>
          Stream.fromIterable(found.map(({ key, positions }) => Result.succeed({ key, samples: positions.length }))),
        positions: (key) => Effect.succeed(byKey.get(nameOf(key))?.positions ?? [])
      })
    }
  })

/** The key of a draw, if the store has its prompt. */
export const findKey = (
  store: SampleStore.Store,
  { identity, path, promptHash }: Trace.TracedKey
): Effect.Effect<Key | undefined, StoreError> =>
  Effect.map(Stream.runCollect(store.keys({ identity, promptHash })), (elements) => {
    for (const element of elements) {
      if (Result.isSuccess(element)) {
        const { key } = element.success
        if (JSON.stringify(key.path) === JSON.stringify(path)) return key
      }
    }
    return undefined
  })

const nameOf = (key: Key): string => JSON.stringify([key.identity.id, key.promptHash, key.path])
