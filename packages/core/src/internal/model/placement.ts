import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Semaphore from "effect/Semaphore"
import type { Key } from "../../Key.ts"
import type { Model, Samples } from "../../Model.ts"
import type { Drawn, Entry } from "../../Sample.ts"
import type { StoreError } from "../../SampleError.ts"
import type { Store } from "../../SampleStore.ts"
import type { Pending } from "../rescue/rescueLines.ts"
import { sampleName } from "../store/sampleName.ts"
import { despiteFailure } from "./despiteFailure.ts"
import { KeyMap } from "./keyMap.ts"
import { Positions } from "./positions.ts"
import { missingBehind, reservable } from "./reserve.ts"
import { responsePart } from "./responseIds.ts"
import { recordedEntries } from "./resume.ts"
import type { InFlight, Landed, SingleFlight } from "./singleFlight.ts"

/** The state of a key's positions. */
interface Sequence {
  readonly key: Key
  /** Samples that the store failed to take. The next request stores them before it asks for more. */
  unstored: ReadonlyArray<Entry>
  /** The positions that the store has, as far as they were listed and filled here. */
  present: Positions | undefined
  /** The ids and texts of recorded samples, once a request brought a sample with an id. */
  responseParts: Set<string | undefined> | undefined
}

/** Decides which position a sample gets in a store, and puts it there. */
export class Placement {
  readonly #source: Pick<Model, "sequence" | "requestSize">
  readonly #store: Store
  readonly #requests: SingleFlight<InFlight>
  readonly #onStored: (key: Key, landed: Landed) => Effect.Effect<void>
  readonly #sequences = new KeyMap<Sequence>()
  /** Whether the last put failed. Then one pending sample has to be stored before any other is requested. */
  #isFailing = false
  readonly #retry = Semaphore.makeUnsafe(1)
  /** The ids of pending samples of earlier runs. */
  readonly #adopted = new Set<string | undefined>()
  /** The sequence that was requested last. It keeps its list of positions; the others are dropped. */
  #last: Sequence | undefined

  constructor(
    source: Pick<Model, "sequence" | "requestSize">,
    store: Store,
    requests: SingleFlight<InFlight>,
    onStored: (key: Key, landed: Landed) => Effect.Effect<void>
  ) {
    this.#source = source
    this.#store = store
    this.#requests = requests
    this.#onStored = onStored
  }

  /** Reserves the positions that the next request is to fill, and returns how many samples to ask for. */
  reserve(request: InFlight, batch: number): Effect.Effect<number, StoreError> {
    if (this.#source.requestSize(batch) <= 1) return Effect.succeed(batch)
    const sequence = this.#sequenceOf(request.key)
    return Effect.map(this.#listed(sequence), (present) => {
      const [first] = request.positions
      const missing = missingBehind(first + 1, batch, (start, end) => {
        const inFlight = this.#requests.positions(request.key)
          .filter((position) => position >= start && position < end && !present.has(position))
        return present.count(start, end) + inFlight.length
      })
      const reserved = reservable(this.#source.requestSize(missing))
      this.#requests.reserve(request, first + 1, reserved - 1, (at) => present.has(at))
      return missing
    })
  }

  /** Has the positions of a key listed anew: another process may have filled some. */
  relist(key: Key): void {
    this.#sequenceOf(key).present = undefined
  }

  /** Notes that samples are in the store. */
  noteStored(key: Key, entries: ReadonlyArray<Entry>): void {
    const present = this.#sequences.get(key)?.present
    for (const { position } of entries) present?.add(position)
  }

  /** The id of a provider's response whose samples are all in the store already. */
  repeatedId(key: Key, samples: Samples): Effect.Effect<string | undefined> {
    const { responseId } = samples[0].metadata
    if (this.#source.sequence !== "new" || responseId === undefined) return Effect.undefined
    const sequence = this.#sequenceOf(key)
    const known = sequence.responseParts !== undefined ? Effect.succeed(sequence.responseParts) : Effect.map(
      // The samples are paid for: an unreadable sample beside them must not fail them.
      despiteFailure(() => recordedEntries(this.#store, key, () => Effect.void), []),
      (entries) => sequence.responseParts = new Set(entries.map(({ drawn }) => responsePart(drawn)))
    )
    return Effect.map(
      known,
      (recorded) => samples.every((sample) => recorded.has(responsePart(sample))) ? responseId : undefined
    )
  }

  /** Stores the samples of a request: the first at the position that was asked for, surplus behind the reserved ones. */
  store(request: InFlight, samples: Samples): Effect.Effect<Map<number, Drawn>, StoreError> {
    return Effect.suspend(() => {
      const { key, positions } = request
      const sequence = this.#sequenceOf(key)
      this.#requests.reserve(request, positions.at(-1)! + 1, samples.length - positions.length, () => false)
      // Names the writes, so that each is done once although it may be put twice.
      const write = crypto.randomUUID()
      return this.#land(
        sequence,
        samples.map((drawn, i) => ({ drawn, position: positions[i]!, id: `${write} ${i}` }))
      )
    })
  }

  /** Stores the samples of a key that the store failed to take. */
  storePending(key: Key): Effect.Effect<Landed, StoreError> {
    return Effect.suspend(() => {
      const sequence = this.#sequenceOf(key)
      return sequence.unstored.length === 0
        ? Effect.succeed(new Map())
        : this.#retry.withPermit(this.#storeNow(sequence))
    })
  }

  /**
   * Fails as long as the store takes no samples, so that no request is paid for in vain: after a failed put, a pending
   * sample of any key has to be stored. Waits while pending samples are being stored.
   */
  readonly ensureStorable: Effect.Effect<void, StoreError> = Effect.suspend(() =>
    this.#isFailing
      ? this.#retry.withPermit(Effect.suspend(() => {
        const pending = this.#isFailing ? this.#pending()[0] : undefined
        return pending === undefined ? Effect.void : this.#prepareAndStore(pending)
      }))
      : Effect.void
  )

