import type * as Arr from "effect/Array"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { Key } from "../../Key.ts"
import type { Model } from "../../LlmModel.ts"
import type { Drawn, Entry } from "../../Sample.ts"
import { type SampleError, StoreError } from "../../SampleError.ts"
import type { Leases, Store } from "../../SampleStore.ts"
import { isObserved, publishIfObserved } from "../events/observe.ts"
import { readAll } from "../store/readAll.ts"
import { sampleName } from "../store/sampleName.ts"
import { textsOfStore } from "../store/textsOf.ts"
import { type AtHand, atHandOf } from "./atHand.ts"
import { KeyMap } from "./keyMap.ts"
import { longer, makeWithLease } from "./lease.ts"
import { Positions } from "./positions.ts"

/**
 * One remembered sequence per key: the part that Repeatable, Persistent and an Independent over a provider have in
 * common. A position that the store has is read from it; a missing one is drawn from the source, by one purchase at a
 * time per position (a flight), and every sample of a purchase is in the store before the first is handed out.
 */
export interface Memory {
  readonly draw: Model["draw"]
  readonly restore: Model["restore"]
  /** Samples that are recorded, see `AtHand`. */
  readonly recorded: NonNullable<AtHand["recorded"]>
  /** The texts of samples that are recorded, see `AtHand`. */
  readonly texts: AtHand["texts"]
  /** Tells the source what is recorded of a key, if it was not told yet. */
  readonly recall: (key: Key) => Effect.Effect<void, SampleError>
  /** Whether nothing of a key is under way or yet to be stored, nor owed from this position on by the last purchase. */
  readonly isAtRest: (key: Key, position: number) => boolean
  /** Stores what was drawn and could not be stored. */
  readonly settle: Effect.Effect<void, StoreError>
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
  /** How long a lease lasts, in milliseconds, where positions are leased before they are bought. */
  readonly lease?: { readonly leases: Leases; readonly expiry: number } | undefined
  /** Ends the flights that are under way when it closes. */
  readonly scope: Scope.Scope
  /** The name of the cache, in what is told of it. Absent where the memory is no cache: then nothing is told. */
  readonly name: string | undefined
}

/** How many positions a flight keeps others from buying, at the most. */
const mostReserved = 10_000

interface Flight {
  readonly landed: Deferred.Deferred<ReadonlyMap<number, Drawn>, SampleError>
  /** The positions it is to fill, the one that started it first. */
  readonly positions: Array<number>
  /** Whether the source was asked. */
  hasAsked: boolean
  /** Whether it waited for another process that has the lease. */
  hasWaited: boolean
  /** How many draws wait for it. */
  waiters: number
}

interface Sequence {
  readonly key: Key
  readonly flights: Map<number, Flight>
  /** What was drawn and the store failed to take. The next flight stores it before it draws. */
  unstored: ReadonlyArray<Entry>
  /** The positions that the store has, as far as they were listed and filled here. */
  present: Positions | undefined
  /** The position behind those that the last purchase was to fill, where it brought less. */
  owed: number
}

