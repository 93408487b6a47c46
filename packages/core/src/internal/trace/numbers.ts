/** A list of numbers below 2^32, of four bytes each. A number that was not set is 0. */
export class Numbers {
  #values = new Uint32Array(16)
  #length = 0

  get length(): number {
    return this.#length
  }

  get(i: number): number {
    return this.#values[i] ?? 0
  }

  set(i: number, value: number): void {
    if (i >= this.#values.length) {
      const values = new Uint32Array(Math.max(i + 1, this.#values.length * 2))
      values.set(this.#values)
      this.#values = values
    }
    this.#values[i] = value
    if (i >= this.#length) this.#length = i + 1
  }

  add(i: number, value: number): void {
    this.set(i, this.get(i) + value)
  }

  push(value: number): void {
    this.set(this.#length, value)
  }
}
