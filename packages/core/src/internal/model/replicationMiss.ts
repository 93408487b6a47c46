import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Key } from "../../Key.ts"
import { type NearestPrompt, ReplicationCacheMiss, type StoreError } from "../../SampleError.ts"
import type { Store } from "../../SampleStore.ts"

/** How many stored prompts are compared with the missing prompt. */
const compared = 1000

export const replicationMiss = (
  store: Store,
  key: Key,
  position: number
): Effect.Effect<never, ReplicationCacheMiss | StoreError> =>
  Effect.gen(function*() {
    const present = yield* store.positions(key)
    const nearest = present.length === 0
      ? nearestOf(key.prompt, yield* storedPrompts(store, key))
      : undefined
    return yield* new ReplicationCacheMiss({
      identity: key.identity,
      prompt: key.prompt,
      promptHash: key.promptHash,
      path: key.path,
      position,
      present,
      store: store.describe(key),
      nearest
    })
  })

const storedPrompts = (store: Store, { identity }: Key): Effect.Effect<Array<string>, StoreError> => {
  const seen = new Set<string>()
  return store.keys({ identity }).pipe(
    Stream.filterMap(Result.map(({ key }) => key.prompt)),
    Stream.filter((prompt) => seen.size < seen.add(prompt).size),
    Stream.take(compared),
    Stream.runCollect
  )
}

// The nearest prompt shares most characters with the missing one at its start and at its end.
const nearestOf = (prompt: string, stored: ReadonlyArray<string>): NearestPrompt | undefined => {
  let nearest: NearestPrompt | undefined
  let least = Infinity
  for (const other of stored) {
    const shorter = Math.min(prompt.length, other.length)
    let start = 0
    while (start < shorter && prompt[start] === other[start]) start++
    let end = 0
    while (end < shorter - start && prompt[prompt.length - 1 - end] === other[other.length - 1 - end]) end++
    const different = Math.max(prompt.length, other.length) - start - end
    if (different < least) {
      least = different
      nearest = { prompt: other, differsAt: start }
    }
  }
  return nearest
}
