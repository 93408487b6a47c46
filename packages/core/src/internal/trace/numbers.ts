/** How many numbers are in a part. */
const part = 16_384

/** A list of numbers below 2^32, of four bytes each. A number that was not set is 0. */
export class Numbers {
  /** The first one grows; the others have their size, so that nothing is copied. */
  readonly #parts: Array<Uint32Array> = [new Uint32Array(16)]
  #length = 0

  get length(): number {
    return this.#length
  }

  get(i: number): number {
    return this.#parts[i >>> 14]?.[i & (part - 1)] ?? 0
  }

  set(i: number, value: number): void {
    const at = i & (part - 1)
    let values = this.#parts[i >>> 14]
    if (values === undefined || at >= values.length) values = this.#grow(i)
    values[at] = value
    if (i >= this.#length) this.#length = i + 1
  }

  add(i: number, value: number): void {
    this.set(i, this.get(i) + value)
  }

  push(value: number): void {
    this.set(this.#length, value)
  }

  #grow(i: number): Uint32Array {
    const first = this.#parts[0]!
    const isSmall = i < part
    if (first.length < part) {
      const longer = new Uint32Array(isSmall ? Math.min(part, Math.max(i + 1, first.length * 2)) : part)
      longer.set(first)
      this.#parts[0] = longer
    }
    while (this.#parts.length <= i >>> 14) this.#parts.push(new Uint32Array(part))
    return this.#parts[i >>> 14]!
  }
}
