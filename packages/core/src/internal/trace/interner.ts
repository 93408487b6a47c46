import { Numbers } from "./numbers.ts"

/** Numbers pairs of 32-bit numbers, in the order in which they first come, in 16 to 24 bytes for each. */
export class Interner {
  readonly #high = new Numbers()
  readonly #low = new Numbers()
  /** One more than the number of a pair, at its place by open addressing. */
  #slots = new Uint32Array(64)

  get length(): number {
    return this.#high.length
  }

  high(number: number): number {
    return this.#high.get(number)
  }

  low(number: number): number {
    return this.#low.get(number)
  }

  /** `undefined` if it has no number. */
  find(high: number, low: number): number | undefined {
    const found = this.#slots[this.#slot(high, low)]!
    return found === 0 ? undefined : found - 1
  }

  numberOf(high: number, low: number): number {
    const slot = this.#slot(high, low)
    const found = this.#slots[slot]!
    if (found > 0) return found - 1
    const number = this.#high.length
    this.#high.push(high)
    this.#low.push(low)
    this.#slots[slot] = number + 1
    if (this.#high.length * 2 > this.#slots.length) this.#grow()
    return number
  }

  #slot(high: number, low: number): number {
    const mask = this.#slots.length - 1
    for (let slot = (high ^ low) & mask;; slot = (slot + 1) & mask) {
      const found = this.#slots[slot]!
      if (found === 0 || (this.#high.get(found - 1) === high && this.#low.get(found - 1) === low)) return slot
    }
  }

  #grow(): void {
    this.#slots = new Uint32Array(this.#slots.length * 2)
    for (let i = 0; i < this.#high.length; i++) this.#slots[this.#slot(this.#high.get(i), this.#low.get(i))] = i + 1
  }
}
