import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Key } from "../../Key.ts"
import type { Model, Samples } from "../../Model.ts"
import type { Drawn } from "../../Sample.ts"
import { type SampleError, StoreError } from "../../SampleError.ts"
import type { Leases, Store } from "../../SampleStore.ts"
import { isObserved, publishIfObserved } from "../events/observe.ts"
import type { Pending } from "../rescue/rescueLines.ts"
import { drawKept } from "./drawKept.ts"
import { longer, makeWithLease } from "./lease.ts"
import { makeModelChangeWarning } from "./modelChange.ts"
import { Placement } from "./placement.ts"
import { repeatedResponse } from "./responseIds.ts"
import { makeResume } from "./resume.ts"
import { type InFlight, type Landed, SingleFlight } from "./singleFlight.ts"

/** The part that Repeatable and Persistent have in common: one remembered sequence per key, in a store. */
export interface Cache {
  readonly draw: Model["draw"]
  readonly restore: Model["restore"]
  /** Tells the source the recorded samples of a key, if it was not told yet. */
  readonly resume: (key: Key) => Effect.Effect<void, SampleError>
  /** Stores the samples that the store failed to take. */
  readonly storePending: Effect.Effect<void, StoreError>
  /** The samples that the store failed to take. */
  readonly pending: () => ReadonlyArray<Pending>
  /** Takes over samples that the store failed to take in an earlier run, before the first draw. */
  readonly adopt: (pending: ReadonlyArray<Pending>) => void
  /** Waits until the requests in flight end. */
  readonly settled: Effect.Effect<void>
  /** How many requests are in flight. */
  readonly inFlight: () => number
}

interface Options {
  readonly source: Pick<Model, "sequence" | "requestSize" | "draw" | "restore">
  readonly store: Store
  /** The name of the cache in events. */
  readonly name: string
  /** No request starts after it closes. */
  readonly scope: Scope.Scope
  /**
   * Ends the requests in flight when it closes.
   *
   * @default `scope`
   */
  readonly requestScope?: Scope.Scope | undefined
  /** Whether samples that were recorded above this cache go back into it. */
  readonly refill: boolean
  /** In replication: the error of a missing position. */
  readonly failMissing?: ((key: Key, position: number) => Effect.Effect<never, SampleError>) | undefined
  /** Called before the source is asked. */
  readonly onAsk?: (() => void) | undefined
  /** Leases on positions before they are requested, and how long they last, in milliseconds. */
  readonly lease?: { readonly leases: Leases; readonly expiry: number } | undefined
}

interface Request extends InFlight {
  /** Whether the source was asked. */
  hasAsked: boolean
  /** Whether it waited for another process that had the lease. */
  hasWaited: boolean
  /** The shared reader whose draw started it. */
  reader: object | undefined
}

/**
 * Reads a position from the store, and asks the source if the store has no sample there, by one request at a time per
 * position. All samples of a request are in the store before the first is handed out.
 */
