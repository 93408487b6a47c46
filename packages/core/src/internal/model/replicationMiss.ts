import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Identity } from "../../Identity.ts"
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
    const stored = present.length === 0 && nearest === undefined
      ? nearestFirst(key.identity, yield* storedIdentities(store))
      : undefined
    return yield* new ReplicationCacheMiss({
      identity: key.identity,
      prompt: key.prompt,
      promptHash: key.promptHash,
      path: key.path,
      position,
      present,
      store: store.describe(key),
      nearest,
      ...stored && { stored }
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

const storedIdentities = (store: Store): Effect.Effect<Array<Identity>, StoreError> =>
  store.identities.pipe(Stream.filterMap(Result.map(({ identity }) => identity)), Stream.runCollect)

// First by their names, then by their temperature and parameters.
const nearestFirst = (missing: Identity, stored: ReadonlyArray<Identity>): ReadonlyArray<Identity> => {
  const name = missing.name.toLowerCase()
  return stored.map((identity) => ({
    identity,
    ofName: difference(name, identity.name.toLowerCase()).length,
    ofAll: difference(missing.toString(), identity.toString()).length
  }))
    .toSorted((one, other) => one.ofName - other.ofName || one.ofAll - other.ofAll)
    .map(({ identity }) => identity)
}

/** The length of the part in which two texts differ, and its start. */
const difference = (one: string, other: string): { readonly start: number; readonly length: number } => {
  const shorter = Math.min(one.length, other.length)
  let start = 0
  while (start < shorter && one[start] === other[start]) start++
  let end = 0
  while (end < shorter - start && one[one.length - 1 - end] === other[other.length - 1 - end]) end++
  return { start, length: Math.max(one.length, other.length) - start - end }
}

// The nearest prompt shares most characters with the missing one at its start and at its end.
const nearestOf = (prompt: string, stored: ReadonlyArray<string>): NearestPrompt | undefined => {
  let nearest: NearestPrompt | undefined
  let least = Infinity
  for (const other of stored) {
    const { length, start } = difference(prompt, other)
    if (length < least) {
      least = length
      nearest = { prompt: other, differsAt: start }
    }
  }
  return nearest
}
