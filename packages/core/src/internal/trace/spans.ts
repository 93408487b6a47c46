import { Numbers } from "./numbers.ts"

/** Numbers of rows, most of which are those of the row before. */
export class Spans {
  readonly #starts = new Numbers()
  readonly #values = new Numbers()

  /** Gives a number to a row, and to those behind it. */
  push(row: number, value: number): void {
    const { length } = this.#values
    if (value === (length === 0 ? 0 : this.#values.get(length - 1))) return
    this.#starts.push(row)
    this.#values.push(value)
  }

  at(row: number): number {
    let [from, to] = [0, this.#starts.length]
    while (from < to) {
      const middle = (from + to) >>> 1
      if (this.#starts.get(middle) <= row) from = middle + 1
      else to = middle
    }
    return from === 0 ? 0 : this.#values.get(from - 1)
  }
}
