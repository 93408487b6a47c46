/** How many numbers are in a part. */
const part = 16_384

/** The numbers of a part, in one, two or four bytes each. */
type Part = Uint8Array | Uint16Array | Uint32Array

const none = new Uint8Array()

/**
 * A list of numbers below 2^32. A number that was not set is 0. Each part takes as many bytes for a number as its greatest one
 * needs, and none if all are 0.
 */
export class Numbers {
  /** The first one grows; the others have their size, so that nothing is copied. */
  readonly #parts: Array<Part> = []
  #length = 0

  get length(): number {
    return this.#length
  }

  get(i: number): number {
    return this.#parts[i >>> 14]?.[i & (part - 1)] ?? 0
  }

  set(i: number, value: number): void {
    if (i >= this.#length) this.#length = i + 1
    const at = i & (part - 1)
    let values = this.#parts[i >>> 14] ?? none
    if (at >= values.length) {
      if (value === 0) return
      values = this.#grow(i)
    }
    if (value > 0xff && value > mostIn(values)) values = this.#widen(i, value)
    values[at] = value
  }

  add(i: number, value: number): void {
    this.set(i, this.get(i) + value)
  }

  push(value: number): void {
    this.set(this.#length, value)
  }

  #grow(i: number): Part {
    const number = i >>> 14
    while (this.#parts.length <= number) this.#parts.push(none)
    const shorter = this.#parts[number]!
    const longer = copyOf(shorter, shorter.BYTES_PER_ELEMENT, number > 0 ? part : Math.min(part, Math.max(16, i * 2)))
    return this.#parts[number] = longer
  }

  #widen(i: number, value: number): Part {
    const narrower = this.#parts[i >>> 14]!
    return this.#parts[i >>> 14] = copyOf(narrower, value > 0xffff ? 4 : 2, narrower.length)
  }
}

const mostIn = (values: Part): number =>
  values.BYTES_PER_ELEMENT === 1 ? 0xff : values.BYTES_PER_ELEMENT === 2 ? 0xffff : Infinity

const copyOf = (values: Part, bytes: number, length: number): Part => {
  const copy = bytes === 1 ? new Uint8Array(length) : bytes === 2 ? new Uint16Array(length) : new Uint32Array(length)
  copy.set(values)
  return copy
}
