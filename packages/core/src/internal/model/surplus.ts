import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Key } from "../../Key.ts"
import type { Model } from "../../Model.ts"
import type { Drawn, Metadata } from "../../Sample.ts"
import type { SampleError } from "../../SampleError.ts"
import { drawKept } from "./drawKept.ts"
import { KeyMap } from "./keyMap.ts"
import { missingBehind, reservable } from "./reserve.ts"
import { type InFlight, type Landed, SingleFlight } from "./singleFlight.ts"

/** The samples of a key that were requested and that no draw has got yet, by position. */
type Queue = Map<number, Drawn>

/**
 * The surplus of a provider's requests, for one reader per key. Each sample has a position as long as it is in the
 * queue, so that draws made at once share the requests of a batch.
 */
export class Surplus {
  readonly #source: Pick<Model, "sequence" | "draw" | "requestSize">
  readonly #requests: SingleFlight<InFlight>
  readonly #queues = new KeyMap<Queue>()
  /** The samples that draws got, for a draw that gives one back. A model above may have changed its text meanwhile. */
  readonly #taken = new WeakMap<Metadata, { readonly position: number; readonly sample: Drawn }>()
  /** The first position that the reader of a key has never handed out. */
  readonly #next: (key: Key) => number

  constructor(
    source: Pick<Model, "sequence" | "draw" | "requestSize">,
    scope: Scope.Scope,
    next: (key: Key) => number
  ) {
    this.#source = source
    this.#next = next
    this.#requests = new SingleFlight(scope, (request) => request, () => {})
  }

  /** Makes sure that the queue has a sample at a position: by a request, or several if they bring too few. */
  fill(key: Key, position: number, batch: number): Effect.Effect<void, SampleError> {
    return Effect.suspend(() =>
      this.#queues.get(key)?.has(position)
        ? Effect.void
        : this.#requests.start(
          key,
          position,
          (request) => this.#request(request, batch),
          (request) => Effect.flatMap(this.#requests.join(request), () => this.fill(key, position, batch))
        )
    )
  }

  /** Takes the sample at a position out of the queue. */
  take(key: Key, position: number): Drawn {
    const queue = this.#queueOf(key)
    const sample = queue.get(position)!
    queue.delete(position)
    this.#taken.set(sample.metadata, { position, sample })
    return sample
  }

  /** Drops the queue of a key if it is empty and nothing is in flight. Says whether it did. */
  dropIfEmpty(key: Key): boolean {
    const isEmpty = this.#requests.isIdle(key) && (this.#queues.get(key)?.size ?? 0) === 0
    if (isEmpty) this.#queues.delete(key)
    return isEmpty
  }

  /** Puts a sample back that a draw got, and returns its position if it had one here. */
  putBack(key: Key, sample: Drawn): number | undefined {
    const taken = this.#taken.get(sample.metadata)
    this.#taken.delete(sample.metadata)
    const queue = this.#queueOf(key)
    // A sample with other metadata than it had here goes to the end.
    let at = taken?.position ?? this.#next(key)
    while (queue.has(at) || this.#requests.get(key, at) !== undefined) at++
    queue.set(at, taken?.sample ?? sample)
    return taken?.position
  }

  #queueOf(key: Key): Queue {
    let queue = this.#queues.get(key)
    if (queue === undefined) this.#queues.set(key, queue = new Map())
    return queue
  }

  #request(request: InFlight, batch: number): Effect.Effect<Landed, SampleError> {
    return Effect.suspend(() => {
      const { key, positions } = request
      const queue = this.#queueOf(key)
      const wanted = this.#reserve(request, queue, batch)
      return Effect.map(drawKept(this.#source, key, positions[0], wanted), (samples) => {
        const end = Math.max(positions.at(-1)! + 1, this.#next(key))
        this.#requests.reserve(request, end, samples.length - positions.length, (at) => queue.has(at))
        for (const [i, sample] of samples.entries()) queue.set(positions[i]!, sample)
        return new Map()
      })
    })
  }

  // Reserves the positions that a request is to fill, and returns how many samples to ask for.
  #reserve(request: InFlight, queue: Queue, batch: number): number {
    if (this.#source.requestSize(batch) <= 1) return batch
    const { key, positions } = request
    const [first] = positions
    const start = Math.max(first + 1, this.#next(key))
    const missing = missingBehind(start, batch, (start, end) => {
      const taken = new Set([...queue.keys(), ...this.#requests.positions(key)])
      return Array.from(taken).filter((position) => position >= start && position < end).length
    })
    const reserved = reservable(this.#source.requestSize(missing))
    this.#requests.reserve(request, start, reserved - 1, (at) => queue.has(at))
    return missing
  }
}
