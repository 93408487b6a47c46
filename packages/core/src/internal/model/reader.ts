/** Hands out the positions of one sequence, each once, the lowest first. */
export class Reader {
  #next: number
  /** Positions from `#next` on that are taken already. */
  readonly #claimed = new Set<number>()
  /** Positions before `#next` that were given back, the lowest last. */
  readonly #released: Array<number> = []
  /** How many draws are under way. */
  #drawing = 0

  constructor(start: number) {
    this.#next = start
  }

  /** The lowest position that was never handed out. */
  get next(): number {
    return this.#next
  }

  /** Whether all it knows is where it is: no draw is under way, and no position was given back. */
  get isIdle(): boolean {
    return this.#drawing === 0 && this.#released.length === 0
  }

  /** The position that the next draw takes. */
  peek(): number {
    while (this.#claimed.delete(this.#next)) this.#next++
    return this.#released.at(-1) ?? this.#next
  }

  /** Takes a position for a draw, which ends by `settle` or `release`. */
  take(): number {
    this.#drawing++
    const released = this.#released.pop()
    if (released !== undefined) return released
    while (this.#claimed.delete(this.#next)) this.#next++
    return this.#next++
  }

  /** Ends a draw whose sample was handed out. */
  settle(): void {
    this.#drawing--
  }

  /** Ends a draw that failed, or was interrupted. */
  release(position: number): void {
    this.#drawing--
    this.giveBack(position)
  }

  /** Gives back a position that was taken and whose sample no one got. */
  giveBack(position: number): void {
    let i = this.#released.length
    while (i > 0 && this.#released[i - 1]! < position) i--
    this.#released.splice(i, 0, position)
    // So that a reader which has got back all that it handed out is as it was.
    while (this.#released[0] === this.#next - 1) {
      this.#released.shift()
      this.#next--
    }
  }

  /** Marks a position as taken by someone in an earlier run. */
  claim(position: number): void {
    if (position >= this.#next) {
      this.#claimed.add(position)
      return
    }
    const i = this.#released.indexOf(position)
    if (i >= 0) this.#released.splice(i, 1)
  }
}