  /** Stores all samples that the store failed to take, of each key also if those of another key fail. */
  readonly storeAllPending: Effect.Effect<void, StoreError> = Effect.suspend(() =>
    Effect.flatMap(
      Effect.forEach(this.#pending(), (sequence) => Effect.exit(this.#prepareAndStore(sequence))),
      (exits) => exits.find(Exit.isFailure) ?? Effect.void
    )
  )

  /** The samples that the store failed to take. */
  get pending(): ReadonlyArray<Pending> {
    return this.#pending().map(({ key, unstored }) => ({ key, entries: unstored }))
  }

  /** The samples of a key that the store failed to take. */
  pendingOf(key: Key): ReadonlyArray<Entry> {
    return this.#sequences.get(key)?.unstored ?? []
  }

  /** Takes over samples that the store failed to take in an earlier run. */
  adopt(pending: ReadonlyArray<Pending>): void {
    for (const { entries, key } of pending) {
      const sequence = this.#sequenceOf(key)
      // Two runs may have failed to store one sample.
      const known = new Set(sequence.unstored.map(({ id }) => id))
      sequence.unstored = [...sequence.unstored, ...entries.filter(({ id }) => !known.has(id))]
      for (const { id } of entries) this.#adopted.add(id)
    }
  }

  /** Drops the state of the sequence that was requested before this one, if nothing of it is in progress. */
  retire(key: Key): void {
    const sequence = this.#sequences.get(key)
    if (sequence === undefined || !this.#isIdle(sequence)) return
    const last = this.#last
    if (last !== undefined && last !== sequence && this.#isIdle(last)) this.#sequences.delete(last.key)
    this.#last = sequence
  }

  #prepareAndStore(sequence: Sequence): Effect.Effect<void, StoreError> {
    return Effect.asVoid(Effect.andThen(this.#store.prepare(sequence.key), this.#storeNow(sequence)))
  }

  #storeNow(sequence: Sequence): Effect.Effect<Landed, StoreError> {
    return Effect.suspend(() => {
      const entries = sequence.unstored
      sequence.unstored = []
      return entries.length === 0 ? Effect.succeed(new Map()) : this.#land(sequence, entries)
    })
  }

  #pending(): ReadonlyArray<Sequence> {
    return Array.from(this.#sequences.values()).filter(({ unstored }) => unstored.length > 0)
  }

  #isIdle({ key, unstored }: Sequence): boolean {
    return unstored.length === 0 && this.#requests.isIdle(key)
  }

  #sequenceOf(key: Key): Sequence {
    let sequence = this.#sequences.get(key)
    if (sequence === undefined) {
      this.#sequences.set(
        key,
        sequence = { key, unstored: [], present: undefined, responseParts: undefined }
      )
    }
    return sequence
  }