export const remember = (
  { floor = () => 0, lease, name, onMissing, refill, scope, source, store }: Options
): Memory => {
  const buySome = atHandOf(source.draw)?.buy
  const sequences = new KeyMap<Sequence>()
  const restored = new KeyMap<true>()
  const restoreSource = source.restore
  const withLease = lease && source.sequence !== "remembered" ? makeWithLease(lease.leases, lease.expiry) : undefined

  const asks = onMissing !== undefined
    ? "nothing"
    : source.sequence === "remembered" || source.restore !== undefined
    ? "cache"
    : "provider"

  const sequenceOf = (key: Key): Sequence => {
    let sequence = sequences.get(key)
    if (sequence === undefined) {
      sequences.set(key, sequence = { key, flights: new Map(), unstored: [], present: undefined, owed: 0 })
    }
    return sequence
  }

  // The sequence that was bought for last is kept, so that its positions are listed once. The others are let go.
  let last: Sequence | undefined
  const retire = (sequence: Sequence): void => {
    if (!isIdle(sequence)) return
    if (last !== undefined && last !== sequence && isIdle(last)) {
      if (last.owed === 0) sequences.delete(last.key)
      else last.present = undefined
    }
    last = sequence
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
    Effect.flatMap(store.positions(key), (positions) => readAll(store, key, positions, Effect.fail))

  const get = (key: Key, position: number): Effect.Effect<Drawn | undefined, SampleError> => {
    if (restoreSource === undefined) return store.get(key, position)
    // Another process may have recorded it since the key was made ready.
    return Effect.tap(
      Effect.flatMap(ready(key), () => store.get(key, position)),
      (drawn) => drawn === undefined ? Effect.void : restoreSource(key, [{ position, drawn }])
    )
  }

  const recordedFrom = (key: Key, position: number, most: number) =>
    restoreSource === undefined
      ? store.getMany(key, position, most)
      : Effect.tap(
        Effect.flatMap(ready(key), () => store.getMany(key, position, most)),
        (found) => restoreSource(key, found.map((drawn, i) => ({ position: position + i, drawn })))
      )

  const draw: Model["draw"] = (key, position, batch) =>
    Effect.withFiber((fiber) => {
      const flight = sequences.get(key)?.flights.get(position)
      if (flight !== undefined) return join(key, position, batch, flight)
      return Effect.flatMap(get(key, position), (drawn) => {
        if (drawn === undefined) return missing(key, position, batch)
        return name !== undefined && isObserved(fiber) ? hit(key, position, drawn, false) : Effect.succeed(one(drawn))
      })
    })

  const hit = (key: Key, position: number, sample: Drawn, waited: boolean): ReturnType<Model["draw"]> =>
    Effect.as(
      name !== undefined
        ? publishIfObserved(() => ({ _tag: "Hit", key, position, store: name, sample, waited }))
        : Effect.void,
      one(sample)
    )

  const miss = (key: Key, position: number): Effect.Effect<void> =>
    name !== undefined ? publishIfObserved(() => ({ _tag: "Miss", key, position, store: name, asks })) : Effect.void

  const stored = (key: Key, landed: ReadonlyMap<number, Drawn>): Effect.Effect<void> =>
    name !== undefined
      ? Effect.forEach(
        landed,
        ([position, sample]) => publishIfObserved(() => ({ _tag: "Stored", key, position, store: name, sample })),
        { discard: true }
      )
      : Effect.void

  const join = (
    key: Key,
    position: number,
    batch: number,
    flight: Flight,
    isPilot = false
  ): ReturnType<Model["draw"]> =>
    Effect.flatMap(awaited(flight), (landed) => {
      const drawn = landed.get(position)
      // A purchase may bring less than was asked for.
      if (drawn === undefined) return draw(key, position, batch)
      return isPilot && flight.hasAsked
        ? Effect.succeed(one(drawn))
        : hit(key, position, drawn, !isPilot || flight.hasWaited)
    })

  const awaited = (flight: Flight) =>
    Effect.suspend(() => {
      flight.waiters++
      return Effect.onInterrupt(Deferred.await(flight.landed), () => Effect.sync(() => void flight.waiters--))
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
        const flight: Flight = {
          landed: Deferred.makeUnsafe(),
          positions: [position],
          hasAsked: false,
          hasWaited: false,
          waiters: 0
        }
        sequence.flights.set(position, flight)
        return Effect.flatMap(
          Effect.forkIn(fly(key, sequence, flight, batch), scope, { startImmediately: true, uninterruptible: true }),
          () => restore(join(key, position, batch, flight, true))
        )
      })
    )

  const missing: Model["draw"] = onMissing === undefined
    ? takeOff
    : (key, position) => Effect.andThen(miss(key, position), onMissing(key, position))

  // Runs in the scope of the memory, so that no waiter's interruption ends it, and is interruptible only while it waits
  // for the source.
  const fly = (key: Key, sequence: Sequence, flight: Flight, batch: number): Effect.Effect<void> =>
    Effect.flatMap(Effect.exit(fill(key, sequence, flight, batch)), (exit) =>
      Effect.sync(() => {
        for (const position of flight.positions) sequence.flights.delete(position)
        retire(sequence)
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
    const settled = yield* settle(key, sequence)
    if (settled.has(position)) return settled
    for (let wait: number | undefined;;) {
      // It may have been stored between the look and the take-off, or while someone else had the lease.
      const stored = yield* Effect.interruptible(get(key, position))
      if (stored !== undefined) return new Map([[position, stored]])
      const wanted = source.requestSize(batch) > 1
        ? yield* Effect.interruptible(reserve(key, sequence, flight, batch))
        : batch
      const buying = buy(key, sequence, flight, wanted)
      if (withLease === undefined) return yield* buying
      const landed = yield* withLease(
        key,
        asNonEmpty(flight.positions),
        Effect.flatMap(
          Effect.interruptible(get(key, position)),
          (stored) => stored === undefined ? buying : Effect.succeed(new Map([[position, stored]]))
        )
      )
      if (landed !== undefined) return landed
      for (const reserved of flight.positions.splice(1)) sequence.flights.delete(reserved)
      sequence.present = undefined
      flight.hasWaited = true
      yield* Effect.interruptible(Effect.sleep(wait = longer(wait)))
      // No one wants it any more. Who joins now looks again.
      if (flight.waiters === 0) return nothing
    }
  })

  const buy = Effect.fnUntraced(function*(
    key: Key,
    sequence: Sequence,
    flight: Flight,
    wanted: number
  ): Effect.fn.Return<ReadonlyMap<number, Drawn>, SampleError> {
    const position = flight.positions[0]!
    flight.hasAsked = true
    yield* miss(key, position)
    const drawn = yield* buySome === undefined
      ? Effect.interruptible(source.draw(key, position, wanted))
      : buySome(key, position, wanted, Effect.interruptible)
    sequence.owed = drawn.length < flight.positions.length ? flight.positions.at(-1)! + 1 : 0
    const landed = yield* land(key, sequence, entriesOf(key, sequence, flight, drawn))
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
    const listed = sequence.present ?? new Positions(yield* store.positions(key))
    for (const position of before) if (!sequence.flights.has(position)) listed.add(position)
    const present = sequence.present ??= listed
    // The rest of a purchase that brought less than it was to, or a new one.
    const owed = sequence.owed - flight.positions[0]!
    batch = owed > 0 ? Math.min(owed, batch) : batch
    const isTaken = (position: number) => present.has(position) || sequence.flights.has(position)
    const start = Math.max(flight.positions[0]! + 1, floor(key))
    const end = start + batch - 1
    let missing = batch - present.count(start, end)
    for (const position of sequence.flights.keys()) {
      if (position >= start && position < end && !present.has(position)) missing--
    }
    const reserved = Math.min(source.requestSize(missing), mostReserved)
    for (let position = start; flight.positions.length < reserved; position++) {
      if (isTaken(position)) continue
      sequence.flights.set(position, flight)
      flight.positions.push(position)
    }
    return missing
  })

  // Where what was drawn is to be stored: the first at the position that was asked for.
  const entriesOf = (
    key: Key,
    sequence: Sequence,
    flight: Flight,
    drawn: ReadonlyArray<Drawn>
  ): ReadonlyArray<Entry> => {
    // more than was asked for: on behind it
    const end = Math.max(flight.positions.at(-1)! + 1, floor(key))
    for (let position = end; flight.positions.length < drawn.length; position++) {
      if (sequence.flights.has(position)) continue
      sequence.flights.set(position, flight)
      flight.positions.push(position)
    }
    const purchase = crypto.randomUUID()
    return drawn.map((drawn, i) => ({ drawn, position: flight.positions[i]!, id: `${purchase} ${i}` }))
  }

  // Stores what was drawn, and says where it is. What cannot be stored is kept for later, but for what a source that
  // remembers keeps itself.
  const land = (
    key: Key,
    sequence: Sequence,
    entries: ReadonlyArray<Entry>
  ): Effect.Effect<Map<number, Drawn>, StoreError> =>
    Effect.onError(
      Effect.flatMap(put(key, asNonEmpty(entries)), (positions) => {
        const landed = new Map<number, Drawn>()
        for (const [i, position] of positions.entries()) {
          if (position === undefined) continue
          landed.set(position, entries[i]!.drawn)
          sequence.present?.add(position)
        }
        return Effect.as(stored(key, landed), landed)
      }),
      () =>
        Effect.sync(() => {
          if (source.sequence !== "remembered") sequence.unstored = [...sequence.unstored, ...entries]
        })
    )

  const settle = (key: Key, sequence: Sequence): Effect.Effect<ReadonlyMap<number, Drawn>, StoreError> =>
    Effect.suspend(() => {
      const entries = sequence.unstored
      sequence.unstored = []
      return entries.length === 0 ? Effect.succeed(nothing) : land(key, sequence, entries)
    })

  const put = (key: Key, entries: Arr.NonEmptyReadonlyArray<Entry>) => {
    if (source.sequence !== "shared") return store.put(key, entries, source.sequence === "new" ? "append" : "drop")
    return Effect.flatMap(
      store.put(key, entries, "drop"),
      (positions) =>
        Effect.forEach(positions, (position, i) =>
          position !== undefined ? Effect.succeed(position) : Effect.flatMap(
            isUnrecorded(key, entries[i]!.drawn),
            (isLost) => isLost ? Effect.map(store.put(key, [entries[i]!], "append"), ([at]) => at) : Effect.undefined
          ))
    )
  }

  // Whether a sample that lost its position to another writer is one that the store does not have yet.
  const isUnrecorded = (key: Key, sample: Drawn): Effect.Effect<boolean, StoreError> => {
    const name = sampleName(sample)
    if (name === undefined && sample.origins.length === 0) return Effect.succeed(true)
    const origins = sample.origins.join()
    return Effect.map(
      recorded(key),
      (entries) =>
        entries.every(({ drawn }) => name === undefined ? drawn.origins.join() !== origins : sampleName(drawn) !== name)
    )
  }

  return {
    draw,
    recorded: recordedFrom,
    // A source that is told what is recorded here is told of more than texts.
    texts: restoreSource === undefined ? textsOfStore(store) : undefined,
    recall: ready,
    settle: Effect.suspend(() =>
      Effect.forEach(
        Array.from(sequences.values()).filter(({ unstored }) => unstored.length > 0),
        (sequence) => Effect.andThen(store.prepare(sequence.key), settle(sequence.key, sequence)),
        { discard: true }
      )
    ),
    isAtRest: (key, position) => {
      const sequence = sequences.get(key)
      return sequence === undefined || (isIdle(sequence) && sequence.owed <= position)
    },
    restore: restoreSource === undefined && !refill ? undefined : (key, entries) =>
      Effect.gen(function*() {
        yield* ready(key)
        if (refill && entries.length > 0) {
          yield* store.put(key, asNonEmpty(entries), "drop")
          const present = sequences.get(key)?.present
          for (const { position } of entries) present?.add(position)
        }
        if (restoreSource !== undefined) yield* restoreSource(key, entries)
      })
  }
}

const nothing: ReadonlyMap<number, Drawn> = new Map()

const closed = () => new Error("This model was used after the scope of its layer was closed")

const isIdle = ({ flights, unstored }: Sequence): boolean => flights.size === 0 && unstored.length === 0

const asNonEmpty = <A>(items: ReadonlyArray<A>) => items as Arr.NonEmptyReadonlyArray<A>

const one = (drawn: Drawn): Arr.NonEmptyReadonlyArray<Drawn> => [drawn]
