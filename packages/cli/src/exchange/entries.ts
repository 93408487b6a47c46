import type { Key } from "@llm-cache/core/Key"
import type { Entry } from "@llm-cache/core/Sample"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { readAt } from "../cache/samples.ts"

/** The samples of a key in the order of their positions, some at a time. Continues behind a damaged sample. */
export const entriesOf = <E = never>(
  store: Store,
  key: Key,
  onDamaged: (error: StoreError) => Effect.Effect<void, E>
): Stream.Stream<Entry, StoreError | E> =>
  Stream.unwrap(Effect.map(store.positions(key), (positions) => readAt(store, key, positions, onDamaged)))
