import type { Key } from "@llm-cache/core/Key"
import type { Drawn, Entry } from "@llm-cache/core/Sample"
import type { StoreError } from "@llm-cache/core/SampleError"
import type { Store } from "@llm-cache/core/SampleStore"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Crypto from "node:crypto"
import type { Damaged, Item, Skipped } from "../import/item.ts"
import { makeResolver } from "../import/resolve.ts"
import { entriesOf } from "./entries.ts"

/** Recorded requests that are placed at a time. */
const chunk = 256

/** Names of samples that are kept in memory, those of the last key at least. */
const mostNames = 200_000

/** What is known of the samples of a key. */
interface Sequence {
  readonly held: ReadonlySet<number>
  readonly names: Set<string>
  /** The positions below are taken. */
  free: number
}

export interface PlaceResult {
  readonly copied: number
  /** Samples that the store had already. */
  readonly present: number
  /** Requests that no cache could answer. */
  readonly skipped: number
  /** Requests with an answer that cannot be read. */
  readonly damaged: number
}

export interface PlaceOptions {
  /** Called for each request that gives no sample. */
  readonly onProblem: (problem: Damaged | Skipped) => Effect.Effect<void>
  /** Called each time some more requests were placed. */
  readonly onProgress?: ((counts: PlaceResult) => Effect.Effect<void>) | undefined
}

/**
 * Puts the samples of recorded requests into a store: those of equal requests at successive free positions. A sample is
 * put once, however often it is imported.
 */
export const place = <E>(
  to: Store,
  items: Stream.Stream<Item, E>,
  { onProblem, onProgress = () => Effect.void }: PlaceOptions
): Effect.Effect<PlaceResult, E | StoreError> => {
  const counts = { copied: 0, present: 0, skipped: 0, damaged: 0 }
  const resolve = makeResolver()
  const put = Effect.fnUntraced(function*(some: ReadonlyArray<Item>) {
    const sequences = new Map<string, { readonly key: Key; readonly drawn: Array<Drawn> }>()
    for (const item of some) {
      const found = yield* resolve(item)
      if (found.kind !== "draws") {
        counts[found.kind]++
        yield* onProblem(found)
        continue
      }
      const id = JSON.stringify([found.key.identity.id, found.key.prompt, found.key.path])
      const sequence = sequences.get(id) ?? { key: found.key, drawn: [] }
      sequence.drawn.push(...found.drawn)
      sequences.set(id, sequence)
    }
    for (const [id, { drawn, key }] of sequences) yield* append(id, key, drawn)
    yield* onProgress(counts)
  })

  const known = new Map<string, Sequence>()
  let size = 0
  const sequenceOf = Effect.fnUntraced(function*(id: string, key: Key) {
    const remembered = known.get(id)
    if (remembered !== undefined) {
      known.delete(id)
      known.set(id, remembered)
      return remembered
    }
    const names = new Set<string>()
    const held = new Set(yield* to.positions(key))
    yield* Stream.runForEach(
      entriesOf(to, key, () => Effect.void),
      ({ drawn }) => Effect.sync(() => namesOf(drawn).forEach((name) => names.add(name)))
    )
    const sequence: Sequence = { held, names, free: 0 }
    known.set(id, sequence)
    size += names.size
    return sequence
  })

  const append = Effect.fnUntraced(function*(id: string, key: Key, drawn: ReadonlyArray<Drawn>) {
    const sequence = yield* sequenceOf(id, key)
    const before = sequence.names.size
    const fresh: Array<Entry> = []
    for (const sample of drawn) {
      const names = namesOf(sample)
      if (names.some((name) => sequence.names.has(name))) {
        counts.present++
        continue
      }
      names.forEach((name) => sequence.names.add(name))
      while (sequence.held.has(sequence.free)) sequence.free++
      fresh.push({ position: sequence.free++, drawn: sample, id: Crypto.hash("sha256", names[0]!, "hex") })
    }
    size += sequence.names.size - before
    for (const [oldest, { names }] of known) {
      if (size <= mostNames || oldest === id) break
      known.delete(oldest)
      size -= names.size
    }
    if (fresh.length === 0) return
    yield* to.prepare(key)
    for (const entries of Arr.chunksOf(fresh, chunk)) {
      if (Arr.isReadonlyArrayNonEmpty(entries)) yield* to.put(key, entries, "append")
    }
    counts.copied += fresh.length
  })
  return Effect.as(Stream.runForEach(Stream.grouped(items, chunk), put), counts)
}

// A sample that a program recorded and one that is imported have the provider's id in common. Servers exist that always
// give the same id, so the text counts too.
const namesOf = ({ metadata: { index = 0, request, responseId }, text }: Drawn): ReadonlyArray<string> => {
  const hash = Crypto.hash("sha256", text, "hex")
  return [request, responseId].flatMap((name) => name === undefined ? [] : [JSON.stringify([name, index, hash])])
}