export const makeCache = (
  { lease, name, failMissing, onAsk, refill, requestScope, scope, source, store }: Options
): Cache => {
  const requests: SingleFlight<Request> = new SingleFlight(
    scope,
    (request) => ({ ...request, hasAsked: false, hasWaited: false, reader: undefined }),
    (key) => placement.retire(key),
    requestScope
  )
  const tellStored = (key: Key, landed: Landed): Effect.Effect<void> =>
    Effect.forEach(
      landed,
      ([position, sample]) =>
        publishIfObserved(() => ({ _tag: "Stored", key, position, store: name, cache: store, sample })),
      { discard: true }
    )
  const warnOfModelChange = makeModelChangeWarning(store)
  const placement = new Placement(source, store, requests, tellStored)
  const { restore: restoreSource } = source
  const resume = restoreSource === undefined ? () => Effect.void : makeResume(
    store,
    restoreSource,
    (key) => placement.pendingOf(key)
  )
  const withLease = lease && source.sequence !== "remembered" ? makeWithLease(lease.leases, lease.expiry) : undefined
  // For the events of misses.
  const missAsks = failMissing !== undefined
    ? "nothing"
    : source.sequence === "remembered" || restoreSource !== undefined
    ? "cache"
    : "provider"

  const read = (key: Key, position: number): Effect.Effect<Drawn | undefined, SampleError> => {
    if (restoreSource === undefined) return store.get(key, position)
    // Another process may have recorded it since the source was told.
    return Effect.tap(
      Effect.flatMap(resume(key), () => store.get(key, position)),
      (drawn) => drawn === undefined ? Effect.void : restoreSource(key, [{ position, drawn }])
    )
  }

  const readMany = (key: Key, position: number, most: number): Effect.Effect<ReadonlyArray<Drawn>, SampleError> =>
    restoreSource === undefined
      ? store.getMany(key, position, most)
      : Effect.tap(
        Effect.flatMap(resume(key), () => store.getMany(key, position, most)),
        (found) => restoreSource(key, found.map((drawn, i) => ({ position: position + i, drawn })))
      )

  const draw: Model["draw"] = (key, position, batch, options) =>
    Effect.withFiber((fiber) => {
      const request = requests.get(key, position)
      const reader = options?.reader
      if (request !== undefined) return join(key, position, batch, request, false, reader)
      const isSeen = isObserved(fiber)
      const most = isSeen ? 1 : options?.most ?? 1
      if (most > 1) {
        return Effect.flatMap(
          readMany(key, position, most),
          (found) =>
            Arr.isReadonlyArrayNonEmpty(found) ? Effect.succeed(found) : whenMissing(key, position, batch, options)
        )
      }
      return Effect.flatMap(read(key, position), (sample) => {
        if (sample === undefined) return whenMissing(key, position, batch, options)
        return isSeen ? hit(key, position, sample, false, reader) : Effect.succeed([sample])
      })
    })

  const hit = (
    key: Key,
    position: number,
    sample: Drawn,
    waited: boolean,
    reader: object | undefined
  ): Effect.Effect<Samples> =>
    Effect.as(
      publishIfObserved(() => ({ _tag: "Hit", key, position, store: name, cache: store, reader, sample, waited })),
      [sample]
    )

  const tellMiss = (key: Key, position: number, reader: object | undefined): Effect.Effect<void> =>
    publishIfObserved(() => ({ _tag: "Miss", key, position, store: name, cache: store, reader, asks: missAsks }))

  const whenMissing: Model["draw"] = failMissing !== undefined
    ? (key, position, _, options) =>
      Effect.andThen(tellMiss(key, position, options?.reader), failMissing(key, position))
    : (key, position, batch, options) =>
      requests.start(
        key,
        position,
        (request) => {
          request.reader = options?.reader
          return fill(request, batch)
        },
        (request, isStarter) => join(key, position, batch, request, isStarter, options?.reader)
      )

  const join = (
    key: Key,
    position: number,
    batch: number,
    request: Request,
    isStarter: boolean,
    reader: object | undefined
  ): Effect.Effect<Samples, SampleError> =>
    Effect.flatMap(requests.join(request), (landed) => {
      const sample = landed.get(position)
      // A request may bring fewer samples than were asked for.
      if (sample === undefined) return draw(key, position, batch, reader && { of: draw, reader })
      return isStarter && request.hasAsked
        ? Effect.succeed([sample])
        : hit(key, position, sample, !isStarter || request.hasWaited, reader)
    })

  const fill = Effect.fnUntraced(function*(request: Request, batch: number): Effect.fn.Return<Landed, SampleError> {
    const { key, positions } = request
    const [position] = positions
    yield* Effect.interruptible(store.prepare(key))
    const pending = yield* placement.storePending(key)
    if (pending.has(position)) return pending
    yield* placement.ensureStorable
    const stored = Effect.map(
      Effect.interruptible(read(key, position)),
      (sample): Landed | undefined => sample && new Map([[position, sample]])
    )
    for (let wait: number | undefined;;) {
      // Since the draw looked, another request, or the process that had the lease, may have stored it.
      const found = yield* stored
      if (found !== undefined) return found
      const wanted = yield* Effect.interruptible(placement.reserve(request, batch))
      const asked = askSource(request, wanted)
      if (withLease === undefined) return yield* asked
      const landed = yield* withLease(
        key,
        positions,
        Effect.flatMap(stored, (found) => found === undefined ? asked : Effect.succeed(found))
      )
      if (landed !== undefined) return landed
      requests.releaseReserved(request)
      placement.relist(key)
      request.hasWaited = true
      yield* Effect.interruptible(Effect.sleep(wait = longer(wait)))
      // No draw waits any more. A draw that joins now looks again.
      if (request.waiters === 0) return new Map()
    }
  })

  const askSource = Effect.fnUntraced(
    function*(request: Request, wanted: number): Effect.fn.Return<Landed, SampleError> {
      const { key, positions } = request
      const [position] = positions
      // The request had yet to be sent when the layer closed.
      if (requests.isClosed) return yield* Effect.interrupt
      request.hasAsked = true
      onAsk?.()
      yield* tellMiss(key, position, request.reader)
      const samples = yield* Effect.onError(
        drawKept(source, key, position, wanted),
        () => Effect.ignoreCause(Effect.suspend(() => store.discard?.(key) ?? Effect.void))
      )
      const repeated = yield* placement.repeatedId(key, samples)
      if (repeated !== undefined) return yield* repeatedResponse(key, repeated)
      if (source.sequence === "new") yield* warnOfModelChange(key, samples)
      const landed = yield* placement.store(request, samples)
      if (!landed.has(position)) landed.set(position, yield* Effect.interruptible(storedByOther(key, position)))
      return landed
    }
  )

  // Another writer was first, or the store has yet to finish the write.
  const storedByOther = Effect.fnUntraced(function*(key: Key, position: number): Effect.fn.Return<Drawn, SampleError> {
    let drawn = yield* read(key, position)
    if (drawn === undefined) {
      yield* store.prepare(key)
      drawn = yield* read(key, position)
    }
    return drawn ?? (yield* new StoreError({
      kind: "Unavailable",
      store: store.describe(key),
      operation: "put",
      key,
      position,
      description: "the store accepted a sample for this position and does not have it: draw it again"
    }))
  })

  return {
    draw,
    resume,
    storePending: placement.storeAllPending,
    pending: () => placement.pending,
    adopt: (pending) => placement.adopt(pending),
    settled: requests.settled,
    inFlight: () => requests.count,
    restore: restoreSource === undefined && !refill ? undefined : (key, entries) =>
      Effect.gen(function*() {
        yield* resume(key)
        if (refill && Arr.isReadonlyArrayNonEmpty(entries)) {
          yield* store.put(key, entries, "drop")
          placement.noteStored(key, entries)
        }
        if (restoreSource !== undefined) yield* restoreSource(key, entries)
      })
  }
}