  #listed(sequence: Sequence): Effect.Effect<Positions, StoreError> {
    if (sequence.present !== undefined) return Effect.succeed(sequence.present)
    // A request that lands while the store lists its positions may be in neither list.
    const before = this.#requests.positions(sequence.key)
    return Effect.map(this.#store.positions(sequence.key), (listed) => {
      const present = sequence.present ??= new Positions(listed)
      for (const position of before) {
        if (this.#requests.get(sequence.key, position) === undefined) present.add(position)
      }
      return present
    })
  }

  // A source that remembers keeps its samples itself; those of another source are kept until the store takes them.
  #land(sequence: Sequence, entries: ReadonlyArray<Entry>): Effect.Effect<Map<number, Drawn>, StoreError> {
    return Effect.onError(
      // A store may throw where it should fail: the samples are kept then too.
      Effect.flatMap(
        Effect.suspend(() => this.#put(sequence.key, entries as Arr.NonEmptyReadonlyArray<Entry>)),
        (positions) => {
          this.#isFailing = false
          const landed = new Map<number, Drawn>()
          for (const [i, position] of positions.entries()) {
            if (position === undefined) continue
            landed.set(position, entries[i]!.drawn)
            sequence.present?.add(position)
            sequence.responseParts?.add(responsePart(entries[i]!.drawn))
          }
          return Effect.as(this.#onStored(sequence.key, landed), landed)
        }
      ),
      () =>
        Effect.sync(() => {
          if (this.#source.sequence === "remembered") return
          sequence.unstored = [...sequence.unstored, ...entries]
          this.#isFailing = true
        })
    )
  }

  #put(
    key: Key,
    entries: Arr.NonEmptyReadonlyArray<Entry>
  ): Effect.Effect<ReadonlyArray<number | undefined>, StoreError> {
    return entries.some(({ id }) => this.#adopted.has(id))
      ? this.#putAdopted(key, entries)
      : this.#putNew(key, entries)
  }

  // Someone may have merged the samples of an earlier run already: that changed their ids, and maybe their positions.
  #putAdopted(
    key: Key,
    entries: Arr.NonEmptyReadonlyArray<Entry>
  ): Effect.Effect<ReadonlyArray<number | undefined>, StoreError> {
    return Effect.flatMap(recordedEntries(this.#store, key, () => Effect.void), (recorded) => {
      const found = entries.map((entry) => recorded.find((other) => isSame(other, entry))?.position)
      const missing = entries.filter((_, i) => found[i] === undefined)
      if (!Arr.isReadonlyArrayNonEmpty(missing)) return Effect.succeed(found)
      return Effect.map(this.#putNew(key, missing), (positions) => {
        const put = positions.values()
        return found.map((position) => position ?? put.next().value)
      })
    })
  }

  #putNew(
    key: Key,
    entries: Arr.NonEmptyReadonlyArray<Entry>
  ): Effect.Effect<ReadonlyArray<number | undefined>, StoreError> {
    const { sequence } = this.#source
    if (sequence !== "shared") return this.#store.put(key, entries, sequence === "new" ? "append" : "drop")
    return Effect.flatMap(
      this.#store.put(key, entries, "drop"),
      (positions) =>
        Effect.forEach(positions, (position, i) =>
          position !== undefined ? Effect.succeed(position) : Effect.flatMap(
            this.#isRecorded(key, entries[i]!.drawn),
            (isRecorded) =>
              isRecorded
                ? Effect.undefined
                : Effect.map(this.#store.put(key, [entries[i]!], "append"), ([position]) => position)
          ))
    )
  }

  /** Whether the store has a sample of a shared reader, at any position. */
  #isRecorded(key: Key, sample: Drawn): Effect.Effect<boolean, StoreError> {
    const name = sampleName(sample)
    const origins = sample.origins.join()
    if (name === undefined && origins === "") return Effect.succeed(false)
    return Effect.map(
      recordedEntries(this.#store, key),
      (entries) =>
        entries.some(({ drawn }) =>
          name === undefined
            ? drawn.origins.join() === origins
            : sampleName(drawn) === name && drawn.text === sample.text
        )
    )
  }
}

/** Whether a recorded sample is the one of an entry. Samples without a name keep their position. */
const isSame = (recorded: Entry, { drawn, position }: Entry): boolean =>
  recorded.drawn.text === drawn.text && sampleName(recorded.drawn) === sampleName(drawn) &&
  (sampleName(drawn) !== undefined ||
    (recorded.position === position && recorded.drawn.origins.join() === drawn.origins.join()))
