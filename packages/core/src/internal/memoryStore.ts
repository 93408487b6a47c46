import * as Effect from "effect/Effect"
import type { Key } from "../Key.ts"
import type { Drawn } from "../Sample.ts"
import type { Store } from "../SampleStore.ts"
import { KeyMap } from "./keyMap.ts"

/** A store in memory that can also let go of a sample. */
export interface MemoryStore extends Store {
  readonly forget: (key: Key, position: number) => void
  readonly isEmpty: (key: Key) => boolean
}

export const makeMemory = (): MemoryStore => {
  const sequences = new KeyMap<Map<number, Drawn>>()
  return {
    id: `memory ${crypto.randomUUID()}`,
    describe: () => "memory",
    get: (key, position) => Effect.sync(() => sequences.get(key)?.get(position)),
    positions: (key) => Effect.sync(() => [...sequences.get(key)?.keys() ?? []].sort((a, b) => a - b)),
    prepare: () => Effect.void,
    put: (key, entries, ifTaken) =>
      Effect.sync(() => {
        let samples = sequences.get(key)
        if (samples === undefined) sequences.set(key, samples = new Map())
        return entries.map(({ drawn, position }) => {
          while (samples.has(position)) {
            if (ifTaken === "drop") return undefined
            position++
          }
          samples.set(position, drawn)
          return position
        })
      }),
    prompts: (identity, limit) => Effect.sync(() => [...new Set(sequences.prompts(identity))].slice(0, limit)),
    isEmpty: (key) => sequences.get(key) === undefined,
    forget: (key, position) => {
      const samples = sequences.get(key)
      if (samples?.delete(position) && samples.size === 0) sequences.delete(key)
    }
  }
}
