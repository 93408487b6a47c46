import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Key } from "../Key.ts"
import type { Drawn, Entry } from "../Sample.ts"
import type { Store } from "../SampleStore.ts"
import { KeyMap } from "./keyMap.ts"

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
}

export const makeMemory = (): MemoryStore => {
  const sequences = new KeyMap<Sequence>()
  const forget = (key: Key, position: number): void => {
    const samples = sequences.get(key)?.samples
    if (samples?.delete(position) && samples.size === 0) sequences.delete(key)
  }
  const peeking: MemoryStore["peeking"] = (key) => {
    let samples: Sequence["samples"] | undefined
    return (from, count) => {
      // One that was emptied may have been let go.
      if (!samples?.size) samples = sequences.get(key)?.samples
      const first = samples?.get(from)
      if (samples === undefined || first === undefined || count < 1) return []
      const found = [first.drawn]
      while (found.length < count) {
        const entry = samples.get(from + found.length)
        if (entry === undefined) break
        found.push(entry.drawn)
      }
      return found
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
        if (sequence === undefined) sequences.set(key, sequence = { key, samples: new Map() })
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
