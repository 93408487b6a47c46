import type * as Arr from "effect/Array"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { Key } from "../Key.ts"
import type { Model } from "../LlmModel.ts"
import type { Drawn, Entry } from "../Sample.ts"
import { type SampleError, StoreError } from "../SampleError.ts"
import type { Store } from "../SampleStore.ts"
import { KeyMap } from "./keyMap.ts"

/**
 * One remembered sequence per key: the part that Repeatable, Persistent and an Independent over a provider have in
 * common. A position that the store has is read from it; a missing one is drawn from the source, by one purchase at a
 * time per position (a flight), and every sample of a purchase is in the store before the first is handed out.
 */
export interface Memory {
  readonly draw: Model["draw"]
  readonly restore: Model["restore"]
  /** Whether the last purchase was to fill positions from this one on, and brought too little for it. */
  readonly owes: (key: Key, position: number) => boolean
}

interface Options {
  readonly source: Pick<Model, "sequence" | "requestSize" | "draw" | "restore">
  readonly store: Store
  /** Whether samples that were recorded above this memory go back into it. */
  readonly refill: boolean
  /** What a missing position fails with where the source must not be asked. */
  readonly onMissing?: ((key: Key, position: number) => Effect.Effect<never, SampleError>) | undefined
  /** The position below which what a purchase brings beyond the draw that asked for it must not be stored. */
  readonly floor?: ((key: Key) => number) | undefined
  /** Ends the flights that are under way when it closes. */
  readonly scope: Scope.Scope
}

/** How many positions a flight keeps others from buying, at the most. */
const mostReserved = 10_000

interface Flight {
  readonly landed: Deferred.Deferred<ReadonlyMap<number, Drawn>, SampleError>
  /** The positions it is to fill, the one that started it first. */
  readonly positions: Array<number>
}

interface Sequence {
  readonly flights: Map<number, Flight>
  /** Samples that were drawn and that the store failed to take. The next flights store them instead of drawing. */
  readonly unstored: Array<Drawn>
  /** The positions that the store has, as far as they were listed and filled here. */
  present: Set<number> | undefined
  /** The position behind those that the last purchase was to fill, where it brought less. */
  owed: number
}

