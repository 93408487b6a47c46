/** Hands out the positions of one sequence, each once, the lowest first. */
export class Reader {
  #next = 0
  /** Positions from `#next` on that are taken already. */
  readonly #claimed = new Set<number>()
  /** Positions before `#next` that were given back, the lowest last. */
  readonly #released: Array<number> = []

  /** The lowest position that was never handed out. */
  get next(): number {
    return this.#next
  }

  take(): number {
    const released = this.#released.pop()
    if (released !== undefined) return released
    while (this.#claimed.delete(this.#next)) this.#next++
    return this.#next++
  }

  /** Gives back a position that was taken and whose sample no one got. */
  release(position: number): void {
    let i = this.#released.length
    while (i > 0 && this.#released[i - 1]! < position) i--
    this.#released.splice(i, 0, position)
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
