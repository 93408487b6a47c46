/**
 * A store in memory, for tests and for programs that need no cache across runs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { KeyMap } from "./internal/model/keyMap.ts"
import type { Key } from "./Key.ts"
import type { Drawn, Entry } from "./Sample.ts"
import * as SampleStore from "./SampleStore.ts"

interface Sequence {
  readonly key: Key
  readonly samples: Map<number, Entry>
  /** The first samples in order, as far as they were read. A run of many then takes a slice of it. */
  prefix: Array<Drawn>
}

/**
 * A store in memory, which always has a `peek`.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemoryStore extends SampleStore.Store {
  readonly peek: NonNullable<SampleStore.Store["peek"]>
}

/**
 * Makes a store that lasts as long as the program holds it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<MemoryStore> = Effect.sync(() => {
  const sequences = new KeyMap<Sequence>()

  const peek = (key: Key, from: number, count: number): ReadonlyArray<Drawn> => {
    const sequence = sequences.get(key)
    if (sequence === undefined) return []
    const { prefix, samples } = sequence
    extend(prefix, samples, 0, from + count)
    return from <= prefix.length ? prefix.slice(from, from + count) : extend([], samples, from, count)
  }

  const store = SampleStore.make({
    id: `memory ${crypto.randomUUID()}`,
    describe: () => "memory",
    getMany: (key, from, count) => Effect.sync(() => peek(key, from, count)),
    peek,
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
        const sequence = sequences.get(key)
        if (sequence === undefined) return
        for (const position of positions) sequence.samples.delete(position)
        sequence.prefix = []
        if (sequence.samples.size === 0) sequences.delete(key)
      }),
    keys: ({ identity } = {}) =>
      Stream.suspend(() =>
        Stream.fromArray(
          Array.from(sequences.values())
            .filter(({ key }) => identity === undefined || key.identity.id === identity.id)
            .map(({ key, samples }) => Result.succeed({ key, samples: samples.size }))
        )
      )
  })
  return store as MemoryStore
})

/**
 * Provides a store that lasts as long as its layer. Each time it is provided it is a new one.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SampleStore.SampleStore> = Layer.fresh(Layer.effect(SampleStore.SampleStore, make))

/** Adds the samples from a position on to a list, until it has `count`, or a position has none. */
const extend = (list: Array<Drawn>, samples: Sequence["samples"], from: number, count: number): Array<Drawn> => {
  while (list.length < count) {
    const entry = samples.get(from + list.length)
    if (entry === undefined) break
    list.push(entry.drawn)
  }
  return list
}
