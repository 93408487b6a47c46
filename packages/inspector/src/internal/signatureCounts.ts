/** Counts signatures of draws, in 12 bytes a slot: a `Map` takes 100 for each. */
export class SignatureCounts {
  #signatures = new Float64Array(1024)
  /** 0 is a free slot. A slot in use has one more than its count. */
  #counts = new Uint32Array(1024)
  #used = 0
  #left = 0

  /** How many were added and not taken. */
  get left(): number {
    return this.#left
  }

  /** Its memory is for the next ones. */
  clear(): void {
    this.#counts.fill(0)
    this.#used = 0
    this.#left = 0
  }

  add(signature: number): void {
    const slot = this.#slotOf(signature)
    if (this.#counts[slot] === 0) {
      this.#signatures[slot] = signature
      this.#counts[slot] = 1
      this.#used++
    }
    this.#counts[slot]!++
    this.#left++
    if (this.#used * 2 > this.#counts.length) this.#grow()
  }

  /** Takes one of them away, if there is one. */
  take(signature: number): boolean {
    const slot = this.#slotOf(signature)
    if (this.#counts[slot]! < 2) return false
    this.#counts[slot]!--
    this.#left--
    return true
  }

  #slotOf(signature: number): number {
    const mask = this.#counts.length - 1
    let slot = signature & mask
    while (this.#counts[slot] !== 0 && this.#signatures[slot] !== signature) slot = (slot + 1) & mask
    return slot
  }

  #grow(): void {
    const [signatures, counts] = [this.#signatures, this.#counts]
    this.#signatures = new Float64Array(counts.length * 2)
    this.#counts = new Uint32Array(counts.length * 2)
    for (let i = 0; i < counts.length; i++) {
      if (counts[i] === 0) continue
      const slot = this.#slotOf(signatures[i]!)
      this.#signatures[slot] = signatures[i]!
      this.#counts[slot] = counts[i]!
    }
  }
}
