import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Key } from "../../Key.ts"
import type { Drawn, Entry } from "../../Sample.ts"
import type { Store } from "../../SampleStore.ts"
import { KeyMap } from "../model/keyMap.ts"

/** A store in memory that can also let go of a sample. */
export interface MemoryStore extends Store {
  readonly forget: (key: Key, position: number) => void
  readonly isEmpty: (key: Key) => boolean
  /** What `getMany` gives, for one who asks for a key again and again. */
  readonly peeking: (key: Key) => (from: number, count: number) => ReadonlyArray<Drawn>
}

interface Sequence {
  readonly key: Key
  readonly samples: Map<number, Entry>
  /** Those of the first positions, as far as they were read at once. */
  prefix: Array<Drawn>
}

export const makeMemory = (): MemoryStore => {
  const sequences = new KeyMap<Sequence>()
  const forget = (key: Key, position: number): void => {
    const sequence = sequences.get(key)
    if (sequence === undefined || !sequence.samples.delete(position)) return
    sequence.prefix = []
    if (sequence.samples.size === 0) sequences.delete(key)
  }
  const peeking: MemoryStore["peeking"] = (key) => {
    let sequence: Sequence | undefined
    return (from, count) => {
      // One that was emptied may have been let go.
      if (!sequence?.samples.size) sequence = sequences.get(key)
      if (sequence === undefined) return []
      const { prefix, samples } = sequence
      fill(prefix, samples, 0, from + count)
      return from <= prefix.length ? prefix.slice(from, from + count) : fill([], samples, from, count)
    }
  }
  return {
    id: `memory ${crypto.randomUUID()}`,
    describe: () => "memory",
    get: (key, position) => Effect.sync(() => sequences.get(key)?.samples.get(position)?.drawn),
    getMany: (key, from, count) => Effect.sync(() => peeking(key)(from, count)),
    positions: (key) => Effect.sync(() => [...sequences.get(key)?.samples.keys() ?? []].sort((a, b) => a - b)),
    prepare: () => Effect.void,
    put: (key, entries, ifTaken) =>
      Effect.sync(() => {
        let sequence = sequences.get(key)
        if (sequence === undefined) sequences.set(key, sequence = { key, samples: new Map(), prefix: [] })
        const { samples } = sequence
        return entries.map((entry) => {
          let { position } = entry
          for (let held = samples.get(position); held !== undefined; held = samples.get(++position)) {
            if (entry.id !== undefined && held.id === entry.id) return position
            if (ifTaken === "drop") return undefined
          }
          samples.set(position, entry)
          return position
        })
      }),
    remove: (key, positions) =>
      Effect.sync(() => {
        for (const position of positions) forget(key, position)
      }),
    keys: Stream.suspend(() =>
      Stream.fromArray(
        Array.from(sequences.values(), ({ key, samples }) => Result.succeed({ key, samples: samples.size }))
      )
    ),
    prompts: (identity, limit) =>
      Effect.sync(() => {
        const prompts = new Set<string>()
        for (const { key } of sequences.values()) {
          if (prompts.size >= limit) break
          if (key.identity.id === identity.id) prompts.add(key.prompt)
        }
        return [...prompts]
      }),
    peeking,
    isEmpty: (key) => sequences.get(key) === undefined,
    forget
  }
}

// Puts samples into a list that are to follow one another from a position on, until it has `count`, or one is missing.
const fill = (list: Array<Drawn>, samples: Sequence["samples"], from: number, count: number): ReadonlyArray<Drawn> => {
  while (list.length < count) {
    const entry = samples.get(from + list.length)
    if (entry === undefined) break
    list.push(entry.drawn)
  }
  return list
}
