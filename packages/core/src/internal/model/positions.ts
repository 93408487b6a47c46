/** Positions of a sequence. */
export class Positions {
  readonly #all: Set<number>
  /** Behind the last one. */
  #end: number

  constructor(ascending: ReadonlyArray<number>) {
    this.#all = new Set(ascending)
    this.#end = (ascending.at(-1) ?? -1) + 1
  }

  add(position: number): void {
    this.#all.add(position)
    this.#end = Math.max(this.#end, position + 1)
  }

  has(position: number): boolean {
    return this.#all.has(position)
  }

  /** How many there are from `start` on and before `end`. Takes few steps if few are behind `start`. */
  count(start: number, end: number): number {
    const last = Math.min(end, this.#end)
    let found = 0
    if (last - start <= this.#all.size) {
      for (let position = start; position < last; position++) if (this.#all.has(position)) found++
    } else {
      for (const position of this.#all) if (position >= start && position < last) found++
    }
    return found
  }
}
