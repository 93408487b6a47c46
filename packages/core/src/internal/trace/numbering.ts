/** Numbers texts in the order in which they first come. Most traces have one: a server has thousands of them. */
export class Numbering {
  /** The text that came last. */
  #last: string | undefined
  #lastNumber = 0
  #all: Map<string, number> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  /** `undefined` if it has no number. */
  find(text: string): number | undefined {
    if (text === this.#last) return this.#lastNumber
    const number = this.#all?.get(text)
    if (number === undefined) return undefined
    this.#last = text
    return this.#lastNumber = number
  }

  /** Numbers a text that has no number. */
  add(text: string): number {
    if (this.#last !== undefined) this.#all ??= new Map([[this.#last, this.#lastNumber]])
    this.#last = text
    this.#lastNumber = this.#size++
    this.#all?.set(text, this.#lastNumber)
    return this.#lastNumber
  }
}