export const remember = ({ floor = () => 0, onMissing, refill, scope, source, store }: Options): Memory => {
  const sequences = new KeyMap<Sequence>()
  const restored = new KeyMap<true>()
  const restoreSource = source.restore

  const sequenceOf = (key: Key): Sequence => {
    let sequence = sequences.get(key)
    if (sequence === undefined) {
      sequences.set(key, sequence = { flights: new Map(), unstored: [], present: undefined, owed: 0 })
    }
    return sequence
  }

  // The sequence that was bought for last is kept, so that its positions are listed once. The others are let go.
  let idle: { readonly key: Key; readonly sequence: Sequence } | undefined
  const retire = (key: Key, sequence: Sequence): void => {
    if (!isIdle(sequence)) return
    if (idle !== undefined && idle.sequence !== sequence && isIdle(idle.sequence)) sequences.delete(idle.key)
    idle = { key, sequence }
  }

  // Tells the source which of its draws are recorded here, once per key before anything else is drawn.
  const ready = (key: Key): Effect.Effect<void, SampleError> => {
    if (restoreSource === undefined || restored.get(key)) return Effect.void
    return Effect.flatMap(recorded(key), (entries) =>
      Effect.map(
        entries.length === 0 ? Effect.void : restoreSource(key, entries),
        () => restored.set(key, true)
      ))
  }

  const recorded = (key: Key): Effect.Effect<ReadonlyArray<Entry>, StoreError> =>
    Effect.flatMap(store.positions(key), (positions) =>
      Effect.map(
        Effect.forEach(positions, (position) => store.get(key, position)),
        (found) => found.flatMap((drawn, i) => drawn === undefined ? [] : [{ position: positions[i]!, drawn }])
      ))

  const get = (key: Key, position: number): Effect.Effect<Drawn | undefined, SampleError> => {
    if (restoreSource === undefined) return store.get(key, position)
    // Another process may have recorded it since the key was made ready.
    return Effect.tap(
      Effect.flatMap(ready(key), () => store.get(key, position)),
      (drawn) => drawn === undefined ? Effect.void : restoreSource(key, [{ position, drawn }])
    )
  }

  const draw: Model["draw"] = (key, position, batch) =>
    Effect.suspend(() => {
      const flight = sequences.get(key)?.flights.get(position)
      if (flight !== undefined) return join(key, position, batch, flight)
      return Effect.flatMap(
        get(key, position),
        (drawn) => drawn === undefined ? missing(key, position, batch) : Effect.succeed(one(drawn))
      )
    })

  const join = (
    key: Key,
    position: number,
    batch: number,
    flight: Flight
  ): Effect.Effect<Arr.NonEmptyReadonlyArray<Drawn>, SampleError> =>
    Effect.flatMap(Deferred.await(flight.landed), (landed) => {
      const drawn = landed.get(position)
      // A purchase may bring less than was asked for.
      return drawn === undefined ? draw(key, position, batch) : Effect.succeed(one(drawn))
    })

  const takeOff = (key: Key, position: number, batch: number): ReturnType<Model["draw"]> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const sequence = sequenceOf(key)
        const other = sequence.flights.get(position)
        if (other !== undefined) return restore(join(key, position, batch, other))
        if (scope.state._tag === "Closed") {
          return Effect.die(closed())
        }
        const flight: Flight = { landed: Deferred.makeUnsafe(), positions: [position] }
        sequence.flights.set(position, flight)
        return Effect.flatMap(
          Effect.forkIn(fly(key, sequence, flight, batch), scope, { startImmediately: true, uninterruptible: true }),
          () => restore(join(key, position, batch, flight))
        )
      })
    )

  const missing: Model["draw"] = onMissing ?? takeOff

  // Runs in the scope of the memory, so that no waiter's interruption ends it, and is interruptible only while it waits
  // for the source.
  const fly = (key: Key, sequence: Sequence, flight: Flight, batch: number): Effect.Effect<void> =>
    Effect.flatMap(Effect.exit(fill(key, sequence, flight, batch)), (exit) =>
      Effect.sync(() => {
        for (const position of flight.positions) sequence.flights.delete(position)
        retire(key, sequence)
        // Who waits was not interrupted: it used a model whose scope has closed.
        const isClosed = scope.state._tag === "Closed" && Exit.hasInterrupts(exit)
        Deferred.doneUnsafe(flight.landed, isClosed ? Exit.die(closed()) : exit)
      }))

  const fill = Effect.fnUntraced(function*(
    key: Key,
    sequence: Sequence,
    flight: Flight,
    batch: number
  ): Effect.fn.Return<ReadonlyMap<number, Drawn>, SampleError> {
    const position = flight.positions[0]!
    yield* Effect.interruptible(store.prepare(key))
    // It may have been stored between the look and the take-off.
    const stored = yield* Effect.interruptible(get(key, position))
    if (stored !== undefined) return new Map([[position, stored]])
    let drawn: ReadonlyArray<Drawn> = sequence.unstored.splice(0, source.sequence === "new" ? Infinity : 1)
    if (drawn.length === 0) {
      let wanted = batch
      if (source.requestSize(batch) > 1) {
        // The rest of a purchase that brought less than it was to, or a new one.
        const owed = sequence.owed - position
        wanted = yield* Effect.interruptible(reserve(key, sequence, flight, owed > 0 ? Math.min(owed, batch) : batch))
      }
      drawn = yield* Effect.interruptible(source.draw(key, position, wanted))
      sequence.owed = drawn.length < flight.positions.length ? flight.positions.at(-1)! + 1 : 0
    }
    const positions = yield* Effect.onError(
      land(key, sequence, flight, drawn),
      // A source that remembers keeps what it gave, for this position alone.
      () => Effect.sync(() => source.sequence !== "remembered" && sequence.unstored.push(...drawn))
    )
    const landed = new Map<number, Drawn>()
    for (const [i, position] of positions.entries()) {
      if (position === undefined) continue
      landed.set(position, drawn[i]!)
      sequence.present?.add(position)
    }
    if (!landed.has(position)) landed.set(position, yield* Effect.interruptible(winner(key, position)))
    return landed
  })

  // The sample at a position that was to be filled: another writer was first, or the store finishes later what it took.
  const winner = Effect.fnUntraced(function*(key: Key, position: number): Effect.fn.Return<Drawn, SampleError> {
    let drawn = yield* get(key, position)
    if (drawn === undefined) {
      yield* store.prepare(key)
      drawn = yield* get(key, position)
    }
    return drawn ?? (yield* new StoreError({
      kind: "Unavailable",
      store: store.describe(key),
      operation: "put",
      key,
      position,
      description: "the store took a sample for this position and does not have it: draw it again"
    }))
  })

  // Takes for this flight the positions that the next request is to fill, of those missing among the next `batch`.
  // Returns how many are missing.
  const reserve = Effect.fnUntraced(function*(
    key: Key,
    sequence: Sequence,
    flight: Flight,
    batch: number
  ): Effect.fn.Return<number, StoreError> {
    // Flights that land while the store lists its positions may be in neither.
    const before = sequence.present === undefined ? [...sequence.flights.keys()] : []
    const listed = sequence.present ?? new Set(yield* store.positions(key))
    for (const position of before) if (!sequence.flights.has(position)) listed.add(position)
    const present = sequence.present ??= listed
    const isTaken = (position: number) => present.has(position) || sequence.flights.has(position)
    const start = Math.max(flight.positions[0]! + 1, floor(key))
    const end = start + batch - 1
    let missing = batch
    if (batch <= present.size + sequence.flights.size) {
      for (let position = start; position < end; position++) if (isTaken(position)) missing--
    } else {
      for (const position of new Set([...present, ...sequence.flights.keys()])) {
        if (position >= start && position < end) missing--
      }
    }
    const reserved = Math.min(source.requestSize(missing), mostReserved)
    for (let position = start; flight.positions.length < reserved; position++) {
      if (isTaken(position)) continue
      sequence.flights.set(position, flight)
      flight.positions.push(position)
    }
    return missing
  })

  // Stores what was drawn, the first at the position that was asked for, and says where it is.
  const land = Effect.fnUntraced(function*(
    key: Key,
    sequence: Sequence,
    flight: Flight,
    drawn: ReadonlyArray<Drawn>
  ): Effect.fn.Return<ReadonlyArray<number | undefined>, SampleError> {
    // more than was asked for: on behind it
    const end = Math.max(flight.positions.at(-1)! + 1, floor(key))
    for (let position = end; flight.positions.length < drawn.length; position++) {
      if (sequence.flights.has(position)) continue
      sequence.flights.set(position, flight)
      flight.positions.push(position)
    }
    const entries = asNonEmpty(drawn.map((drawn, i): Entry => ({ drawn, position: flight.positions[i]! })))
    const positions = yield* store.put(key, entries, source.sequence === "new" ? "append" : "drop")
    const isLost = source.sequence === "shared" && positions[0] === undefined && (yield* isUnrecorded(key, drawn[0]!))
    return isLost ? yield* store.put(key, entries, "append") : positions
  })

  // Whether a sample that lost its position to another writer is one that the store does not have yet.
  const isUnrecorded = (key: Key, sample: Drawn): Effect.Effect<boolean, StoreError> => {
    if (sample.origins.length === 0) return Effect.succeed(true)
    const origins = sample.origins.join()
    return Effect.map(recorded(key), (entries) => entries.every(({ drawn }) => drawn.origins.join() !== origins))
  }

  return {
    draw,
    owes: (key, position) => (sequences.get(key)?.owed ?? 0) > position,
    restore: restoreSource === undefined && !refill ? undefined : (key, entries) =>
      Effect.gen(function*() {
        yield* ready(key)
        if (refill && entries.length > 0) yield* store.put(key, asNonEmpty(entries), "drop")
        if (restoreSource !== undefined) yield* restoreSource(key, entries)
      })
  }
}

const closed = () => new Error("This model was used after the scope of its layer was closed")

const isIdle = ({ flights, unstored }: Sequence): boolean => flights.size === 0 && unstored.length === 0

const asNonEmpty = (entries: ReadonlyArray<Entry>) => entries as Arr.NonEmptyReadonlyArray<Entry>

const one = (drawn: Drawn): Arr.NonEmptyReadonlyArray<Drawn> => [drawn]
