import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Key } from "../../Key.ts"
import type { Samples } from "../../Model.ts"
import type { SampleError } from "../../SampleError.ts"
import { KeyMap } from "./keyMap.ts"

/** Hands out the positions of one sequence, each once, the lowest first. */
export class Reader {
  #next: number
  /** Positions from `#next` on that are taken. */
  #claimed: Set<number> | undefined
  /** Positions before `#next` that were given back, the lowest last. */
  readonly #released: Array<number> = []
  /** How many draws are in progress. */
  #drawing = 0

  constructor(start: number) {
    this.#next = start
  }

  /** The lowest position that was never handed out. */
  get next(): number {
    return this.#next
  }

  /** Whether no draw is in progress and no position was given back. */
  get isIdle(): boolean {
    return this.#drawing === 0 && this.#released.length === 0
  }

  /** The position that the next draw takes. */
  peek(): number {
    this.#skipClaimed()
    return this.#released.length === 0 ? this.#next : this.#released.at(-1)!
  }

  /** Takes the position that `peek` returned, for a sample that is handed out in the same step. */
  takePeeked(): void {
    if (this.#released.pop() === undefined) this.#next++
  }

  /** Takes a position for a draw, which ends by `end` or `release`. */
  take(): number {
    this.#drawing++
    const released = this.#released.pop()
    if (released !== undefined) return released
    this.#skipClaimed()
    return this.#next++
  }

  #skipClaimed(): void {
    if (this.#claimed !== undefined) { while (this.#claimed.delete(this.#next)) this.#next++ }
  }

  /** Ends a draw that handed out its sample. */
  end(): void {
    this.#drawing--
  }

  /** Ends a draw that failed, or was interrupted. */
  release(position: number): void {
    this.#drawing--
    this.giveBack(position)
  }

  /** Gives back a position that was taken, because its sample was not handed out. */
  giveBack(position: number): void {
    let i = this.#released.length
    while (i > 0 && this.#released[i - 1]! < position) i--
    this.#released.splice(i, 0, position)
    // A reader that got back all its positions is as it was at first.
    while (this.#released[0] === this.#next - 1) {
      this.#released.shift()
      this.#next--
    }
  }

  /** Marks a position as taken in an earlier run. */
  claim(position: number): void {
    if (position >= this.#next) {
      this.#claimed = (this.#claimed ?? new Set()).add(position)
      return
    }
    const i = this.#released.indexOf(position)
    if (i >= 0) this.#released.splice(i, 1)
  }
}

/** One reader per key. */
export class Readers {
  readonly #readers = new KeyMap<Reader>()
  /** The start of new readers: behind all dropped ones. */
  #start = 0

  of(key: Key): Reader {
    let reader = this.#readers.get(key)
    if (reader === undefined) this.#readers.set(key, reader = new Reader(this.#start))
    return reader
  }

  /**
   * Draws at the next position. A draw that fails or is interrupted gives its position back; otherwise `take` takes its
   * samples in the same step. An idle reader is dropped if `dropBeneath` drops the state of its key beneath.
   */
  draw<A>(
    key: Key,
    onTaken: ((samples: Samples) => void) | undefined,
    drawAt: (position: number) => Effect.Effect<A, SampleError>,
    take: (position: number, drawn: A) => Samples,
    dropBeneath: () => boolean = () => false
  ): Effect.Effect<Samples, SampleError> {
    return Effect.uninterruptibleMask((interruptible) => {
      // Found and taken in one step: a reader that is idle can be dropped at any time.
      const reader = this.of(key)
      const position = reader.take()
      return Effect.flatMap(Effect.exit(interruptible(drawAt(position))), (drawn) => {
        const exit = Exit.map(drawn, (value) => take(position, value))
        if (Exit.isFailure(exit)) reader.release(position)
        else {
          reader.end()
          onTaken?.(exit.value)
        }
        if (reader.isIdle && this.#readers.get(key) === reader && dropBeneath()) {
          this.#start = Math.max(this.#start, reader.next)
          this.#readers.delete(key)
        }
        return exit
      })
    })
  }
}
